import json
import shutil
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from core.contracts import TableName
from core.errors import CorruptFile, TableError
from core.lake.catalog import Lake
from core.lake.tables import append, overwrite, read_table


def log_file(lake: Lake, table: TableName, version: int) -> Path:
    return Path(lake.path(table)) / "_delta_log" / f"{version:020}.json"


def test_an_empty_lake_has_no_tables(lake: Lake, flights: TableName):
    assert lake.names() == []
    assert not lake.exists(flights)
    assert lake.version(flights) is None
    assert lake.number(flights, "ingest") == 0
    assert lake.facts(flights, "ingest") is None


@pytest.mark.parametrize(("table", "step"), [("raw.a", "ingest"), ("quarantine.a", "extract"), ("scored.a", "score")])
def test_a_missing_table_names_the_step_to_run(lake: Lake, table: str, step: str):
    with pytest.raises(TableError, match=f"no table {table}: run step '{step}'"):
        lake.snapshot(TableName.parse(table))


def test_a_folder_without_a_commit_is_no_table(lake: Lake, flights: TableName):
    # given what a write leaves that was killed before its first commit
    (Path(lake.path(flights)) / "_delta_log").mkdir(parents=True)
    (Path(lake.path(flights)) / "part-0.parquet").write_bytes(b"PAR1")
    assert not lake.exists(flights)
    assert lake.names() == []


def test_tables_are_counted_without_opening_their_files(spark: SparkSession, lake: Lake, flights: TableName):
    # given
    append(lake, spark.range(10).coalesce(1), flights, app="a", number=1, facts={})
    append(lake, spark.range(5).coalesce(1), flights, app="a", number=2, facts={})
    snapshot = lake.snapshot(flights)
    size = sum(Path(file).stat().st_size for file in snapshot.files)
    # when the data files are gone
    for file in snapshot.files:
        Path(file).unlink()
    # then
    info = lake.info(flights)
    assert (info.name, info.version, info.rows, info.files, info.bytes) == (flights, 1, 15, 2, size)
    assert lake.names() == [flights]


def test_the_greatest_value_of_each_file_is_in_the_log(spark: SparkSession, lake: Lake, flights: TableName):
    # given a file that the log has a statistic of, a commit without rows, and a file that it has none of
    append(lake, spark.range(10).coalesce(1), flights, app="a", number=1, facts={})
    append(lake, spark.range(0).coalesce(1), flights, app="a", number=2, facts={})
    spark.sql(f"ALTER TABLE delta.`{lake.path(flights)}` SET TBLPROPERTIES (delta.dataSkippingNumIndexedCols = 0)")
    append(lake, spark.range(20).coalesce(1), flights, app="a", number=3, facts={})
    # then
    assert lake.greatest(flights, "id", 1) == [9]
    assert lake.greatest(flights, "id") == [None, None]  # the table says that its statistics do not count
    assert lake.greatest(flights, "other", 1) == [None]


