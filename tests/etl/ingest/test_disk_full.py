"""Drill D3, for tables: no space left on the device, for real."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from pyspark.sql import SparkSession

from core.contracts import TableName
from core.errors import DiskFull
from core.lake.catalog import Lake
from core.lake.tables import read_table
from etl.ingest import ingest
from etl.sources.files import FileSource

SMALL = 2 << 20
Room = Callable[[], None]


@contextmanager
def small_device(place: Path) -> Iterator[Room]:
    """A tmpfs of 2 MB at ``place``; the call makes it large."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(place)], check=True, capture_output=True)
    try:
        yield lambda: subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True) and None
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def small_files(spark: SparkSession) -> Iterator[Room]:
    """The engine may write no file above 1 MB, which the system refuses as it does a write to a full device; the call ends it."""
    engine = psutil.Process(int(spark.sparkContext._jvm.ProcessHandle.current().pid()))  # type: ignore[union-attr]
    before = engine.rlimit(psutil.RLIMIT_FSIZE)
    engine.rlimit(psutil.RLIMIT_FSIZE, (SMALL // 2, before[1]))
    try:
        yield lambda: engine.rlimit(psutil.RLIMIT_FSIZE, before)
    finally:
        engine.rlimit(psutil.RLIMIT_FSIZE, before)


def may_mount(place: Path) -> bool:
    try:
        with small_device(place):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


@pytest.fixture
def grow(spark: SparkSession, lake: Lake) -> Iterator[Room]:
    lake.root.mkdir()
    with small_device(lake.root) if may_mount(lake.root) else small_files(spark) as room:
        yield room


def test_a_full_disk_is_one_line_the_old_rows_stay_and_it_works_after_space_returns(
    spark: SparkSession, lake: Lake, log: FileSource, ops: TableName, grow: Room
):
    # given a table, and more than fits
    file = log.folder / "a.log"
    file.write_bytes(b"one\n")
    ingest(lambda: spark, lake, log, ops, app="ops")
    with file.open("ab") as end:
        end.writelines(b"%064x\n" % (number * 0x9E3779B97F4A7C15F39CC0605CEDC8341082276BF3A27251) for number in range(200_000))
    # when
    with pytest.raises(
        DiskFull, match=r"disk full while writing raw\.ops: .* bytes free: free some space and run again"
    ) as caught:
        ingest(lambda: spark, lake, log, ops, app="ops")
    # then
    assert "\n" not in caught.value.message
    assert [bytes(row.value) for row in read_table(spark, lake, ops).collect()] == [b"one"]
    # and
    grow()
    assert ingest(lambda: spark, lake, log, ops, app="ops").rows == 200_000
    assert read_table(spark, lake, ops).count() == 200_001
