"""Readers and a paused writer while a table is compacted and vacuumed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from core.contracts import TableName
from core.lake.catalog import Lake
from core.lake.compaction import compact
from core.lake.holds import Holds
from core.lake.tables import append
from core.lake.vacuum import vacuum
from core.storage.local import LocalStorage

ROOT = Path(__file__).parents[3]
WRITER = """
import sys, time
from pathlib import Path
from core.contracts import TableName
from core.lake.catalog import Lake
from core.lake.tables import append
from core.spark import build_session

lake, jars, scratch, gate = sys.argv[1:]
spark = build_session("writer", master="local[1]", driver_memory="1g", jars=Path(jars), options={"spark.local.dir": scratch})

def slow(batches):  # the first file is whole before the second is begun
    for batch in batches:
        while min(batch["id"].to_pylist()) > 100 and not Path(gate).exists():
            time.sleep(0.05)
        yield batch

rows = spark.range(100, 102, numPartitions=2).mapInArrow(slow, "id long")
append(Lake(Path(lake)), rows, TableName.parse("raw.flights"), app="paused", number=1, facts={})
"""


def data_files(lake: Lake, table: TableName) -> set[str]:
    return {f"{lake.path(table)}/{file.path}" for file in lake.files.walk(lake.path(table)) if file.path.endswith(".parquet")}


@contextmanager
def paused_writer(lake: Lake, table: TableName, tmp_path: Path) -> Iterator[tuple[set[str], subprocess.Popen[bytes]]]:
    """A process stopped between its data files and its commit, and those files."""
    known = data_files(lake, table)
    command = [sys.executable, "-c", WRITER, str(lake.root), str(ROOT / "jars" / "spark"), str(tmp_path), str(tmp_path / "gate")]
    with (tmp_path / "writer.log").open("wb") as log:
        child = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 200
        while not (made := {file for file in data_files(lake, table) - known if Path(file).stat().st_size}):
            assert child.poll() is None and time.monotonic() < deadline, (tmp_path / "writer.log").read_text()[-2000:]
            time.sleep(0.05)
        os.killpg(child.pid, signal.SIGSTOP)
        yield made, child
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


@contextmanager
def reading(lake: Lake, table: TableName, version: int, rows: int) -> Iterator[None]:
    """Read a version and the newest over and over; each time the rows must be there."""
    done, failures, counts = threading.Event(), [], []

    def read() -> None:
        while not done.is_set():
            try:
                snapshots = (lake.snapshot(table, version), lake.snapshot(table))
                counts.extend(sum(pq.read_table(file, partitioning=None).num_rows for file in s.files) for s in snapshots)
            except Exception as error:
                failures.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    assert failures == []
    assert len(counts) >= 2 and min(counts) == rows and max(counts) <= rows + 2


def test_readers_see_no_error_and_a_paused_writer_loses_nothing(
    spark: SparkSession, lake: Lake, flights: TableName, tmp_path: Path
):
    holds = Holds(lake, lambda: LocalStorage(Path(lake.place) / "_holds"))
    for number in (1, 2, 3):
        append(lake, spark.range(number * 10, number * 10 + 10), flights, app="a", number=number, facts={})
    orphan = Path(lake.path(flights)) / "part-9-orphan.snappy.parquet"
    orphan.write_bytes(b"PAR1")
    retention = datetime.now(UTC)
    with reading(lake, flights, version=2, rows=30):
        # what is inside the retention time stays while readers use it
        assert compact(spark, lake, flights).changed
        assert [file.path for file in vacuum(holds, flights, retention).files] == [orphan.name]
    # a file that a stopped writer has not committed is young: it stays, and what is old goes
    retention = datetime.now(UTC)
    before = data_files(lake, flights)
    with paused_writer(lake, flights, tmp_path) as (made, child), reading(lake, flights, version=3, rows=30):
        done = vacuum(holds, flights, retention)
        assert len([file for file in done.files if file.path.endswith(".parquet")]) == len(before) - 1
        assert data_files(lake, flights) == made | set(lake.snapshot(flights).files)
        assert lake.version(flights) == 3
        (tmp_path / "gate").touch()
        # and it goes on as if nothing had been
        os.killpg(child.pid, signal.SIGCONT)
        assert child.wait(200) == 0, (tmp_path / "writer.log").read_text()[-2000:]
    assert made < set(lake.snapshot(flights).files)
    ids = [i for file in lake.snapshot(flights).files for i in pq.read_table(file, partitioning=None)["id"].to_pylist()]
    assert sorted(ids) == [*range(10, 40), 100, 101]
