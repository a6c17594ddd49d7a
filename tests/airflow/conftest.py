"""A platform with Airflow beside it: a copy of conf/ that a test may change, and homes of its own."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from core.contracts import TableName
from core.lake.catalog import Lake
from core.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
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
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.root / "airflow_dags" / "dags"),
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

    def command(self, *words: str) -> dict[str, Any]:
        """What starts a command of ours or of Airflow's environment (``airflow``, ``airflow-python``)."""
        folder = PROGRAMS if words[0].startswith("airflow") else Path(sys.executable).parent
        program = folder / words[0].removeprefix("airflow-")
        return {"args": [program, *words[1:]], "cwd": self.root, "env": {**os.environ, **self.environment}, "text": True}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(**self.command(*words), capture_output=True, timeout=1200, check=False)

    def good(self, *words: str) -> str:
        """What a command that must succeed printed."""
        done = self.run(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def copy(self, name: str) -> "Project":
        """The same platform in another home."""
        shutil.copytree(self.home, self.root / name)
        return Project(self.root, name)

    def read(self, table: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for file in Lake.of(self.settings).snapshot(TableName.parse(table)).files:
            with Path(file).open("rb") as opened:
                found += pq.ParquetFile(opened).read().to_pylist()
        return found

    def rows(self, table: str) -> list[str]:
        """All rows of a table, sorted, without the moment at which they were read."""
        rows = self.read(table)
        return sorted(repr(sorted((key, value) for key, value in row.items() if key != "_ingested_at")) for row in rows)

    def flights(self, before: str) -> list[int]:
        """The numbers of the source's flights before a day, in UTC."""
        statement = "SELECT flight_id FROM flights WHERE time_hour < ? ORDER BY flight_id"
        with closing(sqlite3.connect(self.home / "sources/flights/flights.db")) as database:
            return [number for (number,) in database.execute(statement, (before,))]

    def tables(self) -> list[str]:
        return [str(name) for name in Lake.of(self.settings).names()]

    def journal(self, step: str) -> list[tuple[str, str | None]]:
        """State and interval of each time that a step ran, the oldest first."""
        entries = [json.loads(line) for line in self.good("maas", "runs", "flights", "--json", "--limit", "200").splitlines()]
        return [(entry["state"], entry["interval"]) for entry in reversed(entries) if entry["step"] == step]

    def alerts(self) -> list[dict[str, Any]]:
        files = sorted((self.home / "logs").glob("alerts-*-*-*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def query(self, statement: str, *values: str) -> list[tuple[Any, ...]]:
        """What Airflow's database answers."""
        with closing(sqlite3.connect(f"file:{self.home}/airflow/airflow.db?mode=ro", uri=True, timeout=30)) as database:
            return database.execute(statement, values).fetchall()

    def ended(self, dag: str) -> list[str]:
        """The states of a DAG's runs that are over."""
        states = self.query("SELECT state FROM dag_run WHERE dag_id = ? AND state IN ('success', 'failed')", dag)
        return [state for (state,) in states]

    def plan_backfill(self, first: str, last: str) -> None:
        """Ask for days of the pipeline `flights` while no service runs, as docs/airflow.md says."""
        self.good("airflow", "db", "migrate")
        self.good("airflow", "dags", "reserialize")
        span = ("--from-date", first, "--to-date", last, "--max-active-runs", "1")
        self.good("airflow", "backfill", "create", "--dag-id", "flights", *span)

    def finish_backfill(self, before_retraining: int = 0) -> None:
        """Let the running scheduler run these days, and what they set off; returns when all is over.

        Retraining takes no notice of the first days, as many as ``before_retraining``.
        """
        self._unpause("flights")
        until(lambda: len(self.ended("flights")) >= before_retraining)
        self._unpause("flights_retrain")
        until(lambda: self.ended("flights_retrain") and not self._waiting())

    def _unpause(self, dag: str) -> None:
        until(lambda: self.run("airflow", "dags", "unpause", "--yes", dag).returncode == 0)  # SQLite may be locked

    def _waiting(self) -> bool:
        (runs,) = self.query("SELECT count(*) FROM dag_run WHERE state IN ('queued', 'running')")
        (events,) = self.query("SELECT count(*) FROM asset_dag_run_queue")
        return bool(runs[0] or events[0])


def until(true: Callable[[], object], limit_s: float = 1500) -> None:
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(1)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("airflow"))


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Nine days of the airline, of which five are read; the rest is left to Airflow.

    What is learned is made easy, so that a model of few rows passes its gate: a logistic regression cannot tell it.
    """
    project = Project(tmp_path_factory.mktemp("airline"), "loaded")
    flights = yaml.safe_load((ROOT / "conf/pipelines/flights.yaml").read_text())
    features, task = flights["features"], flights["task"]
    split = {
        "train": ["2013-01-01", "2013-01-04"],
        "validation": ["2013-01-04", "2013-01-05"],
        "test": ["2013-01-05", "2013-02-01"],
    }
    label = "CAST((f.hour >= 12) <> (f.distance >= 900) AS DOUBLE)"
    sql = features["sql"].replace("CAST(f.arrival_delay > 15 AS DOUBLE)", label)
    assert label in sql
    project.change(
        "pipelines/flights.yaml",
        features={**features, "sql": sql, "split": {"by": "flight_date", **split}},
        task={**task, "epochs": 8, "batch_size": 128},
    )
    project.good("python", "-m", "jobs.airline", "--days", "9", "--every", "2")
    project.good("maas", "run", "flights", "--step", "ingest", "--step", "extract", "--from", "2013-01-01", "--to", "2013-01-06")
    return project


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the marks in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("dags")