@pytest.fixture(scope="module")
def grown(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake whose table has one commit of "ours", a checkpoint at version 3, an OPTIMIZE and a commit after it."""
    lake, table = Lake(tmp_path_factory.mktemp("grown")), TableName.parse("raw.flights")
    append(lake, spark.range(3), table, app="ours", number=7, facts={"position": {"file ü": 12}})
    spark.sql(f"ALTER TABLE delta.`{lake.path(table)}` SET TBLPROPERTIES (delta.checkpointInterval = 3)")
    append(lake, spark.range(1), table, app="a", number=1, facts={})
    append(lake, spark.range(1), table, app="a", number=2, facts={})
    spark.sql(f"OPTIMIZE delta.`{lake.path(table)}`")
    append(lake, spark.range(1), table, app="a", number=3, facts={})
    return lake.root


@pytest.fixture
def copied(grown: Path, tmp_path: Path) -> Lake:
    shutil.copytree(grown, tmp_path / "lake")
    return Lake(tmp_path / "lake")


def test_the_facts_of_an_app_outlive_optimize_other_apps_and_a_checkpoint(copied: Lake, flights: TableName):
    assert [file.name[:20].lstrip("0") for file in (Path(copied.path(flights)) / "_delta_log").glob("*.checkpoint.parquet")] == [
        "3"
    ]
    assert copied.version(flights) == 5
    assert copied.number(flights, "ours") == 7
    assert copied.facts(flights, "ours") == {"app": "ours", "number": 7, "position": {"file ü": 12}}
    assert copied.facts(flights, "nobody") is None


def test_a_position_lost_with_a_cleaned_log_is_an_error_not_a_new_start(copied: Lake, flights: TableName):
    log_file(copied, flights, 0).unlink()
    assert copied.snapshot(flights).rows == 6
    with pytest.raises(TableError, match="position is lost: restore _delta_log"):
        copied.facts(flights, "ours")


def test_a_snapshot_lists_the_live_files_of_a_version_in_one_order(spark: SparkSession, lake: Lake, flights: TableName):
    # given two versions, the newer in place of the older
    overwrite(lake, spark.range(10), flights, app="a", number=1, facts={})
    overwrite(lake, spark.range(4), flights, app="a", number=2, facts={})
    # when
    new, old = lake.snapshot(flights), lake.snapshot(flights, version=0)
    # then
    assert (new.version, new.rows, old.version, old.rows) == (1, 4, 0, 10)
    assert list(new.files) == sorted(new.files)
    assert not set(new.files) & set(old.files)
    assert spark.read.parquet(*new.files).count() == 4
    with pytest.raises(TableError, match="no version 2: the newest is 1"):
        lake.snapshot(flights, version=2)


def test_a_snapshot_takes_partition_values_of_any_letters(spark: SparkSession, lake: Lake, flights: TableName):
    rows = spark.range(10).selectExpr("id", "concat('ä b%/', id % 2) AS split")
    append(lake, rows, flights, app="a", number=1, facts={}, partition_by=("split",))
    part = lake.snapshot(flights, partition={"split": "ä b%/1"})
    assert part.rows == 5
    assert all(Path(file).is_file() for file in part.files)
    assert lake.snapshot(flights, partition={"split": "none"}).files == ()
    with pytest.raises(TableError, match="not partitioned by month: its partition columns are split"):
        lake.snapshot(flights, partition={"month": "1"})


def test_deletion_vectors_are_refused_only_where_a_live_file_has_one(spark: SparkSession, lake: Lake, flights: TableName):
    # given a table that may use them, and does not yet
    place = lake.path(flights)
    spark.range(100).coalesce(1).write.format("delta").option("delta.enableDeletionVectors", "true").save(place)
    assert lake.snapshot(flights).rows == 100
    # when
    spark.sql(f"DELETE FROM delta.`{place}` WHERE id = 3")  # noqa: S608 — the test's own folder
    # then
    with pytest.raises(TableError, match=r"deletion vectors.*REORG TABLE"):
        lake.snapshot(flights)
    assert lake.info(flights).rows == 99
    assert lake.greatest(flights, "id") == [None]
    spark.sql(f"REORG TABLE delta.`{place}` APPLY (PURGE)")
    assert lake.snapshot(flights).rows == 99


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


DAMAGES = {
    "empty": lambda file: file.write_bytes(b""),
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-20]),
    "flipped": flip,
    "lost": Path.unlink,
}


@pytest.mark.parametrize(
    ("damage", "version"), [("empty", 4), ("empty", 5), ("cut", 5), ("flipped", 4), ("flipped", 5), ("lost", 4)]
)
def test_a_damaged_commit_is_named_with_its_version(
    spark: SparkSession, copied: Lake, flights: TableName, damage: str, version: int
):
    # given
    DAMAGES[damage](log_file(copied, flights, version))
    # then nobody reads fewer rows
    for read in (
        lambda: copied.snapshot(flights),
        lambda: copied.number(flights, "a"),
        lambda: read_table(spark, copied, flights),
    ):
        with pytest.raises(CorruptFile, match=rf"{version:020}\.json \(table version {version}\)"):
            read()
    # and the versions before it are still there
    assert copied.snapshot(flights, version=3).rows == 5


@pytest.mark.parametrize("content", [b"", b"\x00\x01", b"{}\n[1]\n", b"{"])
def test_a_commit_without_a_checksum_is_held_against_json(copied: Lake, flights: TableName, content: bytes):
    file = log_file(copied, flights, 5)
    file.with_name(f".{file.name}.crc").unlink()
    copied.check(flights)
    file.write_bytes(content)
    with pytest.raises(CorruptFile, match="to go back to version 4"):
        copied.check(flights)


def test_a_damaged_checkpoint_is_one_line(copied: Lake, flights: TableName):
    for file in (Path(copied.path(flights)) / "_delta_log").glob("*.checkpoint.parquet"):
        file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(CorruptFile) as caught:
        copied.snapshot(flights)
    assert "\n" not in caught.value.message
    assert "/raw/flights/_delta_log/00000000000000000003.checkpoint.parquet (table version 3) does not" in caught.value.message


def test_commits_of_others_carry_no_facts(spark: SparkSession, lake: Lake, flights: TableName):
    options = {"txnAppId": "theirs", "txnVersion": "1"}
    spark.range(1).write.format("delta").options(**options).save(lake.path(flights))
    with pytest.raises(TableError, match="carries no facts"):
        lake.facts(flights, "theirs")
    assert json.loads(log_file(lake, flights, 0).read_text().splitlines()[0])["commitInfo"]
