import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from core.contracts import TableName
from core.errors import ConfigError, SourceError
from core.lake.catalog import Lake
from core.lake.tables import read_table
from core.settings import Settings
from etl.ingest import ingest
from etl.sources.config import DatabaseConfig, open_source
from etl.sources.database import DatabaseSource
from etl.sources.source import Plan, Source
from etl.sources.statement import Parameter

Build = Callable[[str, list[tuple[object, ...]]], str]
KEYED = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)"


def opened(**given: Any) -> Any:
    return open_source(DatabaseConfig(**given), Settings(root=Path("/")))


def read(spark: SparkSession, source: Source, plan: Plan) -> list[tuple[int, dict[str, str | None]]]:
    return [(row._offset, json.loads(bytes(row.value))) for row in source.read(spark, plan).orderBy("_offset").collect()]


def test_rows_above_the_watermark_come_as_text_or_null(spark: SparkSession, database: Build):
    # given values that drivers are known to spoil: text in a numeric column, exact floats, blobs, dates, NUL, no type at all
    schema = 'CREATE TABLE t (id INTEGER PRIMARY KEY, "n n" NUMERIC, f REAL, b BLOB, d DATETIME, x)'
    rows = [
        (-3, "not a number", 0.1 + 0.2, b"\xff\x00", "2013-01-01 05:00", 'q"\0é'),
        (7, 12, 1.5, None, None, 2**53 + 1),
        (9, "007", 1e300, b"", "x" * 5000, -0.0),
    ]
    source = DatabaseSource(database(schema, rows), "t", "id")
    # when
    plan = source.plan(lambda: spark, None)
    found = read(spark, source, plan)
    # then
    assert plan.position == {"watermark": 9}
    assert [offset for offset, _ in found] == [-3, 7, 9]
    assert list(found[0][1]) == ["id", "n n", "f", "b", "d", "x"]
    assert found[0][1] == {
        "id": "-3", "n n": "not a number", "f": "0.30000000000000004", "b": "FF00", "d": "2013-01-01 05:00", "x": 'q"\0é',
    }  # fmt: skip
    assert found[1][1] == {"id": "7", "n n": "12", "f": "1.5", "b": None, "d": None, "x": "9007199254740993"}
    assert float(str(found[2][1]["f"])) == 1e300
    assert found[2][1]["n n"] == "7"  # as SQLite stores it
    assert found[2][1]["d"] == "x" * 5000


def test_only_new_rows_are_planned_and_read(spark: SparkSession, database: Build):
    url = database(KEYED, [(1, "a"), (2, "b")])
    source = DatabaseSource(url, "t", "id", ("name",))
    first = source.plan(lambda: spark, None)
    assert source.plan(lambda: spark, first.position).ranges == ()
    database("SELECT 1", [(5, "c")])
    second = source.plan(lambda: spark, json.loads(json.dumps(first.position)))
    database("SELECT 1", [(6, "after the plan")])
    assert read(spark, source, second) == [(5, {"name": "c"})]
    assert read(spark, source, source.plan(lambda: spark, second.position)) == [(6, {"name": "after the plan"})]


def test_an_empty_table_is_nothing_new_and_its_first_row_is_not_lost(spark: SparkSession, database: Build):
    source = DatabaseSource(database(KEYED, []), "t", "id")
    assert source.plan(lambda: spark, None).ranges == ()
    database("SELECT 1", [(1, "a")])
    assert read(spark, source, source.plan(lambda: spark, None)) == [(1, {"id": "1", "name": "a"})]


def test_a_large_table_is_read_in_slices_that_meet(spark: SparkSession, database: Build):
    url = database(
        "CREATE TABLE t AS WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 2 FROM c LIMIT 600000) SELECT i FROM c", []
    )
    source = DatabaseSource(url, "t", "i")
    plan = source.plan(lambda: spark, None)
    assert len(plan.ranges) == 3
    found = source.read(spark, plan).selectExpr("count(*) n", "count(distinct _offset) k", "max(_offset) m").collect()[0]
    assert (found.n, found.k, found.m) == (600_000, 600_000, 1_199_999)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(1, 1), (None, 2)], "is null in 1 rows"),
        ([(1, 1), (1, 2), (2, 3)], "holds 1 values more than once"),
        ([(1, 1), ("x", 2)], "holds 'x', which is no integer"),
        ([(1.5, 1)], "holds '1.5', which is no integer"),
    ],
)
def test_a_column_that_cannot_be_a_watermark_is_refused(
    spark: SparkSession, database: Build, rows: list[tuple[object, ...]], message: str
):
    source = DatabaseSource(database("CREATE TABLE t (w, x)", rows), "t", "w")
    with pytest.raises(SourceError, match=f"the watermark 'w' of table 't' {message}: name a column of integers"):
        source.plan(lambda: spark, None)


def test_a_missing_file_is_an_error_and_is_not_made(spark: SparkSession, tmp_path: Path):
    with pytest.raises(SourceError, match=r"none\.db: no such database file"):
        DatabaseSource(f"sqlite:///{tmp_path / 'none.db'}", "t", "id").plan(lambda: spark, None)
    assert not (tmp_path / "none.db").exists()


