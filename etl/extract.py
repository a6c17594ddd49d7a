"""Raw records through the rules: typed rows into ``extracted.NAME``, all others into ``quarantine.NAME``; counts close.

Exactly once with no position kept anywhere else: each of the two tables knows from its own last commit up to which raw batch it
has come. The extracted table is written first, and its commit carries the rules: a run that was killed between the two commits
is finished by the next with the rules that it began with.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from core.contracts import TableName
from core.errors import ConfigError, TableError
from core.lake.catalog import Lake
from core.lake.failures import spark_failures
from core.lake.tables import append, read_table
from etl.rules.checks.batch import Batch, BatchCheck
from etl.rules.compile import KEPT, classify
from etl.rules.config import TableRules
from etl.rules.references import pin

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Extracted:
    """What a run did: raw records read, rows written, records quarantined, and how many for which reason.

    ``rows_in`` less ``quarantined`` records became rows; each became one, unless the rules say otherwise.
    """

    rows_in: int = 0
    rows: int = 0
    quarantined: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    """What checks of severity ``warn`` say of the rows."""


@dataclass(frozen=True, slots=True)
class _Span:
    """Raw batches ``after`` < batch ≤ ``upto`` of one version of the raw table."""

    version: int
    after: int
    upto: int


def extract(spark: SparkSession, lake: Lake, rules: TableRules, *, app: str) -> Extracted:
    """Bring both tables of ``rules`` up to the newest raw batch, once for every record; with nothing new, write nothing.

    ``app`` names the writer in the tables' logs and must stay the same from run to run. Raises RuleError for rules that do not
    fit, TableError when there is no raw table, when a check of the whole batch fails (then nothing is written), or when counts
    do not close.
    """
    if spark.conf.get("spark.sql.session.timeZone") != "UTC":
        raise ConfigError("extraction needs a session in UTC: set spark.sql.session.timeZone to UTC")
    with lake.exclusive(rules.into):
        mended = _mend(spark, lake, rules, app)
        done = _advance(spark, lake, rules, app)
    return _sum(mended, done)


def is_current(lake: Lake, rules: TableRules, *, app: str) -> bool:
    """Whether both tables of ``rules`` have all that is in the raw table, as the three logs say it: takes no Spark session.

    Raises TableError when there is no raw table.
    """
    lake.check(rules.source)
    number = lake.number(rules.into, app)
    if number == 0 or number != lake.number(rules.quarantine, app):
        return False
    return bool((lake.facts(rules.into, app) or {})["raw_version"] >= (lake.rows_version(rules.source) or 0))


def _advance(spark: SparkSession, lake: Lake, rules: TableRules, app: str) -> Extracted:
    """Read the batches after the last extracted one, check them, write good rows, then the others."""
    span = _new_span(spark, lake, rules, app)
    if span is None:
        return Extracted()
    rules = pin(lake, rules)
    before = lake.info(rules.into).rows if lake.exists(rules.into) else 0
    with classified(_records(spark, lake, rules, span), rules, lake) as found:
        done = count(found, rules)
        done = replace(done, warnings=_check_batch(lake, rules, found, done))
        facts = {
            "from": span.after,
            "to": span.upto,
            "raw_version": span.version,
            "rows_in": done.rows_in,
            "rows_out": done.rows,
            "records_out": done.rows_in - done.quarantined,
            "quarantined": done.quarantined,
            "reasons": done.reasons,
            "warnings": done.warnings,
            "rules": rules.to_json(),
        }
        write_rows(lake, rules, found, app=app, number=span.upto, facts=facts)
        _write_quarantine(lake, rules, app, found, facts)
    _check_counts(lake, rules, app, lake.info(rules.into).rows - before)
    return done


def _new_span(spark: SparkSession, lake: Lake, rules: TableRules, app: str) -> _Span | None:
    """The raw batches after the last extracted one; None when there is none."""
    version, after = lake.version(rules.source), lake.number(rules.into, app)
    newest = _newest_batch(spark, lake, rules.source, version)
    return None if version is None or newest <= after else _Span(version, after, newest)


def _newest_batch(spark: SparkSession, lake: Lake, table: TableName, version: int | None) -> int:
    """The highest number of a batch in a raw table, 0 when it has no rows; the log's statistics mostly tell it."""
    tops = lake.greatest(table, "_batch", version)
    if None not in tops:
        return max(tops, default=0)
    with spark_failures(table):
        (row,) = read_table(spark, lake, table, version).agg(F.max("_batch").alias("newest")).collect()
    return row["newest"] or 0


