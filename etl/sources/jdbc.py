"""A database as Spark reaches it: by JDBC, with every value as the text that the database makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import DataType

from core.errors import ConfigError, SourceDown, SourceError
from core.lake.failures import is_server_down, root_cause
from etl.sources.dialect import SQLITE, Dialect, dialect_of

_MYSQL = {
    "driver": "com.mysql.cj.jdbc.Driver",
    # A TIMESTAMP is shown in the session's zone. What forbids to write is called otherwise by MariaDB, which skips comments with
    # versions that only MySQL has. It stands here and not in a statement before each read: Spark looks at columns without one.
    "sessionVariables": "time_zone='+00:00' /*M!,tx_read_only=1*/ /*!50720,transaction_read_only=1*/",
    "connectTimeout": "10000",
    "socketTimeout": "300000",
}
_POSTGRESQL = {
    "driver": "org.postgresql.Driver",
    # whatever the server or the user's role say: how values are written, and that nothing is
    "options": "-c default_transaction_read_only=on -c bytea_output=hex -c extra_float_digits=3 -c IntervalStyle=iso_8601",
    "sessionInitStatement": "SET TIME ZONE 'UTC'",  # the driver itself asks for the zone of this machine
    "connectTimeout": "10",
    "socketTimeout": "300",
    "fetchsize": "10000",  # else it holds all rows of a slice at once
}


@dataclass(frozen=True, slots=True)
class Database:
    """``url`` is ``sqlite:///ABSOLUTE_PATH`` or a ``jdbc:`` URL whose driver is among the session's jars."""

    url: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def dialect(self) -> Dialect:
        """How to speak to it."""
        return dialect_of(self.url)

    def types(self, spark: SparkSession, table: str, place: str) -> dict[str, DataType]:
        """The columns of what stands behind FROM as ``place``, in order; raises SourceError naming ``table``."""
        query = f"SELECT * FROM {place} WHERE 1 = 0"  # noqa: S608 — names are quoted, and a query is checked
        with self.failures(table):
            schema = spark.read.format("jdbc").options(**self._options(), query=query).load().schema
        return {one.name: one.dataType for one in schema}

    def query(self, spark: SparkSession, table: str, query: str, names: Sequence[str]) -> list[str]:
        """The one row of a query whose columns, ``names``, are texts; raises SourceError naming ``table``."""
        options = {**self._options(), "query": query, "customSchema": _texts(names)}
        with self.failures(table):
            return list(spark.read.format("jdbc").options(**options).load().collect()[0])

    def read(self, spark: SparkSession, table: str, query: str, names: Sequence[str], slices: Sequence[str]) -> DataFrame:
        """The rows of a query, ``names`` of its columns as texts, read by one task for each condition in ``slices``."""
        properties = {**self._options(), "customSchema": _texts(names)}
        url = properties.pop("url")
        with self.failures(table):
            return spark.read.jdbc(url, f"({query}) maas", predicates=list(slices), properties=properties)

    def place(self, table: str) -> str:
        """``table`` or ``schema.table``, quoted."""
        return ".".join(self.dialect.quoted(part) for part in table.split("."))

    @contextmanager
    def failures(self, table: str) -> Iterator[None]:
        """Raise what the driver raises as SourceError, without the URL: it may hold a password."""
        try:
            yield
        except (PySparkException, Py4JError) as error:
            reason = root_cause(error).replace(self.url, "URL")
            kind = SourceDown if is_server_down(reason) else SourceError
            raise kind(f"table {table!r} cannot be read ({self._server}): {reason}") from error

    @property
    def _server(self) -> str:
        """What it is, and the host and port of one that has them."""
        place = urlsplit(self.url.removeprefix("jdbc:")).netloc.rpartition("@")[2]
        return f"{self.dialect.name} at {place}" if place else self.dialect.name

    def _options(self) -> dict[str, str]:
        name = self.dialect.name
        drivers = {"sqlite": {"driver": "org.sqlite.JDBC"}, "mysql": _MYSQL, "postgresql": _POSTGRESQL}
        login = {"user": self.user, "password": self.password}
        return {
            "url": _sqlite_url(self.url) if name == "sqlite" else self.url,
            **drivers.get(name, {}),
            **{key: value for key, value in login.items() if value is not None},
        }


def _sqlite_url(url: str) -> str:
    """The URL for the JDBC driver: read-only, because it would make an empty file of a missing one.

    Raises SourceError when the file is not there, ConfigError for a URL that could write.
    """
    if not url.startswith(SQLITE):
        raise ConfigError("a SQLite file is named by sqlite:///path, not by a jdbc: URL")
    file = Path(url.removeprefix(SQLITE))
    if not file.is_file():
        raise SourceError(f"{file}: no such database file: check the source's 'url'")
    return f"jdbc:sqlite:file:{quote(str(file))}?mode=ro"


def _texts(names: Sequence[str]) -> str:
    """Spark's JDBC types for columns that are all text: left to itself it takes SQLite's expressions for numbers."""
    return ", ".join(f"`{name}` STRING" for name in names)
