"""MySQL and MariaDB: the same texts as SQLite gives, and a server that dies while it is read."""

import json
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from core.contracts import Interval, TableName
from core.errors import ConfigError, SourceDown, SourceError
from core.lake.catalog import Lake
from core.lake.tables import read_table
from core.settings import Settings
from etl.ingest import ingest
from etl.sources.config import DatabaseConfig, open_source
from etl.sources.database import DatabaseSource
from etl.sources.dialect import Dialect
from etl.sources.jdbc import Database
from etl.sources.relation import Relation
from etl.sources.snapshots import SnapshotSource
from etl.sources.statement import Parameter, render

Execute = Callable[[str], None]
RAW = TableName.parse("raw.t")


@pytest.fixture
def source(cluster: Settings) -> DatabaseSource:
    opened = open_source(DatabaseConfig(kind="database", url="mysql:///test_flights", table="t", watermark="id"), cluster)
    assert isinstance(opened, DatabaseSource)
    return opened


def values(spark: SparkSession, source: DatabaseSource) -> list[dict[str, str | None]]:
    rows = source.read(spark, source.plan(lambda: spark, None)).orderBy("_offset").collect()
    return [json.loads(bytes(row.value)) for row in rows]


def test_a_row_gives_the_same_bytes_as_the_same_row_of_sqlite(
    spark: SparkSession, tmp_path: Path, source: DatabaseSource, mysql: Execute
):
    create = "CREATE TABLE t (id INTEGER PRIMARY KEY, big BIGINT, name VARCHAR(40), f {double}, day DATE, at DATETIME, b BLOB)"
    insert = """INSERT INTO t VALUES
        (-3, 9007199254740993, 'q"é€😀\\t', 0.30000000000000004, '2013-01-01', '2013-01-01 05:00:00', X'FF00'),
        (7, -9223372036854775808, '', -1234.5678901234567, NULL, NULL, X''),
        (9, NULL, NULL, NULL, '2016-02-29', '1969-12-31 23:59:59', NULL)"""
    mysql(create.format(double="DOUBLE"))
    mysql("SET sql_mode = 'NO_BACKSLASH_ESCAPES'")
    mysql(insert)
    with closing(sqlite3.connect(tmp_path / "t.db")) as connection, connection:
        connection.execute(create.format(double="REAL"))
        connection.execute(insert)
    local = DatabaseSource(f"sqlite:///{tmp_path / 't.db'}", "t", "id")
    one, two = (
        [bytes(row.value) for row in each.read(spark, each.plan(lambda: spark, None)).orderBy("_offset").collect()]
        for each in (source, local)
    )
    assert one == two


def test_types_that_the_driver_would_spoil_lose_nothing(spark: SparkSession, source: DatabaseSource, mysql: Execute):
    mysql(
        "CREATE TABLE t (id INT PRIMARY KEY, f FLOAT, d DOUBLE, yes BOOLEAN, bits BIT(12), one BIT(1), u BIGINT UNSIGNED, "
        "n DECIMAL(38, 9), ts TIMESTAMP(6) NULL, at DATETIME(6), zero DATE, kind ENUM('a', 'b'), y YEAR)"
    )
    mysql("SET sql_mode = '', time_zone = '+05:00'")
    mysql(
        "INSERT INTO t VALUES (1, 16777217.4, 1e300, TRUE, b'101', b'1', 18446744073709551615, 0.000000001, "
        "'2013-01-01 05:00:00.25', '2013-01-01 05:00:00.25', '0000-00-00', 'b', 2013)"
    )
    (found,) = values(spark, source)
    assert (float(str(found.pop("f"))), float(str(found.pop("d")))) == (16777218.0, 1e300)
    assert found == {
        "id": "1", "yes": "1", "bits": "5", "one": "1", "u": "18446744073709551615", "n": "0.000000001",
        "ts": "2013-01-01 00:00:00.250000", "at": "2013-01-01 05:00:00.250000", "zero": "0000-00-00", "kind": "b", "y": "2013",
    }  # fmt: skip


def test_an_interval_takes_the_rows_of_its_time(spark: SparkSession, source: DatabaseSource, mysql: Execute):
    mysql("CREATE TABLE t (id INT PRIMARY KEY, at DATETIME(6), day DATE, name TEXT)")
    mysql("""INSERT INTO t VALUES (1, '2013-01-01 23:59:59.999999', '2013-01-01', 'a'), (2, '2013-01-02', '2013-01-02', 'b'),
             (3, '2013-01-02 23:59:59.999999', '2013-01-02', 'c'), (4, '2013-01-03', '2013-01-03', 'd')""")
    for column in ("at", "day"):
        by_time = replace(source, interval=column)
        plan = by_time.plan(lambda: spark, None, Interval.parse("2013-01-02"))
        assert sorted(row._offset for row in by_time.read(spark, plan).collect()) == [2, 3]
    with pytest.raises(ConfigError, match="column 'name' is of type string: an interval needs a date or timestamp"):
        replace(source, interval="name").plan(lambda: spark, None, Interval.parse("2013-01-02"))


