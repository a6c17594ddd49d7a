"""The stores of a platform, opened together for a backup or a restore."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine, func, select

from core.backup.rows import reflect
from core.database.database import Database
from core.database.engine import address, open_engine
from core.database.schema import configurations
from core.journal.journal import Journal
from core.journal.places import open_journal
from core.lake.catalog import Lake
from core.registry.store import Store
from core.settings import Settings


@dataclass(frozen=True, slots=True)
class Platform:
    """What the settings name."""

    database: Database
    journal: Journal
    store: Store
    mlflow: Engine
    lake: Lake

    def contents(self) -> list[str]:
        """What it holds already, in words; empty for a new platform."""
        with self.mlflow.connect() as connection:
            tables = reflect(connection)
            held = {
                name: connection.execute(select(func.count()).select_from(tables[name])).scalar()
                for name in ("runs", "model_versions")
            }
        kept = self.database.read(
            lambda connection: connection.execute(select(func.count()).select_from(configurations)).scalar()
        )
        counts = {
            "configurations": kept,
            "journal entries": len(self.journal.newest(limit=1)),
            "MLflow runs": held["runs"],
            "model versions": held["model_versions"],
        }
        return [name for name, count in counts.items() if count]


@contextmanager
def open_platform(settings: Settings) -> Iterator[Platform]:
    """All stores, made when they are missing; raises StorageError when one does not answer."""
    with ExitStack() as stack:
        database = Database.of(settings)
        stack.callback(database.close)
        journal = open_journal(settings)
        stack.callback(journal.close)
        store = Store.of(settings)
        store.call(lambda client: client.search_registered_models(max_results=1))  # makes the tables
        mlflow = open_engine(address(store.uri))
        stack.callback(mlflow.dispose)
        yield Platform(database, journal, store, mlflow, Lake.of(settings))
