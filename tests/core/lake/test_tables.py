from contextlib import contextmanager
from pathlib import Path

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from core.contracts import TableName
from core.errors import CorruptFile, MaasError, TableError
from core.lake import tables
from core.lake.catalog import Lake
from core.lake.tables import append, overwrite, read_table


def ids(spark: SparkSession, lake: Lake, table: TableName, version: int | None = None) -> list[int]:
    return sorted(row.id for row in read_table(spark, lake, table, version).collect())


def test_a_committed_number_is_not_written_again(spark: SparkSession, lake: Lake, flights: TableName):
    first = append(lake, spark.range(3), flights, app="a", number=1, facts={"n": 1})
    again = append(lake, spark.range(3), flights, app="a", number=1, facts={"n": 2})
    other = append(lake, spark.range(3, 4), flights, app="b", number=1, facts={})
    assert (first.version, first.written) == (0, True)
    assert (again.version, again.written) == (0, False)
    assert (other.version, other.written) == (1, True)
    assert ids(spark, lake, flights) == [0, 1, 2, 3]
    assert lake.facts(flights, "a") == {"app": "a", "number": 1, "n": 1}


def test_overwrite_replaces_rows_and_schema_and_keeps_older_versions(spark: SparkSession, lake: Lake, flights: TableName):
    overwrite(lake, spark.range(3), flights, app="a", number=1, facts={})
    commit = overwrite(lake, spark.range(2).selectExpr("id", "'x' AS name"), flights, app="a", number=2, facts={})
    assert commit.version == 1
    assert read_table(spark, lake, flights).columns == ["id", "name"]
    assert ids(spark, lake, flights, version=0) == [0, 1, 2]
    assert not overwrite(lake, spark.range(9), flights, app="a", number=2, facts={}).written


def test_an_empty_frame_makes_an_empty_table(spark: SparkSession, lake: Lake, flights: TableName):
    append(lake, spark.range(0), flights, app="a", number=1, facts={})
    assert ids(spark, lake, flights) == []
    assert lake.info(flights).rows == lake.snapshot(flights).rows == 0


def test_a_schema_that_does_not_fit_is_one_line_and_changes_nothing(spark: SparkSession, lake: Lake, flights: TableName):
    append(lake, spark.range(3), flights, app="a", number=1, facts={})
    with pytest.raises(TableError) as caught:
        append(lake, spark.range(3).selectExpr("id AS other"), flights, app="a", number=2, facts={})
    assert "raw.flights" in caught.value.message
    assert "\n" not in caught.value.message
    assert lake.version(flights) == 0
    assert lake.number(flights, "a") == 1


def test_a_failing_row_is_one_line_and_leaves_no_table(spark: SparkSession, lake: Lake, flights: TableName):
    rows = spark.range(3).selectExpr("10 div id AS id")
    with pytest.raises(MaasError, match=r"raw\.flights") as caught:
        append(lake, rows, flights, app="a", number=1, facts={})
    assert "\n" not in caught.value.message
    assert "zero" in caught.value.message.lower()
    assert not lake.exists(flights)


def test_a_lake_in_a_place_that_cannot_be_written_is_one_line(spark: SparkSession, flights: TableName, tmp_path: Path):
    lake = Lake(tmp_path)
    (tmp_path / "raw").write_text("a file where a folder should be")
    with pytest.raises(MaasError) as caught:
        append(lake, spark.range(3), flights, app="a", number=1, facts={})
    assert "\n" not in caught.value.message


def test_an_error_of_ours_in_a_worker_comes_out_as_itself(spark: SparkSession, lake: Lake, flights: TableName):
    def fail(batches):
        from core.errors import CorruptFile

        raise CorruptFile("part-7 is damaged: restore it")
        yield from batches

    with pytest.raises(CorruptFile, match=r"^part-7 is damaged: restore it$"):
        append(lake, spark.range(3).mapInArrow(fail, "id long"), flights, app="a", number=1, facts={})
    assert not lake.exists(flights)


def test_a_missing_version_is_a_table_error(spark: SparkSession, lake: Lake, flights: TableName):
    with pytest.raises(TableError, match="run step 'ingest'"):
        read_table(spark, lake, flights)


def test_a_lost_race_is_tried_again_and_a_commit_of_ours_is_not_repeated(
    spark: SparkSession, lake: Lake, flights: TableName, monkeypatch: pytest.MonkeyPatch
):
    append(lake, spark.range(3), flights, app="a", number=1, facts={})
    rivals = iter(["other", "a"])
    real = tables.spark_failures

    @contextmanager
    def overtaken(table, *places):
        rival = next(rivals, None)
        if rival is None:
            with real(table, *places):
                yield
            return
        options = {"txnAppId": rival, "txnVersion": 2}
        spark.range(10, 11).write.format("delta").mode("append").options(**options).save(lake.path(flights))
        with real(table, *places):
            raise PySparkException("[DELTA_CONCURRENT_APPEND] ConcurrentAppendException: files were added")
            yield

    monkeypatch.setattr(tables, "spark_failures", overtaken)
    commit = append(lake, spark.range(10, 11), flights, app="a", number=2, facts={})
    assert (commit.version, commit.written) == (2, False)
    assert ids(spark, lake, flights) == [0, 1, 2, 10, 10]