def _mend(spark: SparkSession, lake: Lake, rules: TableRules, app: str) -> Extracted:
    """Finish a run that was killed after its rows were committed and before its quarantine was; counts what it quarantines."""
    upto = lake.number(rules.into, app)
    if upto == lake.number(rules.quarantine, app):
        return Extracted()
    facts = lake.facts(rules.into, app) or {}
    begun = TableRules.from_json(facts["rules"], rules.keys)
    # raw tables only grow, so the newest version has the same batches; a vacuum may have taken the one that was read
    span = _Span(lake.info(rules.source).version, facts["from"], upto)
    with classified(_records(spark, lake, begun, span), begun, lake) as found:
        require_same(f"{rules.quarantine}: the run up to batch {upto}", facts, count(found, begun))
        _write_quarantine(lake, begun, app, found, facts)
    _check_counts(lake, begun, app, facts["rows_out"])
    return Extracted(facts["quarantined"], 0, facts["quarantined"], facts["reasons"])


def require_same(what: str, facts: Mapping[str, Any], again: Extracted) -> None:
    """Raise TableError unless a run that is finished makes what its first commit says it made."""
    if (again.rows_in, again.rows) != (facts["rows_in"], facts["rows_out"]):
        raise TableError(
            f"{what} cannot be finished: it made {facts['rows_out']:,} rows of {facts['rows_in']:,} records, and the same rules "
            f"now make {again.rows:,} of {again.rows_in:,}: finish it with the version of the platform that began it"
        )


def _records(spark: SparkSession, lake: Lake, rules: TableRules, span: _Span) -> DataFrame:
    raw = read_table(spark, lake, rules.source, span.version)
    return raw.where((F.col("_batch") > span.after) & (F.col("_batch") <= span.upto))


@contextmanager
def classified(records: DataFrame, rules: TableRules, lake: Lake) -> Iterator[DataFrame]:
    """Raw records with what the rules make of them: evaluated once, then kept until the block ends.

    Kept, because the rows go to two tables after they were counted: without, a filter for the good rows is pushed down through
    the rules and evaluates them again and again (measured: seven times the CPU time).
    """
    found = classify(records, rules, lake)
    bad = F.col("_problem").isNotNull()
    slim = found.withColumn("_raw", F.when(bad, F.col("_raw"))).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        yield slim
    finally:
        slim.unpersist()


def count(found: DataFrame, rules: TableRules) -> Extracted:
    """What became of the classified records, counted by their first rows: of a record in quarantine there is no other."""
    reason = F.col("_problem.reason").alias("reason")
    records = F.count_if(F.col("_at") == 0) if rules.config.is_many else F.count("*")
    with spark_failures(rules.source):
        groups = found.groupBy(reason).agg(F.count("*").alias("rows"), records.alias("records")).collect()
    rows = sum(row["rows"] for row in groups if row["reason"] is None)
    counts = {row["reason"]: row["records"] for row in groups}
    rows_in = sum(counts.values())
    quarantined = rows_in - counts.pop(None, 0)
    by_size = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    return Extracted(rows_in, rows, quarantined, by_size)


def _check_batch(lake: Lake, rules: TableRules, found: DataFrame, done: Extracted) -> tuple[str, ...]:
    """Warnings about the new records as a whole; raises TableError when they are not such as the rules ask for."""
    share = done.quarantined / done.rows_in
    if share > rules.config.max_quarantined:
        top = ", ".join(f"{reason} {count:,}" for reason, count in list(done.reasons.items())[:3])
        example = found.where("_problem IS NOT NULL").select("_problem.message", "_source", "_offset").head()
        where = f"; for example {example['_source']} at {example['_offset']}: {example['message']}" if example else ""
        raise TableError(
            f"{rules.source}: {done.quarantined:,} of {done.rows_in:,} new records would be quarantined ({share:.1%}, above "
            f"max_quarantined {rules.config.max_quarantined:.1%}): {top}{where}; nothing was written: mend rules or source",
            reasons=done.reasons,
        )
    return check_rows(lake, rules, found, done.rows, rules.batch_checks)


