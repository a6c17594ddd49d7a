"""The configuration database of a profile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import sqlalchemy
from pydantic import SecretStr
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from core.database import failures
from core.database.engine import MYSQL, address, open_engine, place
from core.database.migrate import migrate
from core.retries import persist
from core.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Database:
    """An engine over a database with our tables."""

    engine: Engine

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The database that the settings name, made and migrated when it must be."""
        url = sqlalchemy.make_url(settings.database.url)
        if url.get_backend_name() == MYSQL:
            return cls.open(settings.database.url, settings.database.password)
        return cls.open(f"sqlite:///{settings.at_home(Path(str(url.database)))}")

    @classmethod
    def open(cls, url: str, password: SecretStr | None = None) -> Self:
        """The database at an absolute URL. Raises StorageError when its server does not answer, ConfigError for a wrong URL."""
        engine = open_engine(address(url, password))
        try:
            migrate(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    @property
    def place(self) -> str:
        """Its name in messages."""
        return place(self.engine.url)

    def read(self, action: Callable[[Connection], T]) -> T:
        """The result of ``action`` in one transaction, which only reads."""
        return self._run(action, self.engine)

    def write(self, action: Callable[[Connection], T]) -> T:
        """The result of ``action`` in one transaction, made again while others hold the database or its server restarts.

        A server that ends while it commits may have committed: ``action`` looks whether what it does is done already.
        Raises IntegrityError as it is.
        """
        return self._run(action, self.engine.execution_options(write=True))

    def close(self) -> None:
        """End all connections."""
        self.engine.dispose()

    def _run(self, action: Callable[[Connection], T], engine: Engine) -> T:
        def once() -> T:
            with engine.begin() as connection:
                return action(connection)

        try:
            return persist(once, lambda error: failures.is_busy(error) or failures.is_gone(error))
        except IntegrityError:  # for the caller, who knows what it means
            raise
        except SQLAlchemyError as error:
            raise failures.explain(error, self.place) from error
