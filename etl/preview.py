"""What rules make of the newest raw records, and what other rules would make of them: nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from core.contracts import TableName
from core.lake.catalog import Lake
from core.lake.failures import spark_failures
from core.lake.tables import read_table
from etl.rules.compile import classify
from etl.rules.config import TableRules

_RECORD = ("_source", "_offset", "_batch")
_NO_ROW = "no row"
_KEY = (*_RECORD, "_at")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What rules made of records: good rows by the rule that made them, quarantined records by reason."""

    rules: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def records(self) -> int:
        """How many records there were, each counted once for each row that it gave."""
        return sum(self.rules.values()) + self.quarantined

    @property
    def quarantined(self) -> int:
        """How many became no row."""
        return sum(self.reasons.values())


@dataclass(frozen=True, slots=True)
class Change:
    """A record of which two rule sets make different things: each a row as JSON text, or reason and message.

    Where a record may give several rows, each is a change of its own, against ``no row`` when the other side has fewer.
    """

    source: str
    offset: int
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Preview:
    """One table: ``before`` and the changes are there when it was compared; ``changed`` counts all changes."""

    table: TableName
    after: Outcome
    before: Outcome | None = None
    changed: int = 0
    examples: Sequence[Change] = ()


def preview(
    spark: SparkSession, lake: Lake, rules: TableRules, current: TableRules | None = None, *, records: int, examples: int = 5
) -> Preview:
    """Try ``rules`` on the newest ``records`` of their raw table and, with ``current`` rules, say what would change.

    Raises TableError when there is no raw table, RuleError for rules that do not fit.
    """
    raw = read_table(spark, lake, rules.source)
    newest = raw.orderBy(F.col("_batch").desc(), F.col("_offset").desc(), "_source").limit(records)
    return _compare(newest, lake, rules, current, examples)


def shadow(spark: SparkSession, lake: Lake, rules: TableRules, current: TableRules, *, after: int, upto: int) -> Preview:
    """What ``rules`` make of the raw batches ``after`` < batch ≤ ``upto`` beside what ``current`` rules make of them.

    Raises as ``preview``.
    """
    batch = F.col("_batch")
    return _compare(read_table(spark, lake, rules.source).where((batch > after) & (batch <= upto)), lake, rules, current, 0)


def _compare(records: DataFrame, lake: Lake, rules: TableRules, current: TableRules | None, examples: int) -> Preview:
    with spark_failures(rules.source), _kept(records) as sample, _kept(_tried(sample, rules, lake)) as after:
        if current is None:
            return Preview(rules.into, _outcome(after))
        with _kept(_tried(sample, current, lake)) as before:
            changed, shown = _changes(before, after, examples)
            return Preview(rules.into, _outcome(after), _outcome(before), changed, shown)


@contextmanager
def _kept(rows: DataFrame) -> Iterator[DataFrame]:
    """The rows, evaluated once, for as long as the block lasts."""
    kept = rows.persist()
    try:
        yield kept
    finally:
        kept.unpersist()


def _tried(raw: DataFrame, rules: TableRules, lake: Lake) -> DataFrame:
    """Each row that a record gives, by its place ``_at``.

    With its ``rule`` (null when quarantined), its ``reason`` (null for a row), and what it became, as ``text``, which leaves null
    fields out and has the others by name: a row is not another one because rules know a field that it has not.
    """
    row = F.to_json(F.struct(*sorted(rules.config.types())), {"ignoreNullFields": "true"})
    reason, message = F.col("_problem.reason"), F.col("_problem.message")
    found = classify(raw, rules, lake)
    return found.select(
        *_RECORD,
        F.col("_at") if rules.config.is_many else F.lit(0).alias("_at"),
        F.when(reason.isNull(), F.col("_rule")).alias("rule"),
        reason.alias("reason"),
        F.when(reason.isNull(), row).otherwise(F.concat(reason, F.lit(": "), message)).alias("text"),
    )


def _outcome(tried: DataFrame) -> Outcome:
    found = tried.groupBy("rule", "reason").count().orderBy(F.desc("count"), "rule", "reason").collect()
    rules = {row["rule"]: row["count"] for row in found if row["reason"] is None}
    return Outcome(rules, {row["reason"]: row["count"] for row in found if row["reason"] is not None})


def _changes(before: DataFrame, after: DataFrame, examples: int) -> tuple[int, list[Change]]:
    def text(side: str) -> Column:
        return F.col(f"{side}.text")

    pairs = before.alias("old").join(after.alias("new"), list(_KEY), "full").where(~text("old").eqNullSafe(text("new")))
    sides = (F.coalesce(text(side), F.lit(_NO_ROW)).alias(side) for side in ("old", "new"))
    with _kept(pairs.select(*_KEY, *sides)) as chosen:
        shown = chosen.orderBy("_batch", "_source", "_offset", "_at").limit(examples).collect()
        return chosen.count(), [Change(row["_source"], row["_offset"], row["old"], row["new"]) for row in shown]
