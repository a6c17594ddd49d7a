"""Folders and databases to read from."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

Rows = list[tuple[object, ...]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "in"
    place.mkdir()
    return place


@pytest.fixture
def database(tmp_path: Path) -> Callable[[str, Rows], str]:
    """Run SQL, then insert rows into table t; returns the source's URL."""

    def build(schema: str, rows: Rows) -> str:
        with sqlite3.connect(tmp_path / "a b.db") as connection:
            connection.execute(schema)
            for row in rows:
                connection.execute(f"INSERT INTO t VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608
        connection.close()
        return f"sqlite:///{tmp_path / 'a b.db'}"

    return build
