"""Folders and databases to read from."""

import sqlite3
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import pytest

from etl.sources.statement import Parameter

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


TEXTS = ("it's", "back\\slash", "\\'; --", 'q"`', "é€😀", "", "%_", ":a ; /* */", "a\nb\tc", "? $1 {d 'x'}", "'", "\\")


@pytest.fixture
def literals() -> tuple[str, dict[str, Parameter], dict[str, str | None]]:
    """A query of one row of parameters, the parameters, and the texts that it must give."""
    many = {f"t{i}": text for i, text in enumerate(TEXTS)}
    numbers = {"n": -(2**62), "f": -2.5, "absent": None}
    parameters: dict[str, Parameter] = {**many, **numbers, "texts": TEXTS, "day": date(2013, 1, 2), "at": datetime(2013, 1, 2, 3)}  # noqa: DTZ001
    columns = ", ".join(f":{name} AS {name}" for name in (*many, *numbers))
    sure = ":t0 IN (:texts) AND :n - :n = 0 AND :day < :at AND NOT (:t1 IN ('x;y', '--'))"
    expected = {name: None if value is None else str(value) for name, value in {**many, **numbers}.items()}
    return f"SELECT 1 AS id, {columns} FROM (SELECT 1 AS one) AS o WHERE {sure}", parameters, {"id": "1", **expected}  # noqa: S608
