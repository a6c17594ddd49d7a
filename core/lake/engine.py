"""Mutual exclusion between Spark engines: a JVM outlives its killed Python process by seconds, and may still commit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession

from core.errors import TableError
from core.lake.lock import engine_busy

_POLL_S = 0.1


@contextmanager
def engine_hold(spark: SparkSession, file: Path, what: str, wait_s: float) -> Iterator[None]:
    """Hold a POSIX lock on ``file`` in the session's JVM for the block; the system frees it when that JVM ends.

    To be taken by the thread that holds the table's own lock, which a killed process gives up at once.
    Raises TableError when another JVM still has it after ``wait_s`` seconds.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    jvm = spark.sparkContext._jvm  # noqa: SLF001 — the only door to the JVM
    channel = jvm.java.io.RandomAccessFile(str(file), "rw").getChannel()  # type: ignore[union-attr]
    end = time.monotonic() + wait_s
    try:
        while channel.tryLock() is None:
            if time.monotonic() >= end:
                raise TableError(engine_busy(what, wait_s), lock=str(file))
            time.sleep(_POLL_S)
        yield
    finally:
        channel.close()
