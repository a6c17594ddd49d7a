import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from core.contracts import Interval, TableName
from core.errors import MaasError, SourceError
from core.lake.catalog import Lake
from core.lake.tables import append, read_table
from etl.ingest import RAW_COLUMNS, ingest
from etl.sources.database import DatabaseSource
from etl.sources.files import FileSource
from etl.sources.source import Plan, Position, Session, Source


@dataclass(frozen=True)
class Disturbed:
    """A source to which something happens between plan and read."""

    source: Source
    disturb: object

    def plan(self, session: Session, position: Position | None, interval: Interval | None = None) -> Plan:
        return self.source.plan(session, position, interval)

    def read(self, spark: SparkSession, plan: Plan) -> DataFrame:
        rows = self.source.read(spark, plan)
        self.disturb()  # type: ignore[operator]
        return rows


def values(spark: SparkSession, lake: Lake, table: TableName) -> list[tuple[int, int, bytes]]:
    rows = read_table(spark, lake, table).orderBy("_source", "_offset").collect()
    return [(row._batch, row._offset, bytes(row.value)) for row in rows]


def test_each_run_adds_what_is_new_and_nothing_new_makes_no_commit(
    spark: SparkSession, home: Path, lake: Lake, log: FileSource, ops: TableName
):
    # given
    (home / "in" / "a.log").write_bytes(b"one\ntwo\n")
    first = ingest(lambda: spark, lake, log, ops, app="ops")
    assert (first.batch, first.rows, first.version) == (1, 2, 0)
    assert read_table(spark, lake, ops).columns == list(RAW_COLUMNS)
    # when nothing is new
    idle = ingest(lambda: spark, lake, log, ops, app="ops")
    assert (idle.batch, idle.rows, idle.version, idle.position) == (1, 0, 0, first.position)
    # when something is
    with (home / "in" / "a.log").open("ab") as end:
        end.write(b"three\n")
    second = ingest(lambda: spark, lake, log, ops, app="ops")
    assert (second.batch, second.rows, second.version) == (2, 1, 1)
    assert values(spark, lake, ops) == [(1, 0, b"one"), (1, 4, b"two"), (2, 8, b"three")]


def test_the_position_survives_other_writers_and_optimize(
    spark: SparkSession, home: Path, lake: Lake, log: FileSource, ops: TableName
):
    (home / "in" / "a.log").write_bytes(b"one\n")
    ingest(lambda: spark, lake, log, ops, app="ops")
    append(lake, read_table(spark, lake, ops).limit(0), ops, app="other", number=9, facts={})
    spark.sql(f"OPTIMIZE delta.`{lake.path(ops)}`")
    assert ingest(lambda: spark, lake, log, ops, app="ops").rows == 0


def test_two_sources_may_fill_one_table(spark: SparkSession, home: Path, lake: Lake, log: FileSource, ops: TableName):
    with closing(sqlite3.connect(home / "a.db")) as connection, connection:
        connection.execute("CREATE TABLE flights AS SELECT 5 AS id, 'x' AS name")
    (home / "in" / "a.log").write_bytes(b"one\n")
    database = DatabaseSource(f"sqlite:///{home / 'a.db'}", "flights", "id")
    assert ingest(lambda: spark, lake, log, ops, app="ops").batch == 1
    assert ingest(lambda: spark, lake, database, ops, app="flights").batch == 1
    assert {row._source for row in read_table(spark, lake, ops).collect()} == {"a.log", "flights"}
    assert ingest(lambda: spark, lake, database, ops, app="flights").rows == 0


def test_a_source_that_vanishes_mid_read_leaves_the_table_as_it_was(
    spark: SparkSession, home: Path, lake: Lake, log: FileSource, ops: TableName
):
    # given
    file = home / "in" / "a.log"
    file.write_bytes(b"one\n")
    ingest(lambda: spark, lake, log, ops, app="ops")
    file.write_bytes(b"one\ntwo\n")
    # when
    with pytest.raises(SourceError, match=r"a\.log went away while it was read.*run again$") as caught:
        ingest(lambda: spark, lake, Disturbed(log, file.unlink), ops, app="ops")
    file.write_bytes(b"one\ntwo\n")
    with pytest.raises(SourceError, match=r"a\.log shrank to 4 bytes"):
        ingest(lambda: spark, lake, Disturbed(log, lambda: os.truncate(file, 4)), ops, app="ops")
    # then
    assert "\n" not in caught.value.message
    assert values(spark, lake, ops) == [(1, 0, b"one")]
    # and when it is back
    file.write_bytes(b"one\ntwo\n")
    assert ingest(lambda: spark, lake, log, ops, app="ops").batch == 2
    assert values(spark, lake, ops) == [(1, 0, b"one"), (2, 4, b"two")]


def test_a_table_that_vanishes_mid_read_is_one_line(spark: SparkSession, home: Path, lake: Lake, ops: TableName):
    file = home / "a.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE t AS SELECT 5 AS id")
    source = DatabaseSource(f"sqlite:///{file}", "t", "id")

    def drop() -> None:
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("DROP TABLE t")

    with pytest.raises(MaasError, match="no such table") as caught:
        ingest(lambda: spark, lake, Disturbed(source, drop), ops, app="ops")
    assert "\n" not in caught.value.message
    assert not lake.exists(ops)


def test_what_is_written_while_a_run_reads_waits_for_the_next(
    spark: SparkSession, home: Path, lake: Lake, log: FileSource, ops: TableName
):
    file = home / "in" / "a.log"
    file.write_bytes(b"one\n")

    def grow() -> None:
        with file.open("ab") as end:
            end.write(b"two\n")

    assert ingest(lambda: spark, lake, Disturbed(log, grow), ops, app="ops").rows == 1
    assert ingest(lambda: spark, lake, log, ops, app="ops").rows == 1
    assert values(spark, lake, ops) == [(1, 0, b"one"), (2, 4, b"two")]


def test_a_batch_that_a_killed_run_got_through_is_not_written_twice(
    spark: SparkSession, home: Path, lake: Lake, log: FileSource, ops: TableName
):
    # given a run whose engine commits after this one has planned
    file = home / "in" / "a.log"
    file.write_bytes(b"one\n")

    def zombie() -> None:
        plan = log.plan(lambda: spark, None)
        rows = read_table(spark, lake, TableName.parse("raw.seed")).select(*RAW_COLUMNS)
        append(lake, rows, ops, app="ops", number=1, facts={"position": plan.position})
        with file.open("ab") as end:
            end.write(b"two\n")

    ingest(lambda: spark, lake, log, TableName.parse("raw.seed"), app="seed")
    once = [zombie]
    # when
    done = ingest(lambda: spark, lake, Disturbed(log, lambda: once.pop()() if once else None), ops, app="ops")
    # then
    assert done.batch == 2
    assert values(spark, lake, ops) == [(1, 0, b"one"), (2, 4, b"two")]
