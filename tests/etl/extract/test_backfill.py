"""Raw rows that come by intervals, in whatever order, and records that hold nothing: each is extracted or quarantined once."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from core.contracts import Interval, TableName
from core.lake.catalog import Lake
from core.lake.tables import read_table
from etl.extract import Extracted, extract
from etl.ingest import ingest
from etl.rules.config import RuleSet
from etl.sources.database import DatabaseSource

RAW, INTO = TableName.parse("raw.t"), TableName.parse("extracted.t")
RULES = """
version: 1
tables:
  - from: raw.t
    into: extracted.t
    rules:
      - {name: row, kind: sql, columns: [id, at], fields: {id: {type: long, required: true}, at: {type: timestamp}}}
"""


@pytest.fixture
def flights(tmp_path: Path) -> DatabaseSource:
    with closing(sqlite3.connect(tmp_path / "t.db")) as connection, connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME)")
        days = [(10 * day + n, f"2013-01-0{day} {6 * n:02}:30:00") for day in range(1, 4) for n in range(4)]
        connection.executemany("INSERT INTO t VALUES (?, ?)", days)
    return DatabaseSource(f"sqlite:///{tmp_path / 't.db'}", "t", "id", interval="at")


def test_days_that_come_in_any_order_are_extracted_once_each(
    spark: SparkSession, lake: Lake, rules: Callable[[str], RuleSet], flights: DatabaseSource
):
    table = rules(RULES).tables[0]
    new = []
    for day, end in (("2013-01-03", None), ("2013-01-01", None), ("2013-01-03", None), ("2013-01-01", "2013-01-04")):
        landed = ingest(lambda: spark, lake, flights, RAW, app="t", interval=Interval.parse(day, end))
        done = extract(spark, lake, table, app="x")
        assert done.rows_in == done.rows == landed.rows
        new.append(landed.rows)
    assert new == [4, 4, 0, 4]
    rows = read_table(spark, lake, INTO).collect()
    assert sorted(row.id for row in rows) == [10 * day + n for day in range(1, 4) for n in range(4)]
    assert {row._batch: row.id // 10 for row in rows} == {1: 3, 2: 1, 3: 2}


def test_a_tombstone_is_quarantined_and_counted(spark, lake, land, rules):
    land("raw.t", 1, [b'{"id": "1", "at": null}', None])
    assert extract(spark, lake, rules(RULES).tables[0], app="x") == Extracted(2, 1, 1, {"tombstone": 1})
    (row,) = read_table(spark, lake, TableName.parse("quarantine.t")).collect()
    assert (row.raw, row.reason) == (None, "tombstone")
