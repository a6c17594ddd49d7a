"""The examples of a file of rules, tried: all of a table in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from etl.rules.checks.foreign_key import ForeignKey
from etl.rules.compile import classify
from etl.rules.config import TableRules
from etl.rules.example import Example
from etl.rules.fields import FieldType

_RAW = "_source string, _offset bigint, _batch bigint, _ingested_at timestamp, _header binary, value binary"


def try_examples(spark: SparkSession, rules: TableRules) -> list[str]:
    """A line for each example of the table that comes out otherwise than it says; foreign keys are not looked up.

    Raises RuleError for rules that do not fit.
    """
    examples, types = rules.config.examples, rules.config.types()
    if not examples:
        return []
    at = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [("example", n, 1, at, _bytes(one.header), one.record.encode()) for n, one in enumerate(examples)]
    texts = [F.col(name).cast("string").alias(name) for name in types]
    problem = F.col("_problem.reason").alias("_reason"), F.col("_problem.message").alias("_message")
    checks = tuple(check for check in rules.config.checks if not isinstance(check, ForeignKey))
    alone = replace(rules, config=rules.config.model_copy(update={"checks": checks}))
    found = classify(spark.createDataFrame(rows, _RAW), alone).select("_offset", "_rule", *problem, *texts).collect()
    lines = []
    for row in sorted(found, key=lambda row: row["_offset"]):
        example = examples[row["_offset"]]
        if wrong := _difference(example, row, types):
            lines.append(f"{rules.into}: example {row['_offset'] + 1}, {example.record[:60]!r}: {wrong}")
    return lines


def _difference(example: Example, row: Row, types: Mapping[str, FieldType]) -> str | None:
    if example.quarantined is not None:
        if row["_reason"] == example.quarantined:
            return None
        now = f"goes there for {row['_reason']}" if row["_reason"] else f"is a row of rule {row['_rule']}"
        return f"should go to quarantine for {example.quarantined}, and {now}"
    if row["_reason"] is not None:
        return f"should be a row, and goes to quarantine: {row['_reason']}: {row['_message']}"
    if example.rule not in (None, row["_rule"]):
        return f"should be taken by rule {example.rule}, and is by {row['_rule']}"
    for name, wanted in (example.gives or {}).items():
        if not _same(types[name], row[name], wanted):
            return f"field {name} should be {wanted!s}, and is {row[name] if row[name] is not None else 'null'}"
    return None


def _same(kind: FieldType, found: str | None, wanted: Any) -> bool:
    """Whether a value, as Spark writes it, is the one that YAML gave."""
    if found is None or wanted is None:
        return found is wanted
    match kind:
        case FieldType.TIMESTAMP:
            return _moment(found) == _moment(wanted)
        case FieldType.DOUBLE:
            return float(found) == float(wanted)
        case FieldType.BOOLEAN:
            return found == str(wanted).lower()
        case _:
            return found == str(wanted)


def _moment(value: Any) -> datetime | None:
    """A time in UTC, which is meant where no zone is given; None for what is no time."""
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()
