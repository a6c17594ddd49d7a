"""A whole platform on a quarter of the airline, run once by the command line as a user would."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from core.lake.catalog import Lake
from core.settings import Settings, load_settings
from jobs.airline import lay_out
from tests.airline import content, read

ROOT = Path(__file__).parents[2]

PROVENANCE = {"_source", "_offset", "_ingested_at", "_batch", "_header", "raw"}
"""Where and when a record came from, and the bytes in which it came: they differ by the kind of source."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Platform:
    home: Path
    environment: dict[str, str]

    @property
    def settings(self) -> Settings:
        return load_settings(ROOT, environment=self.environment)

    @property
    def lake(self) -> Lake:
        return Lake.of(self.settings)

    def maas(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(str(Path(sys.executable).with_name("maas")), *arguments)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        activated = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, **self.environment, "PATH": activated}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1500, check=False)

    def rows(self, table: str, columns: list[str] | None = None) -> pa.Table:
        return read(self.lake, table, columns)

    def content(self, table: str) -> pa.Table:
        """A table's rows in an order of their own, without provenance."""
        return content(self.lake, table, without=PROVENANCE)

    def versions(self) -> dict[str, int]:
        return {str(name): self.lake.info(name).version for name in self.lake.names()}


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    home = tmp_path_factory.mktemp("platform")
    lay_out(home / "sources" / "flights", every=4)
    platform = Platform(
        home,
        {
            "MAAS__HOME": str(home),
            "MAAS__MLFLOW__PORT": str(free_port()),
            "MAAS__SERVING__PORT": str(free_port()),
        },
    )
    done = platform.maas("run", "flights")
    assert done.returncode == 0, done.stdout + done.stderr
    yield platform
    platform.maas("down")


def as_json(record: dict[str, Any]) -> str:
    return json.dumps({"dataframe_records": [record]})


@pytest.fixture(scope="session")
def open_platform() -> Callable[[dict[str, str]], Platform]:
    return lambda environment: Platform(Path(environment["MAAS__HOME"]), environment)
