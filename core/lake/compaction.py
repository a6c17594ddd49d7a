"""Many small files of a table into few: Delta's OPTIMIZE, by Spark as every other write.

delta-rs could do it without a JVM. It writes neither page checksums nor Hadoop's ``.crc`` files, by which damage is found later,
and would be a second engine that commits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from pyspark.sql import SparkSession

from core.contracts import TableName
from core.lake.catalog import Lake, TableInfo
from core.lake.failures import spark_failures
from core.lake.tables import places, writing

_SIZES = {
    # what has grown to 128 MiB is not written again and again: Delta's own default is 1 GiB
    "spark.databricks.delta.optimize.minFileSize": str(128 << 20),
    "spark.databricks.delta.optimize.maxFileSize": str(256 << 20),
}


@dataclass(frozen=True, slots=True)
class Compaction:
    """A table before and after; the same object twice where there was nothing to do."""

    before: TableInfo
    after: TableInfo

    @classmethod
    def none(cls, lake: Lake, table: TableName) -> Self | None:
        """What is said of a table of at most one file, which needs no compaction and no Spark session; None for another."""
        info = lake.info(table)
        return cls(info, info) if info.files <= 1 else None

    @property
    def changed(self) -> bool:
        """Whether files were rewritten."""
        return self.after.version != self.before.version


def compact(spark: SparkSession, lake: Lake, table: TableName) -> Compaction:
    """Rewrite files below 128 MiB into files of up to 256 MiB, within each partition; rows, columns and positions stay.

    One commit that changes no rows: other writers wait, readers go on, and older versions stay readable until a vacuum.
    Raises TableError when there is no such table or another writes it too long; DiskFull, StorageError; then nothing changed.
    """
    with writing(spark, lake, table):
        before = lake.info(table)
        with _sizes(spark), spark_failures(table, *places(lake, table)):
            spark.sql(f"OPTIMIZE delta.`{lake.path(table).replace('`', '``')}`").collect()
        after = lake.info(table)
    return Compaction(before, after if after.version != before.version else before)


@contextmanager
def _sizes(spark: SparkSession) -> Iterator[None]:
    for key, value in _SIZES.items():
        spark.conf.set(key, value)
    try:
        yield
    finally:
        for key in _SIZES:
            spark.conf.unset(key)
