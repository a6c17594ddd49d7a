"""Records through the rules of one table, without a lake."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession

from core.config import validate
from etl.rules.compile import classify
from etl.rules.config import RuleFile, TableRules, read_rules

RAW = "_source string, _offset long, _batch long, _ingested_at timestamp, _header binary, value binary"
Run = Callable[..., list[Row]]


def table_rules(*rules: dict[str, Any], **more: Any) -> TableRules:
    table = {"from": "raw.things", "into": "extracted.things", "rules": list(rules), **more}
    return read_rules("things", validate({"version": 1, "tables": [table]}, RuleFile, "things.yaml"), "things.yaml").tables[0]


@pytest.fixture(name="table_rules")
def _table_rules() -> Callable[..., TableRules]:
    """The rules of one table, from the mappings that YAML would give."""
    return table_rules


@pytest.fixture
def run(spark: SparkSession) -> Run:
    """Rows in the order of the records, each with its fields, ``_rule``, ``_raw`` and ``_problem``."""

    def classified(rules: TableRules, records: list[bytes], header: bytes | None = None) -> list[Row]:
        at = datetime(2026, 1, 1, tzinfo=UTC)
        rows = [("file", i, 1, at, header, record) for i, record in enumerate(records)]
        order = ("_offset", "_at") if rules.config.is_many else ("_offset",)
        return classify(spark.createDataFrame(rows, RAW).coalesce(1), rules).orderBy(*order).collect()

    return classified
