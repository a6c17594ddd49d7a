"""The store that MLflow reads and writes: one SQLite file and one folder of artifacts, used with no server between."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import random
import re
import sqlite3
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from core.errors import ConfigError, DiskFull, MaasError, ModelNotFound, StorageError
from core.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")

ENVIRONMENT: Mapping[str, str] = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",  # else pyproject.toml of the working folder ends up in each model
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_CONFIGURE_LOGGING": "false",  # its records go where ours go
    "GIT_PYTHON_REFRESH": "quiet",
}
"""What MLflow must find in the environment before it is imported."""

_WARNINGS = (
    ".*``noload`` loader strategy is deprecated",  # when its tables are mapped
    ".*Any type hint is inferred as AnyType",  # when mlflow.pyfunc is imported
    ".*[Ii]nteger column",  # when a signature has one
)
_WAIT_S = 60.0
_FULL = re.compile("disk is full|No space left")
_UNQUOTABLE = frozenset("?#%")
_ARTIFACT_ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"


@dataclass(frozen=True, slots=True)
class Store:
    """Where runs and model versions are kept. Both paths are absolute."""

    database: Path
    artifacts: Path

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The store that the settings name."""
        return cls(settings.at_home(Path(settings.mlflow.database)), settings.at_home(Path(settings.mlflow.artifacts)))

    @property
    def uri(self) -> str:
        """What MLflow calls a tracking URI; raises ConfigError for a path that cannot stand in one."""
        if _UNQUOTABLE & set(str(self.database)):
            raise ConfigError(f"{self.database}: the path of MLflow's database may not hold any of ? # %: move the project")
        return f"sqlite:///{self.database}"

    def call(self, action: Callable[[MlflowClient], T]) -> T:
        """The result of ``action``, tried again while other processes hold the database, for up to a minute.

        Raises ModelNotFound for what is not there, DiskFull, and StorageError for all else that MLflow reports.
        """
        prepare()
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 — MLflow takes seconds to import
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

        deadline, pause = time.monotonic() + _WAIT_S, 0.02
        while True:
            try:
                return action(_client(self))
            except (MlflowException, SQLAlchemyError, OSError) as error:
                if "database is locked" not in str(error) or time.monotonic() > deadline:
                    raise self._explain(error) from error
                time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 — spreads writers, guards nothing
                pause = min(2 * pause, 1.0)

    def server_command(self, host: str, port: int) -> list[str]:
        """The command that serves MLflow's UI and REST interface over this store, to be run with ``server_environment``."""
        return [
            *(sys.executable, "-m", "mlflow", "server"),
            *("--backend-store-uri", self.uri, "--default-artifact-root", self.artifacts.as_uri(), "--no-serve-artifacts"),
            *("--host", host, "--port", str(port), "--workers", "1", "--allowed-hosts", f"{host}:*,localhost:*"),
            *("--uvicorn-opts", "--no-access-log"),
        ]

    def server_environment(self) -> dict[str, str]:
        """What that command needs in its environment."""
        return {**ENVIRONMENT, "MLFLOW_CONFIGURE_LOGGING": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}

    def _explain(self, error: Exception) -> MaasError:
        text = str(error).splitlines()[0][:500] if str(error) else type(error).__name__
        if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
            return ModelNotFound(text)
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or _FULL.search(text):
            place = (
                getattr(error, "filename2", None)
                or getattr(error, "filename", None)
                or (self.artifacts if isinstance(error, OSError) else self.database)
            )
            return DiskFull(f"{place}: disk full: free some space and run again", file=str(place))
        if "database is locked" in text:
            return StorageError(
                f"{self.database}: other processes held it for {_WAIT_S:.0f} s: run again", file=str(self.database)
            )
        return StorageError(f"MLflow store {self.database}: {text}", file=str(self.database))


_clients: dict[Store, Any] = {}


def _client(store: Store) -> Any:
    """The client of ``store``, one a process: making one checks the schema of the database and takes part of a second."""
    if store not in _clients:
        from mlflow import MlflowClient  # noqa: PLC0415

        with _exclusive(store.database), without_warnings():
            _use_write_ahead_log(store.database)
            # MLflow takes the place of artifacts for a local database from here, else ./mlruns
            os.environ[_ARTIFACT_ROOT] = store.artifacts.as_uri()
            try:
                client = MlflowClient(store.uri, store.uri)
                client.search_registered_models(max_results=1)  # makes the registry's half too
            finally:
                del os.environ[_ARTIFACT_ROOT]
        _clients[store] = client
    return _clients[store]


def prepare() -> None:
    """Set the environment and the loggers before MLflow is imported."""
    for key, value in ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    # it logs a trace for each locked database, which is tried again or raised
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    for noisy in ("alembic", "mlflow"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


@contextmanager
def without_warnings() -> Iterator[None]:
    """Without the warnings that MLflow draws upon itself, or that give a user of ours nothing to do."""
    with warnings.catch_warnings():
        for message in _WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        yield


@contextmanager
def _exclusive(database: Path) -> Iterator[None]:
    """Only one process makes or migrates the tables at a time."""
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_name(database.name + ".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _use_write_ahead_log(database: Path) -> None:
    """Readers and one writer no longer wait for each other; the mode stays in the file (sqlite.org/wal.html)."""
    connection = sqlite3.connect(database, timeout=_WAIT_S)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()