def check_rows(lake: Lake, rules: TableRules, found: DataFrame, size: int, checks: Sequence[BatchCheck]) -> tuple[str, ...]:
    """Hold the ``size`` rows among the classified records against ``checks``; returns what those that only warn say.

    Raises TableError when another fails.
    """
    batch = Batch(found.where("_problem IS NULL"), size, rules.into, lambda table: _present(found.sparkSession, lake, table))
    warnings = []
    for check in checks:
        with spark_failures(rules.source):
            problem = check.problem(batch)
        if problem and check.severity == "fail":
            raise TableError(f"{rules.into}: check {check.name}: {problem}; nothing was written", check=check.name)
        if problem:
            warnings.append(f"check {check.name}: {problem}")
            _log.warning("%s: check %s: %s", rules.into, check.name, problem)
    return tuple(warnings)


def _present(spark: SparkSession, lake: Lake, table: TableName) -> DataFrame | None:
    return read_table(spark, lake, table) if lake.exists(table) else None


def good_rows(found: DataFrame, rules: TableRules) -> DataFrame:
    """The classified records that are rows, as the extracted table has them."""
    fields = list(rules.config.types())
    return found.where("_problem IS NULL").select(*fields, "_rule", "_rule_set", "_source", "_offset", "_batch")


def write_rows(lake: Lake, rules: TableRules, found: DataFrame, *, app: str, number: int, facts: Mapping[str, Any]) -> None:
    """Append the rows among the classified records; fields that the table has not become columns, null in older rows.

    Raises as ``append``; the TableError for a field of another type than its column names both.
    """
    rows = good_rows(found, rules)
    try:
        append(lake, rows, rules.into, app=app, number=number, facts=facts, new_columns=True)
    except TableError as error:
        if wrong := _misfit(lake, rules, rows):
            raise TableError(wrong) from error
        raise


def _misfit(lake: Lake, rules: TableRules, rows: DataFrame) -> str | None:
    """What is wrong where a field has another type than its column in the table."""
    if not lake.exists(rules.into):
        return None
    there = {column.name: column.dataType.simpleString() for column in read_table(rows.sparkSession, lake, rules.into).schema}
    for column in rows.schema:
        ours, theirs = column.dataType.simpleString(), there.get(column.name)
        if theirs not in (None, ours):
            return (
                f"{rules.into}: field {column.name} is {ours} by the rules and {theirs} in the table, whose columns keep their "
                "types: call the field otherwise, or lead the rules into another table; nothing was written"
            )
    return None


def bad_records(found: DataFrame) -> DataFrame:
    """The classified records that are no rows, as quarantine has them."""
    return found.where("_problem IS NOT NULL").select(
        *KEPT,
        F.col("_rule").alias("rule"),
        F.col("_rule_set").alias("rule_set"),
        F.col("_problem.reason").alias("reason"),
        F.col("_problem.message").alias("message"),
        F.col("_raw").alias("raw"),
    )


def _write_quarantine(lake: Lake, rules: TableRules, app: str, found: DataFrame, facts: Mapping[str, Any]) -> None:
    kept = {key: facts[key] for key in ("from", "to", "raw_version", "rows_in")}
    written = {**kept, "rows_out": facts["quarantined"], "rule_set": rules.rule_set}
    append(lake, bad_records(found), rules.quarantine, app=app, number=facts["to"], facts=written)


def _check_counts(lake: Lake, rules: TableRules, app: str, added: int) -> None:
    """Raise TableError unless the last commits of the two tables say: in = out + quarantined, over the same records.

    ``added`` is by how many rows the extracted table grew, as its log counts them.
    """
    good, bad = lake.facts(rules.into, app) or {}, lake.facts(rules.quarantine, app) or {}
    same = all(good[key] == bad[key] for key in ("from", "to", "raw_version", "rows_in"))
    taken = good.get("records_out", good["rows_out"])
    if not same or added != good["rows_out"] or good["rows_in"] != taken + bad["rows_out"]:
        raise TableError(
            f"{rules.into}: counts do not close: {good['rows_in']:,} records in, {good['rows_out']:,} rows of {taken:,} (the "
            f"table grew by {added:,}), {bad['rows_out']:,} quarantined (batches {good['from']}-{good['to']})"
        )


def _sum(first: Extracted, second: Extracted) -> Extracted:
    reasons = {r: first.reasons.get(r, 0) + second.reasons.get(r, 0) for r in (*first.reasons, *second.reasons)}
    return Extracted(
        first.rows_in + second.rows_in, first.rows + second.rows, first.quarantined + second.quarantined, reasons, second.warnings
    )
