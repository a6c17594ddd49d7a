"""One pass over records of any number in Spark: a sketch of each partition by Arrow batches, merged into one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Protocol, Self, TypeVar

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from core.contracts import TableName
from core.lake.catalog import Lake
from core.lake.failures import spark_failures
from core.lake.tables import read_table
from etl.discovery.records import as_ours, lines_between, texts

_STATE = "state binary"


class Sketch(Protocol):
    """What is kept of records, in bounded memory, the same whatever their order and partitions."""

    def add(self, records: Iterable[tuple[int, str]]) -> None:
        """Take in (offset, text) of records."""
        ...

    def merge(self, other: Self) -> None:
        """Take in what another has seen."""
        ...

    def to_bytes(self) -> bytes:
        """What ``from_bytes`` reads."""
        ...

    @classmethod
    def from_bytes(cls, state: bytes) -> Self:
        """Read what ``to_bytes`` wrote."""
        ...


S = TypeVar("S", bound=Sketch)


def sketch_table(spark: SparkSession, lake: Lake, table: TableName, make: Callable[[], S]) -> S:
    """A sketch of all records of a raw table. Raises TableError when there is none, StorageError when it cannot be read."""
    rows = read_table(spark, lake, table).select("_offset", "value")
    with spark_failures(table):
        return _sketch(rows, make, _of_rows)


def sketch_file(spark: SparkSession, path: Path, make: Callable[[], S]) -> S:
    """A sketch of all lines of a text file that every executor can read, each task a part of it. Raises SourceError."""
    with as_ours(path):
        size = path.stat().st_size
    parts = spark.sparkContext.defaultParallelism
    numbers = spark.range(parts, numPartitions=parts)
    with spark_failures(TableName.parse("raw.file")):
        return _sketch(numbers, make, partial(_of_part, path.absolute(), size, parts))


def _sketch(rows: DataFrame, make: Callable[[], S], read: Callable[[pa.RecordBatch], Iterator[tuple[int, str]]]) -> S:
    """As many states as tasks run at once, however many partitions there are: what the driver merges is bounded too."""
    tasks = rows.coalesce(rows.sparkSession.sparkContext.defaultParallelism)
    made = make()
    for row in tasks.mapInArrow(partial(_states, make, read), _STATE).collect():
        made.merge(made.from_bytes(bytes(row["state"])))
    return made


def _states(
    make: Callable[[], Sketch], read: Callable[[pa.RecordBatch], Iterator[tuple[int, str]]], batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    made = make()
    for batch in batches:
        made.add(read(batch))
    yield pa.RecordBatch.from_pydict({"state": pa.array([made.to_bytes()], pa.binary())})


def _of_rows(batch: pa.RecordBatch) -> Iterator[tuple[int, str]]:
    pairs = zip(batch.column("_offset").to_pylist(), batch.column("value").to_pylist(), strict=True)
    return texts((offset, value) for offset, value in pairs if value is not None)


def _of_part(path: Path, size: int, parts: int, batch: pa.RecordBatch) -> Iterator[tuple[int, str]]:
    with as_ours(path):
        for number in batch.column(0).to_pylist():
            yield from texts(lines_between(path, size * number // parts, size * (number + 1) // parts))
