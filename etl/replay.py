"""Quarantined records through the rules of today: what they make a row of leaves quarantine for the extracted table, once.

A replay is two commits of one number: rows into the extracted table, then quarantine without them and with new reasons for the
rest. The first carries the rules; a replay that was killed in between is finished with them by the next, or by the next
extraction. Extraction numbers its own commits apart, and nothing that it adds meanwhile is touched: those batches came later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from core.errors import TableError
from core.lake.catalog import Lake
from core.lake.failures import spark_failures
from core.lake.tables import overwrite, read_table
from etl.extract import Extracted, bad_records, check_rows, classified, count, require_same, write_rows
from etl.rules.checks.unique import Unique
from etl.rules.compile import KEPT
from etl.rules.config import TableRules
from etl.rules.references import pin

_KEY = ("_source", "_offset", "_batch")


@dataclass(frozen=True, slots=True)
class Replayed:
    """Quarantined records tried again, those that became rows, and the reasons of those that stay.

    ``finished`` counts the rows of a replay that was killed before and ended now.
    """

    records: int = 0
    rows: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    finished: int = 0


def replay(spark: SparkSession, lake: Lake, rules: TableRules, *, app: str) -> Replayed:
    """Try the rules on all that is in quarantine; ``app`` is the name under which extraction writes.

    When nothing changes, nothing is written. Keys that must be unique must be so with the new rows; the share of quarantined
    records can only fall. Raises TableError when there is no quarantine yet, when a check fails (then nothing is written) or
    when counts do not close, and RuleError for rules that do not fit.
    """
    lake.check(rules.quarantine)
    with lake.exclusive(rules.into):
        finished = finish(spark, lake, rules, app=app)
        rules = pin(lake, rules)
        upto = lake.number(rules.quarantine, app)
        with _tried(spark, lake, rules, upto) as found:
            done = count(found, rules)
            if _outcomes(spark, lake, rules, upto) == {(rules.rule_set, reason): n for reason, n in done.reasons.items()}:
                return Replayed(done.rows_in, 0, done.reasons, finished)
            check_rows(lake, rules, found, done.rows, [c for c in rules.batch_checks if isinstance(c, Unique)])
            own = _own(app)
            number, before = lake.number(rules.into, own) + 1, _sizes(lake, rules)
            facts = {
                "upto": upto,
                "rows_in": done.rows_in,
                "rows_out": done.rows,
                "quarantined": done.quarantined,
                "reasons": done.reasons,
                "rules": rules.to_json(),
            }
            write_rows(lake, rules, found, app=own, number=number, facts=facts)
            _write_rest(lake, rules, found, own, facts)
        _check_sizes(rules, before, _sizes(lake, rules), done)
    return Replayed(done.rows_in, done.rows, done.reasons, finished)


def is_pending(lake: Lake, rules: TableRules, *, app: str) -> bool:
    """Whether a replay was killed between its two commits; takes no Spark session."""
    return lake.number(rules.into, _own(app)) != lake.number(rules.quarantine, _own(app))


def finish(spark: SparkSession, lake: Lake, rules: TableRules, *, app: str) -> int:
    """Finish a replay that was killed between its commits, with the rules that it began with; returns how many rows it made."""
    with lake.exclusive(rules.into):
        if not is_pending(lake, rules, app=app):
            return 0
        own = _own(app)
        number, facts = lake.number(rules.into, own), lake.facts(rules.into, own) or {}
        begun = TableRules.from_json(facts["rules"], rules.keys)
        with _tried(spark, lake, begun, facts["upto"]) as found:
            again = count(found, begun)
            require_same(f"{rules.quarantine}: replay {number}", facts, again)
            _write_rest(lake, begun, found, own, facts)
    return again.rows


def _own(app: str) -> str:
    """The name under which a replay counts its commits, beside those of extraction."""
    return f"{app}/replay"


@contextmanager
def _tried(spark: SparkSession, lake: Lake, rules: TableRules, upto: int) -> Iterator[DataFrame]:
    """The records in quarantine of batches up to ``upto``, classified; kept until the block ends."""
    records = read_table(spark, lake, rules.quarantine, lake.version(rules.quarantine)).where(F.col("_batch") <= upto)
    raw = read_table(spark, lake, rules.source).where(F.col("_batch") <= upto)
    with spark_failures(rules.quarantine):
        dropped = records.where("raw IS NULL AND reason <> 'tombstone'").head() is not None
    if not dropped:  # quarantine keeps a record's bytes; the header that it came under is in the raw table
        raw = raw.where(F.col("_header").isNotNull())
    came = raw.select(*_KEY, "_header", "value").join(records.select(*_KEY), list(_KEY), "left_semi").dropDuplicates(list(_KEY))
    value = F.coalesce("raw", "value") if dropped else F.col("raw")
    whole = records.join(came, list(_KEY), "left").select(*KEPT, value.alias("value"), "_header")
    with classified(whole, rules, lake) as found:
        yield found


def _outcomes(spark: SparkSession, lake: Lake, rules: TableRules, upto: int) -> dict[tuple[str, str], int]:
    """How many records lie in quarantine by rule set and reason."""
    held = read_table(spark, lake, rules.quarantine).where(F.col("_batch") <= upto)
    with spark_failures(rules.quarantine):
        groups = held.groupBy("rule_set", "reason").count().collect()
    return {(row["rule_set"], row["reason"]): row["count"] for row in groups}


def _write_rest(lake: Lake, rules: TableRules, found: DataFrame, own: str, facts: Mapping[str, Any]) -> None:
    """The second commit, under the number of the first."""
    rest = bad_records(found)
    held = read_table(found.sparkSession, lake, rules.quarantine, lake.version(rules.quarantine))
    later = held.where(F.col("_batch") > facts["upto"]).select(*rest.columns)
    kept = {key: facts[key] for key in ("upto", "rows_in", "rows_out", "quarantined")}
    written = {**kept, "rule_set": rules.rule_set}
    overwrite(lake, rest.unionByName(later), rules.quarantine, app=own, number=lake.number(rules.into, own), facts=written)


def _sizes(lake: Lake, rules: TableRules) -> tuple[int, int]:
    return lake.info(rules.into).rows, lake.info(rules.quarantine).rows


def _check_sizes(rules: TableRules, before: tuple[int, int], after: tuple[int, int], done: Extracted) -> None:
    """Raise TableError unless the logs say that the table grew by all new rows and that their records left quarantine."""
    grown, gone, left = after[0] - before[0], before[1] - after[1], done.rows_in - done.quarantined
    if (grown, gone) != (done.rows, left):
        raise TableError(
            f"{rules.into}: counts do not close: a replay made {done.rows:,} rows of {left:,} records, the table grew by "
            f"{grown:,}, and {rules.quarantine} fell by {gone:,}"
        )
