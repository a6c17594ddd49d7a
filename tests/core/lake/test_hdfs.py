"""The lake on HDFS: the same answers as in a folder, and locks that all machines see."""

import re
import threading
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

from core.contracts import TableName
from core.database.engine import address
from core.errors import CorruptFile, StorageDown, StorageError, TableError
from core.hadoop import client_options
from core.lake.catalog import Lake
from core.lake.compaction import compact
from core.lake.holds import Holds
from core.lake.lock import MySqlLocks
from core.lake.tables import append, overwrite, read_table
from core.lake.vacuum import vacuum
from core.settings import Settings
from core.storage.open import open_storage


@pytest.fixture
def table(request: pytest.FixtureRequest) -> TableName:
    return TableName.parse("raw." + re.sub(r"\W", "_", request.node.name)[:40].lower())


def rows(spark: SparkSession, count: int) -> DataFrame:
    return spark.range(count).selectExpr("id", "id * 2 AS twice")


def test_tables_are_written_read_and_described(spark: SparkSession, cluster: Settings, table: TableName):
    lake = Lake.of(cluster)
    assert not lake.exists(table)
    assert lake.version(table) is None
    first = append(lake, rows(spark, 3), table, app="a", number=1, facts={"n": 1}, partition_by=["id"])
    again = append(lake, rows(spark, 3), table, app="a", number=1, facts={"n": 2})
    assert (first.version, first.written, again.written) == (0, True, False)
    overwrite(lake, rows(spark, 5), table, app="a", number=2, facts={"n": 2}, partition_by=["id"])
    assert table in lake.names()
    info = lake.info(table)
    assert (info.version, info.rows) == (1, 5)
    assert lake.facts(table, "a") == {"app": "a", "number": 2, "n": 2}
    assert sorted(row.id for row in read_table(spark, lake, table, version=0).collect()) == [0, 1, 2]
    snapshot = lake.snapshot(table, partition={"id": "3"})
    assert snapshot.rows == 1
    assert len(snapshot.files) == 1 and snapshot.files[0].startswith(f"{cluster.lake.root}/raw/{table.name}/id=3/part-")
    with pytest.raises(TableError, match="has no version 9"):
        lake.snapshot(table, 9)


def test_an_empty_or_missing_commit_is_found(spark: SparkSession, cluster: Settings, table: TableName):
    lake, log = Lake.of(cluster), open_storage(f"{Lake.of(cluster).path(table)}/_delta_log", cluster)
    for number in (1, 2, 3):
        append(lake, spark.range(1), table, app="a", number=number, facts={})
    log.write_atomic(f"{1:020}.json", b"")
    with pytest.raises(CorruptFile, match=r"1\.json \(table version 1\) is empty"):
        lake.info(table)
    log.delete(f"{1:020}.json")
    with pytest.raises(CorruptFile, match="is missing"):
        read_table(spark, lake, table)


def test_a_lock_is_seen_by_other_connections_and_ends_with_the_block(cluster: Settings, table: TableName):
    lake, seen = Lake.of(cluster), []
    assert isinstance(lake.locks, MySqlLocks)

    def other() -> None:
        try:
            with Lake.of(cluster).exclusive(table, wait_s=0):
                seen.append("in")
        except TableError as error:
            seen.append("out" if "still being written over connection" in error.message else error.message)

    def ask() -> None:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    with lake.exclusive(table):
        with lake.exclusive(table, wait_s=0):
            ask()
        ask()
    ask()
    assert seen == ["out", "out", "in"]


def test_a_table_is_compacted_vacuumed_and_held(spark: SparkSession, cluster: Settings, table: TableName):
    lake, holds = Lake.of(cluster), Holds.of(cluster)
    for number in (1, 2, 3):
        append(lake, rows(spark, 3), table, app="a", number=number, facts={"n": number}, partition_by=["id"])
    held = set(lake.snapshot(table, 1).files)
    holds.add(table, 1, "audit", "ada")
    done = compact(spark, lake, table)
    assert (done.before.files, done.after.files, done.after.rows) == (9, 3, 9)
    assert (lake.rows_version(table), lake.facts(table, "a")) == (2, {"app": "a", "number": 3, "n": 3})
    now = datetime.now(UTC)
    assert vacuum(holds, table, now - timedelta(days=7)).files == ()
    taken = vacuum(holds, table, now + timedelta(minutes=1))
    assert len(taken.files) == 3 and taken.bytes > 0
    left = {f"{lake.path(table)}/{file.path}" for file in lake.files.walk(lake.path(table)) if file.path.endswith(".parquet")}
    assert left == held | set(lake.snapshot(table).files)
    assert len(read_table(spark, lake, table, 1).collect()) == 6
    assert len(read_table(spark, lake, table).collect()) == 9
    with lake.files.open(min(left)) as file:
        assert pq.ParquetFile(file).metadata.num_rows > 0
    assert [(hold.version, hold.reason) for hold in holds.all() if hold.table == table] == [(1, "audit")]
    holds.release(table, 1)
    with pytest.raises(TableError, match="not held"):
        holds.release(table, 1)
    assert vacuum(holds, table, now + timedelta(minutes=1)).files
    lake.files.remove(min(held))  # gone already


def test_a_lock_waits_for_a_server_that_restarts(services, cluster: Settings, table: TableName):
    lake = Lake.of(cluster)
    services.kill("mariadb")
    with lake.exclusive(table):
        assert services.wait_up("mariadb").restarts


def test_a_server_that_stays_away_is_one_line(table: TableName):
    locks = MySqlLocks(address("mysql+pymysql://maas@127.0.0.1:1/maas"), "x", patience_s=0)
    said = rf"no lock for {table} at .*127\.0\.0\.1:1/maas: MySQL does not answer \(settings database\.url"
    with pytest.raises(StorageError, match=said), locks.hold(str(table), 1):
        pass


def test_no_namenode_is_one_line(spark: SparkSession, cluster: Settings, table: TableName):
    quick = {**client_options(cluster), "dfs.client.failover.max.attempts": "1"}
    lake = Lake("hdfs://127.0.0.1:1/lake", quick)
    with pytest.raises(StorageDown, match="NameNode of HDFS does not answer") as caught:
        lake.names()
    assert "\n" not in caught.value.message
    assert caught.value.retryable
