"""The store that MLflow reads and writes, used with no server between: SQLite and a folder, or MySQL and an S3 bucket."""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from core.database import failures
from core.errors import ConfigError, DiskFull, MaasError, ModelNotFound, StorageError
from core.registry import artifacts
from core.retries import persist
from core.settings import S3Settings, Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")

ENVIRONMENT: Mapping[str, str] = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",  # else pyproject.toml of the working folder ends up in each model
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_CONFIGURE_LOGGING": "false",  # its records go where ours go
    "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": "40",  # a thread of MLflow's may hold two connections: few would starve each other
    "GIT_PYTHON_REFRESH": "quiet",
}
"""What MLflow must find in the environment before it is imported."""

_WARNINGS = (
    ".*``noload`` loader strategy is deprecated",  # when its tables are mapped
    ".*Any type hint is inferred as AnyType",  # when mlflow.pyfunc is imported
    ".*[Ii]nteger column",  # when a signature has one
)
_NO_BUCKET = re.compile("NoSuchBucket|bucket does not exist")
_NO_SERVER = re.compile("EndpointConnectionError|Could not connect to the endpoint|ConnectTimeout|ConnectionClosedError")
_RACED = "Model Version creation error"  # others took the numbers that it tried
_UNQUOTABLE = frozenset("?#%")
_ARTIFACT_ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"


