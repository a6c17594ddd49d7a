"""Read a backup back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from core.backup.archive import Reader
from core.backup.rows import as_they_are, load, reflect
from core.backup.sources import Platform, open_platform
from core.backup.tables import restore_logs
from core.database import failures
from core.database.engine import place as place_of
from core.database.schema import REVISION, configurations, transitions
from core.errors import StorageError
from core.journal.journal import Entry
from core.settings import Settings
from core.storage.local import LocalStorage
from core.storage.open import open_storage

_ALEMBIC = "alembic_version"


def restore(
    settings: Settings, place: str, *, force: bool = False, progress: Callable[[str], None] = lambda _: None
) -> Sequence[str]:
    """Make the platform that the settings name hold what the backup at ``place`` holds; returns lines that say what that is.

    The whole backup is verified, and every store asked whether it is empty, before anything is touched. Then each store is
    replaced in one transaction, MLflow's after the files of its models; commit logs of tables are put back where they are lost
    or damaged and the data files are there, whatever ``force`` says. Raises StorageError or CorruptFile; when it was broken off
    between two stores, the same command with ``force`` completes it.
    """
    progress("verifying the backup")
    reader = Reader.open(open_storage(place, settings), place)
    with open_platform(settings) as platform:
        _check_schemas(reader, platform)
        held = platform.contents()
        if held and not force:
            raise StorageError(f"this platform holds {', '.join(held)} already: --force puts the backup in place of all that")
        with platform.store.filled() as folder:
            files = LocalStorage(folder)
            for path in reader.below("artifacts"):
                progress(path)
                files.write_atomic(path.removeprefix("artifacts/"), reader.read(path))
        progress("MLflow's database")
        versions = _load_mlflow(reader, platform)
        progress("configurations and journal")
        kept = _load_configurations(reader, platform)
        ran = platform.journal.load(Entry.from_document(document) for document in reader.read_lines("journal.jsonl"))
        tables = list(restore_logs(reader, platform.lake, progress))
    return [f"{kept} configurations, {ran} journal entries, {versions} model versions", *tables]


def _check_schemas(reader: Reader, platform: Platform) -> None:
    with platform.mlflow.connect() as connection:
        here = connection.execute(reflect(connection)[_ALEMBIC].select()).scalar()
    for what, theirs, ours in (("", reader.facts.get("schema"), REVISION), ("MLflow ", reader.facts.get("mlflow_schema"), here)):
        if theirs != ours:
            raise StorageError(
                f"{reader.place} was made with {what}schema {theirs}, this platform has {ours}: "
                "restore it with the platform that made it, and update that"
            )


def _load_mlflow(reader: Reader, platform: Platform) -> int:
    """Replace all rows in one transaction; places of artifacts become those of this platform."""
    old, new = str(reader.facts["artifacts"]).rstrip("/"), platform.store.artifact_uri.rstrip("/")

    def moved(text: str) -> str:
        return new + text.removeprefix(old) if text == old or text.startswith(f"{old}/") else text

    counts: dict[str, int] = {}

    def replace_all(connection: Connection) -> None:
        tables = {name: table for name, table in reflect(connection).items() if name != _ALEMBIC}
        as_they_are(connection)
        for table in reversed(tables.values()):
            connection.execute(table.delete())
        for name, table in tables.items():
            path = f"mlflow/{name}.jsonl"
            counts[name] = load(connection, table, reader.read_lines(path), moved) if path in reader.files else 0

    try:
        with platform.mlflow.execution_options(write=True).begin() as connection:
            replace_all(connection)
    except SQLAlchemyError as error:
        raise failures.explain(error, place_of(platform.mlflow.url)) from error
    return counts["model_versions"]


def _load_configurations(reader: Reader, platform: Platform) -> int:
    def replace_all(connection: Connection) -> int:
        connection.execute(transitions.delete())
        connection.execute(configurations.delete())
        load(connection, transitions, reader.read_lines("transitions.jsonl"), lambda text: text)
        return load(connection, configurations, reader.read_lines("configurations.jsonl"), lambda text: text)

    return platform.database.write(replace_all)
