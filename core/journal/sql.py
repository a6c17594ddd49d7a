"""The journal in the configuration database."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import IntegrityError

from core.database.database import Database
from core.database.schema import journal as table
from core.journal.journal import Entry, State
from core.retries import persist

_JSON = ("versions", "facts")
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class SqlJournal:
    """See Journal."""

    database: Database

    @property
    def place(self) -> str:
        """See Journal.place."""
        return self.database.place

    def begin(self, entry: Entry) -> Entry:
        """See Journal.begin."""

        def insert(connection: Connection) -> Entry:
            if kept := _get(connection, entry.id):  # the server ended after it had committed, and was asked again
                return kept
            pipeline, step, interval = entry.key
            same = (table.c.pipeline == pipeline, table.c.step == step, table.c.interval == interval)
            newest = connection.execute(select(func.max(table.c.attempt)).where(*same)).scalar()
            running = select(table.c.id).where(*same, table.c.state == State.RUNNING.value).order_by(table.c.attempt.desc())
            begun = replace(entry, attempt=(newest or 0) + 1, overlaps=connection.execute(running.limit(1)).scalar())
            connection.execute(table.insert().values(_row(begun)))
            return begun

        # another that took the number at the same moment is an IntegrityError: count again
        return persist(lambda: self.database.write(insert), lambda error: isinstance(error, IntegrityError))

    def end(self, entry: Entry) -> None:
        """See Journal.end."""
        statement = table.update().where(table.c.id == entry.id).values(_row(entry))
        self.database.write(lambda connection: connection.execute(statement))

    def get(self, entry_id: str) -> Entry | None:
        """See Journal.get."""
        return self.database.read(lambda connection: _get(connection, entry_id))

    def newest(self, pipeline: str | None = None, limit: int = 50) -> list[Entry]:
        """See Journal.newest."""
        statement = select(table).order_by(table.c.started.desc(), table.c.id.desc()).limit(limit)
        if pipeline is not None:
            statement = statement.where(table.c.pipeline == pipeline)
        return [_entry(row) for row in self.database.read(lambda connection: connection.execute(statement).mappings().all())]

    def entries(self) -> Iterator[Entry]:
        """See Journal.entries."""
        statement = select(table).order_by(table.c.started, table.c.id)
        return iter(_entry(row) for row in self.database.read(lambda connection: connection.execute(statement).mappings().all()))

    def load(self, entries: Iterable[Entry]) -> int:
        """See Journal.load; in one transaction."""
        rows = [_row(entry) for entry in entries]

        def insert(connection: Connection) -> None:
            connection.execute(table.delete())
            for at in range(0, len(rows), _PAGE):
                connection.execute(table.insert(), rows[at : at + _PAGE])

        self.database.write(insert)
        return len(rows)

    def close(self) -> None:
        """See Journal.close."""
        self.database.close()


def _get(connection: Connection, entry_id: str) -> Entry | None:
    row = connection.execute(select(table).where(table.c.id == entry_id)).mappings().first()
    return None if row is None else _entry(row)


def _row(entry: Entry) -> dict[str, Any]:
    document = entry.to_document()
    return {**document, **{key: json.dumps(document[key], sort_keys=True) for key in _JSON}}


def _entry(row: Mapping[Any, Any]) -> Entry:
    return Entry.from_document({**row, **{key: json.loads(row[key]) for key in _JSON}})