@dataclass(frozen=True, slots=True)
class Store:
    """Where runs and model versions are kept."""

    database: str
    """An absolute path, or ``mysql+pymysql://USER@HOST:PORT/NAME``."""
    artifacts: str
    """An absolute folder, or ``s3://BUCKET/prefix``."""
    password: SecretStr | None = None
    s3: S3Settings = field(default_factory=S3Settings)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The store that the settings name."""
        mlflow = settings.mlflow
        return cls(settings.locate(mlflow.database), settings.locate(mlflow.artifacts), mlflow.password, settings.s3)

    @property
    def uri(self) -> str:
        """What MLflow calls a tracking URI, with the password: for MLflow's eyes only.

        Raises ConfigError for a path that cannot stand in one.
        """
        if "://" in self.database:
            from core.database.engine import address  # noqa: PLC0415 — SQLAlchemy is imported where it is used

            return address(self.database, self.password).render_as_string(hide_password=False)
        if _UNQUOTABLE & set(self.database):
            raise ConfigError(f"{self.database}: the path of MLflow's database may not hold any of ? # %: move the project")
        return f"sqlite:///{self.database}"

    @property
    def artifact_uri(self) -> str:
        """The place of artifacts as a URI."""
        return self.artifacts if self.artifacts.startswith(artifacts.S3) else Path(self.artifacts).as_uri()

    def call(self, action: Callable[[MlflowClient], T]) -> T:
        """The result of ``action``, tried again for up to a minute while others hold the database or its server restarts.

        A server that does not answer when first asked is not waited for. A bucket that is missing is made.
        Raises ModelNotFound for what is not there, DiskFull, and StorageError for all else that MLflow reports.
        """
        prepare()
        client = _client(self)
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 — MLflow takes seconds to import
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

        made: list[str] = []

        def passes(error: Exception) -> bool:
            if self.s3_environment() and not made and _NO_BUCKET.search(str(error)):
                from core.storage.s3 import make_bucket  # noqa: PLC0415 — takes part of a second

                make_bucket(self.s3, urlsplit(self.artifacts).netloc)
                made.append(self.artifacts)
                return True
            return failures.is_busy(error) or failures.is_gone(error) or _RACED in str(error)

        try:
            return persist(lambda: action(client), passes)
        except MaasError:
            raise
        except Exception as error:
            known = (MlflowException, SQLAlchemyError, OSError)
            if isinstance(error, known) or type(error).__module__.startswith(("boto", "s3transfer")):
                raise self._explain(error) from error
            raise

    def download(self, source: str, target: Path) -> bool:
        """Copy all objects below the URL ``source`` into the new folder ``target``; False when there are none."""
        target.mkdir()

        def copy(_: MlflowClient) -> None:
            from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository  # noqa: PLC0415

            S3ArtifactRepository(source).download_artifacts("", str(target))  # refuses names that lead out of the folder

        self.call(copy)
        return any(target.iterdir())

    def upload(self, folder: Path, target: str) -> None:
        """Copy all files of ``folder`` below the URL ``target``; what is there of the same name is replaced."""

        def copy(_: MlflowClient) -> None:
            from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository  # noqa: PLC0415

            S3ArtifactRepository(target).log_artifacts(str(folder))

        self.call(copy)

    @contextmanager
    def fetched(self, uri: str) -> Iterator[Path]:
        """The folder of artifacts at ``uri``: itself, or a copy of what lies in the bucket, for as long as the block lasts."""
        if not uri.startswith(artifacts.S3):
            yield Path(unquote(urlsplit(uri).path))
            return
        with tempfile.TemporaryDirectory(prefix="maas-artifacts-") as temporary:
            self.download(uri, Path(temporary) / "files")
            yield Path(temporary) / "files"

    @contextmanager
    def filled(self) -> Iterator[Path]:
        """A folder whose files are artifacts when the block has ended well: the artifacts' own, or one that is then uploaded."""
        if not self.artifacts.startswith(artifacts.S3):
            yield Path(self.artifacts)
            return
        with tempfile.TemporaryDirectory(prefix="maas-artifacts-") as temporary:
            yield Path(temporary)
            self.upload(Path(temporary), self.artifacts)

    def move_alias(self, name: str, alias: str, version: int, expected: int) -> bool:
        """Let the alias mean ``version`` if it means ``expected``, in one statement, which MLflow's client has none for."""
        from sqlalchemy import column, table, update  # noqa: PLC0415

        from core.database.database import Database  # noqa: PLC0415
        from core.database.engine import address, open_engine  # noqa: PLC0415

        aliases = table("registered_model_aliases", column("name"), column("alias"), column("version"))
        same = (aliases.c.name == name, aliases.c.alias == alias, aliases.c.version == expected)
        database = Database(open_engine(address(self.uri)))
        try:
            return (
                database.write(
                    lambda connection: connection.execute(update(aliases).where(*same).values(version=version)).rowcount
                )
                == 1
            )
        finally:
            database.close()

    def s3_environment(self) -> dict[str, str]:
        """What reaching the artifacts needs in the environment, keys among it; empty for a folder."""
        return artifacts.environment(self.s3) if self.artifacts.startswith(artifacts.S3) else {}

    def server_command(self, host: str, port: int) -> list[str]:
        """The command that serves MLflow's UI and REST interface over this store.

        It is to be run with ``server_environment``, and with ``secret_environment``.
        """
        return [
            *(sys.executable, "-m", "mlflow", "server"),
            *("--default-artifact-root", self.artifact_uri, "--no-serve-artifacts"),
            *("--host", host, "--port", str(port), "--workers", "1", "--allowed-hosts", f"{host}:*,localhost:*"),
            *("--uvicorn-opts", "--no-access-log"),
        ]

    def server_environment(self) -> dict[str, str]:
        """What that command needs in its environment and anybody may read."""
        return {**ENVIRONMENT, "MLFLOW_CONFIGURE_LOGGING": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}

    def secret_environment(self) -> dict[str, str]:
        """What that command needs in its environment and no file or argument may hold: where the store is, and its keys."""
        return {"MLFLOW_BACKEND_STORE_URI": self.uri, **self.s3_environment()}

    def _explain(self, error: Exception) -> MaasError:
        text = failures.first_line(error)
        if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
            return ModelNotFound(text)
        if isinstance(error, OSError) and failures.is_full(error):
            place = getattr(error, "filename2", None) or getattr(error, "filename", None) or self.artifacts
            return DiskFull(f"{place}: disk full: free some space and run again", file=str(place))
        if self.s3_environment() and _NO_SERVER.search(f"{type(error).__name__} {error}"):
            where = self.s3.endpoint or self.artifacts
            return StorageError(
                f"{where}: S3 does not answer (settings s3.endpoint): see `maas doctor`, and run again", url=where
            )
        return failures.explain(error, f"MLflow store {self.database}" if "://" not in self.database else self.database)


_clients: dict[Store, Any] = {}


def _client(store: Store) -> Any:
    """The client of ``store``, one a process: making one checks the schema of the database and takes part of a second."""
    if store not in _clients:
        from core.database.alone import alone  # noqa: PLC0415
        from core.database.engine import address, compare_bytes, open_engine  # noqa: PLC0415

        os.environ.update(store.s3_environment())
        engine = open_engine(address(store.uri))  # makes the database, and says at once when there is no server
        try:
            with alone(engine), without_warnings():
                compare_bytes(engine)
                _clients[store] = _open(store)
        finally:
            engine.dispose()
    return _clients[store]


def _open(store: Store) -> Any:
    from mlflow import MlflowClient  # noqa: PLC0415

    # MLflow takes the place of artifacts from here when no server tells it, else ./mlruns
    os.environ[_ARTIFACT_ROOT] = store.artifact_uri
    try:
        client = MlflowClient(store.uri, store.uri)
        client.search_registered_models(max_results=1)  # makes the registry's half too
    except Exception as error:
        raise store._explain(error) from error  # noqa: SLF001 — of this module
    finally:
        del os.environ[_ARTIFACT_ROOT]
    return client


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
