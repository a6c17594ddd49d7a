"""The rows of a database as JSON, whatever its dialect: SQLite's can be read into MySQL, and the other way round."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, DateTime, LargeBinary, MetaData, Numeric, Table, select, text
from sqlalchemy.types import TypeEngine

from core.database.engine import MYSQL

_PAGE = 500

Change = Callable[[str], str]


def reflect(connection: Connection) -> dict[str, Table]:
    """The tables of a database by name, each after those that it refers to where that can be."""
    metadata = MetaData()
    metadata.reflect(connection)
    return {table.name: table for table in metadata.sorted_tables}


def snapshot(connection: Connection) -> None:
    """Let all that the connection's transaction reads be of one moment. SQLite's is, of itself."""
    if connection.dialect.name == MYSQL:
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        connection.execute(text("START TRANSACTION WITH CONSISTENT SNAPSHOT"))


def dump(connection: Connection, table: Table) -> Iterator[dict[str, Any]]:
    """Each row, as JSON takes it; what the database computes by itself is left out."""
    columns = [column for column in table.columns if column.computed is None]
    order = list(table.primary_key.columns) or columns[:1]
    result = connection.execution_options(stream_results=True).execute(select(*columns).order_by(*order))
    for row in result.mappings():
        yield {column.name: _plain(row[column.name]) for column in columns}


def load(connection: Connection, table: Table, rows: Iterator[Mapping[str, Any]], change: Change) -> int:
    """Insert rows that ``dump`` gave; texts are put in as ``change`` makes them. Returns how many."""
    types = {column.name: column.type for column in table.columns if column.computed is None}
    count, page = 0, []
    for row in rows:
        page.append({name: _typed(row.get(name), kind, change) for name, kind in types.items()})
        if len(page) == _PAGE:
            connection.execute(table.insert(), page)
            page = []
        count += 1
    if page:
        connection.execute(table.insert(), page)
    return count


def as_they_are(connection: Connection) -> None:
    """Let rows be put in whatever their order, and numbers be what they are: MySQL takes a 0 for "count on"."""
    if connection.dialect.name == MYSQL:
        connection.execute(text("SET FOREIGN_KEY_CHECKS=0"))
        connection.execute(text("SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')"))
    else:
        connection.execute(text("PRAGMA defer_foreign_keys=ON"))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _typed(value: Any, kind: TypeEngine[Any], change: Change) -> Any:
    if value is None:
        return None
    if isinstance(kind, LargeBinary):
        return base64.b64decode(value)
    if isinstance(kind, DateTime):
        return datetime.fromisoformat(value)
    if isinstance(kind, Numeric) and isinstance(value, str):
        return Decimal(value)
    return change(value) if isinstance(value, str) else value
