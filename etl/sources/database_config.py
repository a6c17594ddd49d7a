"""Databases as they stand in a pipeline file, and what the settings add to them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from core.config import Strict
from core.errors import ConfigError
from core.settings import Settings
from etl.sources.database import DatabaseSource
from etl.sources.dialect import Dialect
from etl.sources.jdbc import Database
from etl.sources.passwords import named_secret
from etl.sources.relation import QUERY, Relation
from etl.sources.snapshots import SnapshotSource
from etl.sources.statement import Parameter, render

_PORTS = {"mysql": 3306, "postgresql": 5432}
_SCHEMES = ("sqlite:///", "mysql://", "postgresql://", "jdbc:")


class PartitionConfig(Strict):
    """How a table that is read whole is spread over tasks."""

    column: str
    """Of integers."""
    count: int = Field(ge=2, le=256)


class DatabaseConfig(Strict):
    """Tables of a database, or a query, read on by a strictly increasing integer column, or whole."""

    kind: Literal["database"]
    url: str
    """``sqlite:///path`` (below the home folder; four slashes for an absolute path), ``mysql://USER@HOST:PORT/NAME``,
    ``postgresql://USER@HOST:PORT/NAME``, ``mysql:///NAME`` (on the server of the settings' ``database.url``), or ``jdbc:…``."""
    table: str | None = None
    tables: tuple[str, ...] = ()
    """Several tables, each a source of its own: ``NAME_TABLE`` of source ``NAME``."""
    query: str | None = None
    """A SELECT in place of a table, with ``:name`` where parameters belong."""
    parameters: dict[str, Parameter] = {}
    mode: Literal["watermark", "whole"] = "watermark"
    """``whole``: all rows, as a new snapshot, whenever they are others than last time."""
    watermark: str | None = None
    partition: PartitionConfig | None = None
    """Of a table that is read whole; one that is read by watermark is spread by that."""
    columns: tuple[str, ...] | None = None
    """The columns to read; all when left out."""
    interval: str | None = None
    """A column of dates or times in UTC: a run about an interval reads the rows whose time lies in it."""
    password: str | None = None
    """The name of a password in the settings' ``sources.passwords``; the platform's own server needs none named."""

    @field_validator("url")
    @classmethod
    def _known(cls, value: str) -> str:
        if not value.startswith(_SCHEMES):
            raise ValueError(f"the URL starts with none of {', '.join(map(repr, _SCHEMES))}")
        if value.startswith(("mysql://", "postgresql://")):
            _check_server(urlsplit(value))
        return value

    @field_validator("columns")
    @classmethod
    def _some(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and (not value or len(set(value)) < len(value)):
            raise ValueError("name each column once, and at least one")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if sum(map(bool, (self.table, self.tables, self.query))) != 1:
            raise ValueError("name one of 'table', 'tables' and 'query'")
        if len({table_key(table) for table in self.tables}) < len(self.tables):
            raise ValueError("'tables' names one twice")
        whole = self.mode == "whole"
        if (self.watermark is None) != whole:
            raise ValueError(
                "a source that is read whole has no 'watermark'" if whole else "name a 'watermark', or say 'mode: whole'"
            )
        if self.interval is not None and whole:
            raise ValueError("'interval' narrows what is read by watermark: leave it out with 'mode: whole'")
        if self.partition is not None and not whole:
            raise ValueError("'partition' is for 'mode: whole'; what is read by watermark is spread over tasks by that")
        if self.parameters and not self.query:
            raise ValueError("'parameters' belong to a 'query'")
        try:
            self.statement()
        except ConfigError as error:
            raise ValueError(error.message) from error
        return self

    def statement(self) -> str | None:
        """The query with its parameters in place; None where there is none."""
        kind = self.url.removeprefix("jdbc:").split(":", 1)[0]
        return None if self.query is None else render(self.query, self.parameters, Dialect(kind))


def table_key(table: str) -> str:
    """What a source's name is lengthened by for one of its ``tables``: in small letters, with ``_`` for what no name holds."""
    return re.sub(r"[^a-z0-9_]", "_", table.lower())


def each_table(name: str, config: DatabaseConfig) -> dict[str, DatabaseConfig]:
    """The sources, by their names, that a source of several tables stands for; itself where it names none."""
    one = {"tables": ()}
    return {f"{name}_{table_key(table)}": config.model_copy(update={**one, "table": table}) for table in config.tables} or {
        name: config
    }


def open_database(config: DatabaseConfig, settings: Settings) -> DatabaseSource | SnapshotSource:
    """The source of one table or query. Nothing is opened yet; raises ConfigError for what the settings lack."""
    if config.tables:
        raise ConfigError(f"a source of the tables {', '.join(config.tables)} is one for each of them")
    url, user, password = config.url, None, _password(config, settings)
    if url.startswith("sqlite:///"):
        url = f"sqlite:///{settings.at_home(Path(url.removeprefix('sqlite:///')))}"
    elif not url.startswith("jdbc:"):
        place = urlsplit(url)
        kind, own = place.scheme, urlsplit(settings.database.url)
        name = place.path.strip("/")
        if not place.hostname:
            if not own.scheme.startswith("mysql"):
                raise ConfigError(
                    f"{url!r} names no server, and the settings' 'database.url' is no MySQL: write mysql://USER@HOST:PORT/NAME"
                )
            place, name = own, settings.sources.prefix + name
        if kind == "mysql" and _server(place) == _server(own) and password is None:
            password = settings.database.password
        host, port, user = _server(place)
        url = f"jdbc:{kind}://{host}:{port}/{name}"
    secret = None if password is None else password.get_secret_value()
    table, query = config.table or QUERY, config.statement()
    if config.watermark is not None:
        return DatabaseSource(url, table, config.watermark, config.columns, config.interval, user, secret, query)
    part = None if config.partition is None else (config.partition.column, config.partition.count)
    return SnapshotSource(Relation(Database(url, user, secret), table, query, config.columns), part)


def _password(config: DatabaseConfig, settings: Settings) -> SecretStr | None:
    if config.password is None:
        return None
    return named_secret(settings, config.password, "password", f"the source of table {config.table or QUERY!r}")


def _server(url: SplitResult) -> tuple[str | None, int, str | None]:
    host = f"[{url.hostname}]" if url.hostname and ":" in url.hostname else url.hostname
    return host, url.port or _PORTS[url.scheme.split("+", 1)[0]], url.username


def _check_server(url: SplitResult) -> None:
    if url.password is not None:
        raise ValueError("a URL holds no password: name one by the key 'password', and set it in the settings' secrets")
    named = url.path.strip("/")
    known = url.username is not None if url.hostname is not None else url.scheme == "mysql"
    if not named or "/" in named or url.query or url.fragment or not known:
        raise ValueError(f"write {url.scheme}://USER@HOST:PORT/NAME, or mysql:///NAME for the server of the settings")
