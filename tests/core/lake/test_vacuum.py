"""What a vacuum takes and what it never takes. Time passes by moving the cutoff."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from core.contracts import TableName
from core.errors import CorruptFile, TableError
from core.lake.catalog import Lake
from core.lake.compaction import compact
from core.lake.holds import Hold, Holds
from core.lake.tables import append, overwrite, read_table
from core.lake.vacuum import vacuum
from core.storage.local import LocalStorage

FEATURES = TableName.parse("features.flights")


def later() -> datetime:
    """A cutoff that all that was written until now is older than."""
    return datetime.now(UTC) + timedelta(seconds=5)


@pytest.fixture
def holds(lake: Lake) -> Holds:
    return Holds(lake, lambda: LocalStorage(Path(lake.place) / "_holds"))


def write(spark: SparkSession, lake: Lake, table: TableName, *counts: int) -> None:
    """Versions 0, 1, … of so many rows, each in place of the one before."""
    for number, count in enumerate(counts, 1):
        overwrite(lake, spark.range(count), table, app="a", number=number, facts={"n": number})


def data_files(lake: Lake, table: TableName) -> set[str]:
    return {f"{lake.path(table)}/{file.path}" for file in lake.files.walk(lake.path(table)) if file.path.endswith(".parquet")}


def readable(spark: SparkSession, lake: Lake, table: TableName, version: int, rows: int) -> bool:
    return set(lake.snapshot(table, version).files) <= data_files(lake, table) and (
        len(read_table(spark, lake, table, version).collect()) == rows
    )


def test_only_what_no_kept_version_names_goes(spark: SparkSession, lake: Lake, flights: TableName, holds: Holds):
    # given versions 0 to 3, of which 1 is held here and 2 by a model
    write(spark, lake, flights, 3, 4, 5, 6)
    log = {file.path for file in lake.files.walk(f"{lake.path(flights)}/_delta_log")}
    orphan = Path(lake.path(flights)) / "part-00000-orphan.snappy.parquet"
    orphan.write_bytes(b"PAR1")
    holds.add(flights, 1, "audit of March", "ada")
    by_model = Hold(flights, 2, "trained on it", "model flights:1")
    elsewhere = Hold(FEATURES, 0, "trained on it", "model flights:2")
    # when all is younger than the retention time, nothing goes
    assert vacuum(holds, flights, datetime.now(UTC) - timedelta(days=7), [by_model, elsewhere]).files == ()
    # when nothing is, a dry run names what goes
    there = data_files(lake, flights)
    first = {*lake.snapshot(flights, 0).files, str(orphan)}
    would = vacuum(holds, flights, later(), [by_model, elsewhere], dry_run=True)
    assert {f"{lake.path(flights)}/{file.path}" for file in would.files if not file.path.startswith(".")} == first
    assert data_files(lake, flights) == there
    # then that goes
    done = vacuum(holds, flights, later(), [by_model, elsewhere])
    assert (done.files, done.kept_from, [hold.version for hold in done.held]) == (would.files, 3, [1, 2])
    assert done.bytes > 0
    assert data_files(lake, flights) == there - first
    assert not list(Path(lake.path(flights)).glob(f".{Path(min(first)).name}.crc"))
    for version, rows in ((1, 4), (2, 5), (3, 6)):
        assert readable(spark, lake, flights, version, rows)
    assert {file.path for file in lake.files.walk(f"{lake.path(flights)}/_delta_log")} == log
    assert lake.facts(flights, "a") == {"app": "a", "number": 4, "n": 4}
    # and again there is nothing left to take
    assert vacuum(holds, flights, later(), [by_model]).files == ()
    # until the holds are given up
    holds.release(flights, 1)
    assert vacuum(holds, flights, later()).files
    assert data_files(lake, flights) == set(lake.snapshot(flights, 3).files)


def test_versions_within_the_retention_time_stay(spark: SparkSession, lake: Lake, flights: TableName, holds: Holds):
    write(spark, lake, flights, 3)
    between = datetime.now(UTC)
    write(spark, lake, flights, 3, 4, 5)
    assert vacuum(holds, flights, between).kept_from == 0
    assert all(readable(spark, lake, flights, version, rows) for version, rows in enumerate((3, 4, 5)))


def test_partitions_of_any_letters_keep_their_live_files(spark: SparkSession, lake: Lake, flights: TableName, holds: Holds):
    rows = spark.range(10).selectExpr("id", "concat('ä b%/', id % 2) AS split")
    append(lake, rows, flights, app="a", number=1, facts={}, partition_by=("split",))
    append(lake, rows, flights, app="a", number=2, facts={}, partition_by=("split",))
    compact(spark, lake, flights)
    taken = vacuum(holds, flights, later())
    assert taken.files
    assert data_files(lake, flights) == set(lake.snapshot(flights).files)
    assert read_table(spark, lake, flights).count() == 20


def test_the_newest_dataset_stays_when_its_rows_were_compacted(spark: SparkSession, lake: Lake, holds: Holds):
    append(lake, spark.range(8).repartition(3), FEATURES, app="a", number=1, facts={})
    assert compact(spark, lake, FEATURES).changed
    done = vacuum(holds, FEATURES, later())
    assert (done.files, done.kept_from, [hold.version for hold in done.held]) == ((), 1, [0])
    assert readable(spark, lake, FEATURES, 0, 8)


def test_a_held_version_that_is_not_in_the_log_stops_the_vacuum(
    spark: SparkSession, lake: Lake, flights: TableName, holds: Holds
):
    write(spark, lake, flights, 3, 4)
    there = data_files(lake, flights)
    with pytest.raises(TableError, match=r"not vacuumed: model flights:1 holds version 9 .*has no version 9.*restore _delta_log"):
        vacuum(holds, flights, later(), [Hold(flights, 9, "trained on it", "model flights:1")])
    assert data_files(lake, flights) == there


def test_what_can_not_be_held_is_refused(spark: SparkSession, lake: Lake, flights: TableName, holds: Holds):
    write(spark, lake, flights, 3, 4)
    with pytest.raises(TableError, match="no version 7: the newest is 1"):
        holds.add(flights, 7, "typo", "ada")
    vacuum(holds, flights, later())
    with pytest.raises(TableError, match=r"version 0 cannot be held: \d of its files are gone"):
        holds.add(flights, 0, "too late", "ada")
    with pytest.raises(TableError, match="version 1 is not held by `maas tables hold`; held are: none"):
        holds.release(flights, 1)
    assert holds.all() == []


def test_holds_are_listed_and_a_damaged_one_stops_the_vacuum(spark: SparkSession, lake: Lake, flights: TableName, holds: Holds):
    write(spark, lake, flights, 3)
    write(spark, lake, FEATURES, 3)
    holds.add(flights, 0, "first", "ada")
    holds.add(flights, 0, "second", "bo")
    holds.add(FEATURES, 0, "third", "ada")
    assert [(str(hold.table), hold.version, hold.reason, hold.by) for hold in holds.all()] == [
        ("features.flights", 0, "third", "ada"),
        ("raw.flights", 0, "second", "bo"),
    ]
    assert lake.names() == [FEATURES, flights]
    (Path(lake.place) / "_holds" / "raw.flights" / "0.json").write_text("{}")
    with pytest.raises(CorruptFile, match=r"_holds/raw\.flights/0\.json is no hold"):
        vacuum(holds, flights, later())


def test_a_lake_without_holds_has_none(holds: Holds, flights: TableName):
    assert holds.all() == holds.of_table(flights) == []
