"""Compaction keeps rows, columns, positions and what was made from the table; older versions stay readable."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from core.contracts import TableName
from core.errors import TableError
from core.lake.catalog import Lake
from core.lake.compaction import Compaction, compact
from core.lake.tables import append, overwrite, read_table
from training.data.inspection import inspect
from training.data.reader import plan_shards, read_rows
from training.spec import SplitFiles, TrainingSpec

COLUMNS = ["id", "DATE'2026-01-01' + CAST(id AS INT) AS day", "nullif(id % 5, 0) / 3 AS third", "concat('ä', id % 2) AS split"]


def some(spark: SparkSession, first: int, count: int) -> DataFrame:
    return spark.range(first, first + count, numPartitions=3).selectExpr(
        *COLUMNS, "binary(string(id)) AS raw", "now() AS at", "array(id) AS many"
    )


def ordered(spark: SparkSession, lake: Lake, table: TableName, version: int | None = None) -> list[object]:
    return read_table(spark, lake, table, version).orderBy("id").collect()


@pytest.fixture
def scattered(spark: SparkSession, lake: Lake, flights: TableName) -> TableName:
    """Three commits, each of several files in two partitions."""
    for number in (1, 2, 3):
        facts = {"position": {"file": number * 10}}
        append(lake, some(spark, number * 10, 10), flights, app="ours", number=number, facts=facts, partition_by=("split",))
    return flights


def test_rows_columns_and_positions_stay_and_files_become_few(spark: SparkSession, lake: Lake, scattered: TableName):
    before, schema = ordered(spark, lake, scattered), read_table(spark, lake, scattered).schema
    done = compact(spark, lake, scattered)
    assert done.changed
    assert (done.before.version, done.after.version) == (2, 3)
    assert done.before.files > done.after.files == 2
    assert done.before.rows == done.after.rows == 30
    assert ordered(spark, lake, scattered) == before
    assert read_table(spark, lake, scattered).schema == schema
    assert lake.number(scattered, "ours") == 3
    assert lake.facts(scattered, "ours") == {"app": "ours", "number": 3, "position": {"file": 30}}
    assert [str(row) for row in ordered(spark, lake, scattered, 1)] == [str(row) for row in before[:20]]
    # and the next number goes on from there, once
    assert not append(lake, some(spark, 90, 1), scattered, app="ours", number=3, facts={}).written
    assert append(lake, some(spark, 90, 1), scattered, app="ours", number=4, facts={}).version == 4


def test_a_second_time_nothing_is_written(spark: SparkSession, lake: Lake, scattered: TableName):
    compact(spark, lake, scattered)
    again = compact(spark, lake, scattered)
    assert not again.changed
    assert again.before is again.after
    assert lake.version(scattered) == 3


def test_compaction_makes_no_new_version_of_the_rows(spark: SparkSession, lake: Lake, scattered: TableName):
    assert lake.rows_version(scattered) == 2
    compact(spark, lake, scattered)
    assert (lake.version(scattered), lake.rows_version(scattered), lake.rows_version(scattered, 1)) == (3, 2, 1)
    append(lake, some(spark, 90, 1), scattered, app="b", number=1, facts={})
    assert lake.rows_version(scattered) == 4
    overwrite(lake, spark.range(0).selectExpr("id"), scattered, app="c", number=1, facts={})
    assert lake.rows_version(scattered) == 5
    assert lake.rows_version(TableName.parse("raw.none")) is None


def test_one_file_needs_no_engine_and_a_missing_table_is_named(spark: SparkSession, lake: Lake, flights: TableName):
    append(lake, spark.range(3).coalesce(1), flights, app="a", number=1, facts={})
    done = Compaction.none(lake, flights)
    assert done is not None and not done.changed and done.after.files == 1
    append(lake, spark.range(3).coalesce(1), flights, app="a", number=2, facts={})
    assert Compaction.none(lake, flights) is None
    with pytest.raises(TableError, match=r"no table raw\.none: run step 'ingest'"):
        compact(spark, lake, TableName.parse("raw.none"))


def test_the_session_is_left_as_it_was(spark: SparkSession, lake: Lake, scattered: TableName):
    key = "spark.databricks.delta.optimize.maxFileSize"
    kept = spark.conf.get(key)
    compact(spark, lake, scattered)
    assert spark.conf.get(key) == kept


def labelled(lake: Lake, table: TableName) -> Iterator[tuple[float, ...]]:
    files = {name: lake.snapshot(table, partition={"split": name}).files for name in ("train", "validation", "test")}
    spec = TrainingSpec(files=SplitFiles(**files), features=("value",), label="late")
    for shard in plan_shards(inspect(spec)["train"], spec.features, spec.label, 2):
        for rows in read_rows(shard):
            yield from map(tuple, rows.features.tolist())


@pytest.mark.filterwarnings("ignore:.*deprecated:FutureWarning", "ignore:.*deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.filterwarnings("ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning")
def test_training_reads_the_same_rows_from_the_new_files(spark: SparkSession, lake: Lake):
    table = TableName.parse("features.flights")
    rows = spark.range(300).selectExpr(
        "CAST(id AS FLOAT) AS value",
        "CAST(id % 7 < 3 AS DOUBLE) AS late",
        "element_at(array('train', 'validation', 'test'), CAST(id % 3 AS INT) + 1) AS split",
    )
    append(lake, rows.repartition(4), table, app="a", number=1, facts={}, partition_by=("split",))
    before = sorted(labelled(lake, table))
    assert compact(spark, lake, table).after.files == 3
    assert len(before) == 100
    assert sorted(labelled(lake, table)) == before
    assert all(Path(file).with_name(f".{Path(file).name}.crc").is_file() for file in lake.snapshot(table).files)
