"""Raw tables made by hand, and rules read from YAML text."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from core.contracts import TableName
from core.lake.catalog import Lake
from core.lake.tables import append
from etl.rules.config import RuleSet, load_rules

RAW = "_source string, _offset long, _batch long, _ingested_at timestamp, _header binary, value binary"
Land = Callable[..., None]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def land(spark: SparkSession, lake: Lake) -> Land:
    """Append records to a raw table as the next batch."""

    def append_batch(table: str, batch: int, records: list[bytes], header: bytes | None = None) -> None:
        at = datetime(2026, 1, 1, tzinfo=UTC)
        rows = [(f"batch-{batch}", i, batch, at, header, record) for i, record in enumerate(records)]
        df = spark.createDataFrame(rows, RAW).withColumn("_batch", F.col("_batch").cast("long"))
        append(lake, df, TableName.parse(table), app="test/ingest", number=batch, facts={})

    return append_batch


@pytest.fixture
def rules(tmp_path: Path) -> Callable[[str], RuleSet]:
    def read(text: str) -> RuleSet:
        file = tmp_path / "rules.yaml"
        file.write_text(text, encoding="utf-8")
        return load_rules(file)

    return read
