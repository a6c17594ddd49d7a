"""What rules make of one record, and why each rule takes it or not: nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from core.errors import TableError
from core.lake.catalog import Lake
from core.lake.failures import spark_failures
from core.lake.tables import read_table
from etl.rules.compile import classify
from etl.rules.config import TableRules
from etl.rules.kinds.kind import RuleSpec


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule alone, or all in their order, make of a record: a row as JSON text, or what is wrong.

    ``rule`` took it; None when none did. ``unmet`` says that the rule would take it were it not for its ``when``.
    """

    name: str
    rule: str | None
    row: str | None
    problem: str | None
    unmet: bool = False


@dataclass(frozen=True, slots=True)
class Explanation:
    """A raw record of a batch, what becomes of it, and what each rule would make of it alone, in the order of the rules."""

    batch: int
    record: bytes | None
    whole: Verdict
    rules: Sequence[Verdict]


def explain(spark: SparkSession, lake: Lake, rules: TableRules, source: str, offset: int) -> Explanation:
    """Explain the record that came from ``source`` at ``offset``, of the newest batch that has it.

    Raises TableError when there is none, RuleError for rules that do not fit.
    """
    raw = read_table(spark, lake, rules.source)
    with spark_failures(rules.source):
        row = raw.where((F.col("_source") == source) & (F.col("_offset") == offset)).orderBy(F.desc("_batch")).limit(1).head()
    if row is None:
        raise TableError(f"{rules.source} has no record of source {source!r} at offset {offset}: `maas quarantine show` has some")
    record = spark.createDataFrame([row], raw.schema)
    alone = [(rule, _only(rules, rule)) for rule in rules.rules]
    tried = [_tried(record, rules, lake, -1), *(_tried(record, one, lake, number) for number, (_, one) in enumerate(alone))]
    tried += [
        _tried(record, _only(rules, rule.model_copy(update={"when": None})), lake, len(alone) + number)
        for number, (rule, _) in enumerate(alone)
        if isinstance(rule, RuleSpec) and rule.when is not None
    ]
    with spark_failures(rules.source):
        found = {one["number"]: one for one in reduce(DataFrame.union, tried).collect()}
    verdicts = []
    for number, (rule, _) in enumerate(alone):
        one, free = found[number], found.get(len(alone) + number)
        unmet = one["rule"] is None and free is not None and free["rule"] is not None
        verdicts.append(Verdict(rule.name, one["rule"], one["row"], one["problem"], unmet))
    whole = found[-1]
    return Explanation(row["_batch"], row["value"], Verdict("all", whole["rule"], whole["row"], whole["problem"]), verdicts)


def _only(rules: TableRules, rule: object) -> TableRules:
    """The rules as if there were this one alone, without checks: they may name fields of others."""
    return replace(rules, config=rules.config.model_copy(update={"rules": (rule,), "checks": (), "examples": ()}))


def _tried(record: DataFrame, rules: TableRules, lake: Lake, number: int) -> DataFrame:
    problem: Column = F.col("_problem")
    row = F.to_json(F.struct(*rules.config.types()), {"ignoreNullFields": "false"})
    return classify(record, rules, lake).select(
        F.lit(number).alias("number"),
        F.col("_rule").alias("rule"),
        F.when(F.col("_rule").isNotNull(), row).alias("row"),
        F.when(problem.isNotNull(), F.concat_ws(": ", problem["reason"], problem["message"])).alias("problem"),
    )
