"""Configurations as they were run: every text once, numbered in the order in which they came."""

from __future__ import annotations

import difflib
import getpass
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import IntegrityError

from core.database.database import Database
from core.database.schema import configurations as table
from core.errors import ConfigError
from core.retries import persist

PIPELINE, OVERLAY, RULES = "pipeline", "overlay", "rules"


@dataclass(frozen=True, slots=True)
class Configuration:
    """One version of a text. ``kind`` is ``pipeline``, ``overlay`` or ``rules``; ``digest`` the SHA-256 of ``text`` in UTF-8."""

    kind: str
    name: str
    version: int
    digest: str
    text: str
    author: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Configurations:
    """All versions of all texts in one database."""

    database: Database

    def push(self, kind: str, name: str, text: str, author: str | None = None) -> Configuration:
        """The version that ``text`` is: the one that it was before, else the next. Safe against others who do the same."""
        digest = hashlib.sha256(text.encode()).hexdigest()
        if found := self.find(kind, name, digest):
            return found
        row = {"kind": kind, "name": name, "digest": digest, "text": text, "author": author or user(), "created_at": _now()}

        def insert(connection: Connection) -> None:
            newest = connection.execute(select(func.max(table.c.version)).where(*_named(kind, name))).scalar()
            connection.execute(table.insert().values(version=(newest or 0) + 1, **row))

        def once() -> Configuration:
            try:
                self.database.write(insert)
            except IntegrityError:  # another took the number, or pushed the same text
                if self.find(kind, name, digest) is None:
                    raise
            return self.get(kind, name, digest=digest)

        return persist(once, lambda error: isinstance(error, IntegrityError))

    def find(self, kind: str, name: str, digest: str) -> Configuration | None:
        """The version with that digest, or None."""
        return self._first(*_named(kind, name), table.c.digest == digest)

    def get(self, kind: str, name: str, version: int | None = None, digest: str | None = None) -> Configuration:
        """A version by number or digest, or the newest; raises ConfigError saying what there is."""
        wanted = [table.c.version == version] if version else [table.c.digest == digest] if digest else []
        found = self._first(*_named(kind, name), *wanted)
        if found is None:
            raise ConfigError(f"no {kind} {name!r}{f' version {version}' if version else ''}: {self._hint(kind, name)}")
        return found

    def history(self, kind: str, name: str) -> list[Configuration]:
        """All versions, newest first; raises ConfigError when there is none."""
        statement = select(table).where(*_named(kind, name)).order_by(table.c.version.desc())
        found = [_configuration(row) for row in self.database.read(lambda c: c.execute(statement).mappings().all())]
        if not found:
            raise ConfigError(f"no {kind} {name!r}: {self._hint(kind, name)}")
        return found

    def diff(self, kind: str, name: str, old: int, new: int) -> str:
        """What changed from version ``old`` to ``new``, as a unified diff; empty for one and the same."""
        before, after = self.get(kind, name, old), self.get(kind, name, new)
        files = (f"{kind}/{name} version {old}", f"{kind}/{name} version {new}")
        return "".join(difflib.unified_diff(before.text.splitlines(True), after.text.splitlines(True), *files))

    def _first(self, *where: Any) -> Configuration | None:
        statement = select(table).where(*where).order_by(table.c.version.desc()).limit(1)
        row = self.database.read(lambda connection: connection.execute(statement).mappings().first())
        return None if row is None else _configuration(row)

    def _hint(self, kind: str, name: str) -> str:
        newest = self._first(*_named(kind, name))
        if newest is not None:
            return f"the newest is {newest.version}"
        statement = select(table.c.name).where(table.c.kind == kind).distinct().order_by(table.c.name)
        names = [row[0] for row in self.database.read(lambda connection: connection.execute(statement).all())]
        return f"there are: {', '.join(names)}" if names else "none was run or pushed yet"


def user() -> str:
    """Who runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"


def _named(kind: str, name: str) -> tuple[Any, ...]:
    return table.c.kind == kind, table.c.name == name


def _configuration(row: Mapping[Any, Any]) -> Configuration:
    return Configuration(**{**row, "created_at": datetime.fromisoformat(row["created_at"])})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
