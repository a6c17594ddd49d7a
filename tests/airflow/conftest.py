"""A platform with Airflow beside it: a copy of conf/ that a test may change, and homes of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
DAGS = ROOT / "airflow_dags" / "dags"
PROGRAMS = ROOT / "airflow_dags" / ".venv" / "bin"


class Project:
    """A root folder whose pipelines a test may change, and one home below it."""

    def __init__(self, root: Path, home: str = "home") -> None:
        self.root = root
        self.home = root / home
        if not (root / "conf").exists():
            shutil.copytree(ROOT / "conf", root / "conf")
            for name in ("jars", "airflow_dags"):
                (root / name).symlink_to(ROOT / name)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "MAAS_ROOT": str(self.root),
            "MAAS__HOME": str(self.home),
            "AIRFLOW_HOME": str(self.home / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        }

    @property
    def settings(self) -> Settings:
        return load_settings(self.root, environment=self.environment)

    def change(self, place: str, **changes: Any) -> None:
        file = self.root / "conf" / place
        document = yaml.safe_load(file.read_text()) if file.is_file() else {}
        file.write_text(yaml.safe_dump({**document, **changes}, sort_keys=False))

    def schedule(self, **schedule: Any) -> None:
        """What the pipeline `flights` has for a schedule; the plan follows."""
        self.change("pipelines/flights.yaml", schedule={"cron": "@daily", "start": "2013-01-01", **schedule})
        self.good("maas", "dags")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of ours or of Airflow's; Airflow's do not see this environment's packages."""
        folder = PROGRAMS if command[0] == "airflow" or command[0] == "airflow-python" else Path(sys.executable).parent
        program = folder / command[0].removeprefix("airflow-")
        return subprocess.run(
            [program, *command[1:]],
            cwd=self.root,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=550,
            check=False,
        )

    def good(self, *command: str) -> str:
        """What a command that must succeed printed."""
        done = self.run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("airflow"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("dags")
