"""How databases want names quoted, values turned into text, and moments written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    DataType,
    DateType,
    FloatType,
    IntegralType,
    TimestampNTZType,
    TimestampType,
)

from core.errors import ConfigError

SQLITE = "sqlite:///"
_NAME = re.compile(r"[^\x00-\x1f\"`;]{1,128}")
_TEXT = {"mysql": "CHAR", "mariadb": "CHAR", "postgresql": "TEXT", "sqlite": "TEXT"}
_MYSQL = {"mysql", "mariadb"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """The SQL of one kind of database: ``sqlite``, or the second part of a ``jdbc:`` URL."""

    name: str

    @property
    def is_mysql(self) -> bool:
        """Whether it is MySQL or MariaDB."""
        return self.name in _MYSQL

    def quoted(self, name: str) -> str:
        """An identifier, safe to stand in SQL; raises ConfigError for one with quotes, semicolons or control characters."""
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{name[:80]!r} cannot be a table or column: it holds a quote, ';' or a control character")
        return f"`{name}`" if self.is_mysql else f'"{name}"'

    def text(self, expression: str) -> str:
        """``expression`` as text."""
        return f"CAST({expression} AS {_TEXT.get(self.name, 'VARCHAR(4000)')})"

    def value(self, name: str, kind: DataType) -> str:
        """A column's value as text that loses nothing; bytes in hexadecimal, PostgreSQL's arrays as JSON.

        SQLite's own cast cuts floats to 15 digits and takes a blob for text; MySQL's cuts FLOAT to 6 digits, and takes bits and
        blobs for text. PostgreSQL's is exact; Spark takes its bit strings for bytes.
        """
        column = self.quoted(name)
        text = self.text(column)
        if self.name == "sqlite":
            exact = f"CASE WHEN CAST({text} AS REAL) = {column} THEN {text} ELSE printf('%!.17g', {column}) END"
            return f"CASE typeof({column}) WHEN 'real' THEN {exact} WHEN 'blob' THEN hex({column}) ELSE {text} END"
        if self.is_mysql and isinstance(kind, BinaryType):
            return f"HEX({column})"
        if self.is_mysql and isinstance(kind, FloatType | BooleanType | IntegralType):
            return self.text(f"({column} + {'0e0' if isinstance(kind, FloatType) else '0'})")
        if self.name == "postgresql" and isinstance(kind, BinaryType):
            return f"CASE CAST(pg_typeof({column}) AS TEXT) WHEN 'bytea' THEN upper(substr({text}, 3)) ELSE {text} END"
        if self.name == "postgresql" and isinstance(kind, ArrayType):
            return self.text(f"to_json({column})")
        return text

    def moment(self, name: str, kind: DataType) -> str:
        """A column's time in UTC, to be held against ``instant``; null where it has none. Raises ConfigError for other types."""
        column = self.quoted(name)
        if self.name == "sqlite":  # it has no type for times: texts in any of its forms
            return f"strftime('%Y-%m-%d %H:%M:%f', {column})"
        if not isinstance(kind, DateType | TimestampType | TimestampNTZType):
            raise ConfigError(f"column {name!r} is of type {kind.simpleString()}: an interval needs a date or timestamp")
        return column

    def instant(self, when: datetime) -> str:
        """A moment in UTC as a literal."""
        if self.name == "sqlite":
            return f"'{when:%Y-%m-%d %H:%M:%S}.{when.microsecond // 1000:03}'"
        return f"TIMESTAMP '{when:%Y-%m-%d %H:%M:%S}.{when.microsecond:06}'"


def dialect_of(url: str) -> Dialect:
    """The dialect that a source's URL speaks."""
    return Dialect("sqlite" if url.startswith(SQLITE) else url.split(":", 2)[1])