def test_a_query_gets_its_parameters_and_cannot_write(
    spark: SparkSession,
    source: DatabaseSource,
    mysql: Execute,
    literals: tuple[str, dict[str, Parameter], dict[str, str | None]],
):
    query, parameters, expected = literals
    asking = replace(source, table="query", query=render(query, parameters, Dialect("mysql")))
    assert values(spark, asking) == [expected]
    mysql("CREATE TABLE t (name VARCHAR(9) COLLATE utf8mb4_bin); ")
    mysql("INSERT INTO t VALUES ('é'), ('e')")
    mysql("CREATE FUNCTION taken() RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO t VALUES ('x'); RETURN 1; END")
    text = render("SELECT 1 AS id, name FROM t WHERE name = :name", {"name": "é"}, Dialect("mysql"))
    assert values(spark, replace(asking, query=text)) == [{"id": "1", "name": "é"}]
    with pytest.raises(SourceError, match="READ ONLY transaction"):
        values(spark, replace(asking, query="SELECT taken() AS id"))
    whole = SnapshotSource(Relation(Database(source.url, source.user, source.password), "t"))
    assert whole.read(spark, whole.plan(lambda: spark, None)).count() == 2


def test_a_wrong_password_is_one_line_without_it(spark: SparkSession, source: DatabaseSource, mysql: Execute):
    with pytest.raises(SourceError, match="Access denied") as caught:
        replace(source, password="wrong-secret").plan(lambda: spark, None)  # noqa: S106
    assert "wrong-secret" not in caught.value.message
    assert "\n" not in caught.value.message


class Door:
    """A way to the server that falls shut after so many bytes of answers."""

    def __init__(self, server: tuple[str, int], bytes_left: int) -> None:
        self.server, self.bytes_left = server, bytes_left
        self.shut, self.closed = threading.Event(), threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while self.bytes_left > 0:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.server)
            threading.Thread(target=self._pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, True), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        while self.bytes_left > 0 and (data := _received(source)) and _sent(target, data):
            if counted:
                self.bytes_left -= len(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        if self.bytes_left <= 0 and not self.shut.is_set():
            self.shut.set()
            with suppress(OSError):
                self.listener.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept, and holds the port
            self.listener.close()
            self.closed.set()

    def open_again(self, after_s: float) -> None:
        """Open for good, so many seconds after it fell shut."""
        assert self.closed.wait(60)
        time.sleep(after_s)
        self.bytes_left, self.listener = 1 << 40, socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()


def _received(source: socket.socket) -> bytes:
    try:
        return source.recv(65536)
    except OSError:
        return b""


def _sent(target: socket.socket, data: bytes) -> bool:
    try:
        target.sendall(data)
    except OSError:
        return False
    return True


@pytest.fixture
def door(source: DatabaseSource) -> Iterator[Door]:
    host, port = source.url.removeprefix("jdbc:mysql://").split("/")[0].split(":")
    opened = Door((host, int(port)), 400_000)
    yield opened
    opened.listener.close()


def test_a_server_that_dies_while_it_is_read_leaves_nothing_half_written(
    spark: SparkSession, tmp_path: Path, source: DatabaseSource, mysql: Execute, door: Door
):
    # given
    lake = Lake(tmp_path / "lake")
    mysql("CREATE TABLE t (id INT PRIMARY KEY, text CHAR(200))")
    mysql("INSERT INTO t SELECT seq, REPEAT('x', 200) FROM seq_1_to_5000")
    name = source.url.rpartition("/")[2]
    # when
    for _ in range(2):  # it dies, and then it is down
        through = replace(source, url=f"jdbc:mysql://127.0.0.1:{door.port}/{name}")
        with pytest.raises(SourceDown) as caught:
            ingest(lambda: spark, lake, through, RAW, app="t", patience_s=0)
        assert "\n" not in caught.value.message
    # then
    assert not lake.exists(RAW)
    # and when it is back
    assert ingest(lambda: spark, lake, source, RAW, app="t").rows == 5_000
    assert read_table(spark, lake, RAW).select("_offset").distinct().count() == 5_000


def test_a_server_that_dies_and_comes_back_within_seconds_is_read_to_its_end(
    spark: SparkSession, tmp_path: Path, source: DatabaseSource, mysql: Execute, door: Door
):
    lake = Lake(tmp_path / "lake")
    mysql("CREATE TABLE t (id INT PRIMARY KEY, text CHAR(200))")
    mysql("INSERT INTO t SELECT seq, REPEAT('x', 200) FROM seq_1_to_5000")
    back = threading.Thread(target=door.open_again, args=(3,))
    back.start()
    through = replace(source, url=f"jdbc:mysql://127.0.0.1:{door.port}/{source.url.rpartition('/')[2]}")
    assert ingest(lambda: spark, lake, through, RAW, app="t").rows == 5_000
    back.join()
    assert read_table(spark, lake, RAW).select("_offset").distinct().count() == 5_000
