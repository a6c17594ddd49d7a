"""Lake tables as Spark DataFrames: read a version; append or overwrite exactly once."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from core.contracts import TableName
from core.errors import CorruptFile
from core.lake.catalog import Lake
from core.lake.damage import explain_damage
from core.lake.engine import engine_hold
from core.lake.failures import WriteConflict, spark_failures

_KEEP_LOG = "interval 3650 days"
_ENGINE_WAIT_S = 120.0
_ATTEMPTS = 5
_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class Commit:
    """What a write left: the table's newest version, and whether this call wrote it."""

    version: int
    written: bool


def read_table(spark: SparkSession, lake: Lake, table: TableName, version: int | None = None) -> DataFrame:
    """The rows of a version (default: the newest). Raises TableError when there is none, CorruptFile when its log is damaged."""
    lake.check(table, version)
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    with spark_failures(table, *places(lake, table)):
        return reader.load(lake.path(table))


def append(
    lake: Lake,
    df: DataFrame,
    table: TableName,
    *,
    app: str,
    number: int,
    facts: Mapping[str, Any],
    partition_by: Sequence[str] = (),
    new_columns: bool = False,
) -> Commit:
    """Add the rows of ``df`` and ``facts`` in one commit, as the ``number``-th (1, 2, …) of ``app``.

    A number that is committed already changes nothing, so a step that was killed may run again. Other writers wait. With
    ``new_columns`` the table takes columns that it has not, null in older rows. Raises DiskFull, TableError (the schema does
    not fit, the lock is held) or StorageError; then the table is as it was.
    """
    options = {"mergeSchema": "true"} if new_columns else {}
    return _write(lake, df, table, "append", options, app=app, number=number, facts=facts, partition_by=partition_by)


def overwrite(
    lake: Lake,
    df: DataFrame,
    table: TableName,
    *,
    app: str,
    number: int,
    facts: Mapping[str, Any],
    partition_by: Sequence[str] = (),
) -> Commit:
    """Put the rows of ``df``, with their schema, in place of the table's; else as ``append``. Older versions stay readable."""
    options = {"overwriteSchema": "true"}
    return _write(lake, df, table, "overwrite", options, app=app, number=number, facts=facts, partition_by=partition_by)


def _write(
    lake: Lake,
    df: DataFrame,
    table: TableName,
    mode: str,
    options: Mapping[str, str],
    *,
    app: str,
    number: int,
    facts: Mapping[str, Any],
    partition_by: Sequence[str],
) -> Commit:
    spark = df.sparkSession
    with writing(spark, lake, table):
        for attempt in range(1, _ATTEMPTS + 1):
            version = lake.version(table)
            if version is not None and lake.number(table, app) >= number:
                return Commit(version, written=False)
            writer = (
                df.write.format("delta")
                .mode(mode)
                .options(**options)
                .option("txnAppId", app)
                .option("txnVersion", number)
                .option("userMetadata", _canonical({"app": app, "number": number, **facts}))
            )
            if version is None:
                writer = writer.option("delta.logRetentionDuration", _KEEP_LOG)  # facts are read from the log
            if partition_by:
                writer = writer.partitionBy(*partition_by)
            try:
                with spark_failures(table, *places(lake, table), _scratch(spark)):
                    writer.save(lake.path(table))
            except CorruptFile as error:
                raise explain_damage(lake, error) from error
            except WriteConflict:
                if attempt == _ATTEMPTS:
                    raise
                time.sleep(random.uniform(0, attempt * _PAUSE_S))  # noqa: S311 — so that two writers part
                continue
            break
        return Commit(lake.info(table).version, written=True)


@contextmanager
def writing(spark: SparkSession, lake: Lake, table: TableName) -> Iterator[None]:
    """Keep all others from writing the table for the block: processes and, in a folder of this machine, their Spark engines."""
    file = lake.engine_lock(table)
    with lake.exclusive(table), nullcontext() if file is None else engine_hold(spark, file, str(table), _ENGINE_WAIT_S):
        yield


def places(lake: Lake, table: TableName) -> list[Path]:
    """The folders of this machine that hold the table."""
    return [Path(lake.path(table))] if lake.local else []


def _canonical(facts: Mapping[str, Any]) -> str:
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _scratch(spark: SparkSession) -> Path:
    return Path(str(spark.conf.get("spark.local.dir", "/tmp")).split(",", 1)[0])  # noqa: S108 — Spark's own default