def test_what_is_no_database_is_one_line(spark: SparkSession, tmp_path: Path):
    (tmp_path / "text.db").write_text("not a database " * 400)
    with pytest.raises(SourceError, match="not a database") as caught:
        DatabaseSource(f"sqlite:///{tmp_path / 'text.db'}", "t", "id").plan(lambda: spark, None)
    assert "\n" not in caught.value.message


def test_missing_tables_and_columns_are_named(spark: SparkSession, database: Build):
    url = database(KEYED, [(1, "a")])
    with pytest.raises(SourceError, match=r"'tt' cannot be read.*no such table: tt"):
        DatabaseSource(url, "tt", "id").plan(lambda: spark, None)
    with pytest.raises(ConfigError, match="table 't' has no column 'idd': did you mean 'id'"):
        DatabaseSource(url, "t", "idd").plan(lambda: spark, None)
    with pytest.raises(ConfigError, match="no column 'Name'"):
        DatabaseSource(url, "t", "id", ("Name",)).plan(lambda: spark, None)


@pytest.mark.parametrize("name", ['t"; DROP TABLE t; --', "t`", "t;", "a\nb", ""])
def test_names_cannot_carry_sql(spark: SparkSession, database: Build, name: str):
    with pytest.raises(ConfigError, match="cannot be a table or column"):
        DatabaseSource(database(KEYED, [(1, "a")]), name, "id").plan(lambda: spark, None)


def test_no_password_stands_in_an_error(spark: SparkSession):
    url = "jdbc:nosuch://ann:secret@127.0.0.1:1/x"
    with pytest.raises(SourceError) as caught:
        DatabaseSource(url, "t", "id").plan(lambda: spark, None)
    assert "secret" not in caught.value.message


def test_a_query_is_read_on_by_its_watermark_with_its_parameters(
    spark: SparkSession, database: Build, literals: tuple[str, dict[str, Parameter], dict[str, str | None]]
):
    query, parameters, expected = literals
    url = database(KEYED, [(1, "a"), (2, "b"), (3, "a")])
    given = {"kind": "database", "url": url, "watermark": "id"}
    text = "SELECT id, upper(name) AS big FROM t WHERE name IN (:names)"
    source = opened(**given, query=text, parameters={"names": ["a", "c'"]})
    plan = source.plan(lambda: spark, None)
    assert read(spark, source, plan) == [(1, {"id": "1", "big": "A"}), (3, {"id": "3", "big": "A"})]
    assert {row._source for row in source.read(spark, plan).collect()} == {"query"}
    database("SELECT 1", [(4, "c'"), (5, "d")])
    assert read(spark, source, source.plan(lambda: spark, plan.position)) == [(4, {"id": "4", "big": "C'"})]
    every = opened(**given, query=query, parameters=parameters)
    assert read(spark, every, every.plan(lambda: spark, None)) == [(1, expected)]
    with pytest.raises(SourceError, match=r"table 'query' cannot be read.*no such table: tt"):
        opened(**given, query="SELECT id FROM tt").plan(lambda: spark, None)


def test_a_table_that_is_read_whole_is_a_snapshot_whenever_its_rows_are_others(
    spark: SparkSession, tmp_path: Path, database: Build
):
    # given
    lake, into = Lake(tmp_path / "lake"), TableName.parse("raw.t")
    url = database("CREATE TABLE t (name TEXT, n INTEGER)", [("a", 1), ("a", 1), ("b", None), ("c", -900)])

    def land(**more: object) -> int:
        source = opened(kind="database", url=url, table="t", mode="whole", **more)
        return ingest(lambda: spark, lake, source, into, app="t").rows

    # when
    assert [land(), land(partition={"column": "n", "count": 3})] == [4, 0]
    database("DELETE FROM t WHERE n = 1", [])
    assert [land(partition={"column": "n", "count": 3}), land()] == [2, 0]
    database("UPDATE t SET name = 'd'", [])
    assert land() == 2
    database("DELETE FROM t", [])
    assert land() == 0
    # then
    rows = read_table(spark, lake, into).collect()
    assert len({(row._source, row._offset) for row in rows}) == len(rows) == 8
    kept = sorted((row._source, json.loads(bytes(row.value))["name"]) for row in rows)
    assert kept == [*(("t@1", name) for name in "aabc"), ("t@2", "b"), ("t@2", "c"), ("t@3", "d"), ("t@3", "d")]


def test_a_snapshot_that_was_planned_is_the_one_that_is_read(spark: SparkSession, database: Build):
    source = opened(kind="database", url=database(KEYED, [(1, "a")]), table="t", mode="whole", columns=["name"])
    plan = source.plan(lambda: spark, None)
    database("SELECT 1", [(2, "later")])
    assert [value for _, value in read(spark, source, plan)] == [{"name": "a"}]
    other = opened(kind="database", url=source.relation.database.url, table="t", mode="whole", columns=["name"])
    assert [value for _, value in read(spark, other, plan)] == [{"name": "a"}, {"name": "later"}]
    database("UPDATE t SET name = 'x'", [])
    with pytest.raises(SourceError, match="partition column 'name' of table 't' holds 'x': name one of integers"):
        replace(source, partition=("name", 2)).plan(lambda: spark, None)
