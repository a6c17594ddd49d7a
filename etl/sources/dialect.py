"""How databases want names quoted and values turned into text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from core.errors import ConfigError, SourceError

SQLITE = "sqlite:///"
_NAME = re.compile(r"[^\x00-\x1f\"`;]{1,128}")
_TEXT = {"mysql": "CHAR", "mariadb": "CHAR", "postgresql": "TEXT", "sqlite": "TEXT"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """The SQL of one kind of database: ``sqlite``, or the second part of a ``jdbc:`` URL."""

    name: str

    def quoted(self, name: str) -> str:
        """An identifier, safe to stand in SQL; raises ConfigError for one with quotes, semicolons or control characters."""
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{name[:80]!r} cannot be a table or column: it holds a quote, ';' or a control character")
        return f"`{name}`" if self.name in {"mysql", "mariadb"} else f'"{name}"'

    def text(self, expression: str) -> str:
        """``expression`` as text."""
        return f"CAST({expression} AS {_TEXT.get(self.name, 'VARCHAR(4000)')})"

    def value(self, name: str) -> str:
        """A column's value as text that loses nothing: SQLite's own cast cuts floats to 15 digits and takes a blob for text."""
        column = self.quoted(name)
        text = self.text(column)
        if self.name != "sqlite":
            return text
        exact = f"CASE WHEN CAST({text} AS REAL) = {column} THEN {text} ELSE printf('%!.17g', {column}) END"
        return f"CASE typeof({column}) WHEN 'real' THEN {exact} WHEN 'blob' THEN hex({column}) ELSE {text} END"


def dialect_of(url: str) -> Dialect:
    """The dialect that a source's URL speaks."""
    return Dialect("sqlite" if url.startswith(SQLITE) else url.split(":", 2)[1])


def jdbc_url(url: str) -> str:
    """The URL for the JDBC driver; SQLite is opened read-only, because it would make an empty file of a missing one.

    Raises SourceError when the SQLite file is not there, ConfigError for SQLite by a URL that could write.
    """
    if not url.startswith(SQLITE):
        if url.startswith("jdbc:sqlite:"):
            raise ConfigError("a SQLite file is named by sqlite:///path, not by a jdbc: URL")
        return url
    file = Path(url.removeprefix(SQLITE))
    if not file.is_file():
        raise SourceError(f"{file}: no such database file: check the source's 'url'")
    return f"jdbc:sqlite:file:{quote(str(file))}?mode=ro"
