"""Write a backup."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from sqlalchemy import Table

from core.backup.archive import Writer
from core.backup.rows import dump, reflect, snapshot
from core.backup.sources import Platform, open_platform
from core.backup.tables import write_tables
from core.database.schema import REVISION, configurations, transitions
from core.registry.artifacts import is_inside
from core.settings import Settings
from core.storage.local import LocalStorage
from core.storage.open import open_storage
from core.storage.storage import Storage

_PIECE = 1 << 20
_VERSIONS = "model_versions"


def back_up(settings: Settings, place: str, progress: Callable[[str], None] = lambda _: None) -> Sequence[str]:
    """Write a backup of the platform to ``place``, a folder or URL that holds none; returns lines that say what is in it.

    Each store is read as it was at one moment. A model that is published meanwhile may be in it or not, never in part. Raises
    StorageError, and then there is no backup.
    """
    writer = Writer.open(open_storage(place, settings), place)
    with open_platform(settings) as platform:
        progress("configurations and journal")
        rows, moves = platform.database.read(lambda c: (list(dump(c, configurations)), list(dump(c, transitions))))
        kept = writer.write_lines("configurations.jsonl", rows)
        writer.write_lines("transitions.jsonl", moves)
        ran = writer.write_lines("journal.jsonl", (entry.to_document() for entry in platform.journal.entries()))
        progress("MLflow's database")
        revision, versions = _dump_mlflow(platform, writer)
        lines = [f"{kept} configurations, {ran} journal entries, {len(versions)} model versions"]
        for version in versions:
            progress(f"model {version['name']}:{version['version']}")
            lines.extend(_copy_artifacts(platform, version, writer))
        lines.extend(write_tables(platform.lake, writer, progress))
        facts = {
            "created_at": datetime.now(UTC).isoformat(),
            "profile": settings.profile,
            "artifacts": platform.store.artifact_uri,
            "schema": REVISION,
            "mlflow_schema": revision,
        }
        writer.finish(facts)
    size = sum(known["bytes"] for known in writer.files.values())
    return [*lines, f"{place}: {len(writer.files)} files, {size / 1e6:.1f} MB"]


def _dump_mlflow(platform: Platform, writer: Writer) -> tuple[str, list[dict[str, Any]]]:
    """Dump all tables of one moment; returns the schema's revision and the rows of model versions."""
    with platform.mlflow.connect() as connection:
        tables = reflect(connection)
        connection.rollback()
        snapshot(connection)
        for name, table in tables.items():
            writer.write_lines(f"mlflow/{name}.jsonl", dump(connection, table))
        revision = next(dump(connection, tables["alembic_version"]))["version_num"]
        return str(revision), _versions(connection, tables[_VERSIONS])


def _versions(connection: Any, table: Table) -> list[dict[str, Any]]:
    return [row for row in dump(connection, table) if row["current_stage"] != "Deleted_Internal"]


def _copy_artifacts(platform: Platform, version: Mapping[str, Any], writer: Writer) -> list[str]:
    """Copy the files of a version; returns what there is to say."""
    uri, uid = version["storage_location"] or version["source"], f"{version['name']}:{version['version']}"
    if not is_inside(uri, platform.store.artifacts):
        return [f"model {uid}: its files do not lie in {platform.store.artifacts}: not in the backup"]
    folder = unquote(uri.removeprefix(platform.store.artifact_uri)).strip("/")
    with platform.store.fetched(uri) as place:
        files = LocalStorage(place)
        found = [entry.path for entry in files.list()] if place.is_dir() else []
        for path in found:
            writer.write(f"artifacts/{folder}/{path}", _read(files, path))
    return [] if found else [f"model {uid}: its files are gone: not in the backup"]


def _read(storage: Storage, path: str) -> Iterator[bytes]:
    with storage.open_read(path) as file:
        while piece := file.read(_PIECE):
            yield piece
