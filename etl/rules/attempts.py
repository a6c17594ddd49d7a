"""What each rule makes of a record, as columns: a rule is tried on the records that none before it took."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from etl.rules.config import TableRules
from etl.rules.expressions import attempted, verify_expressions
from etl.rules.kinds.kind import Kind, Record
from etl.rules.kinds.regex import RegexRule
from etl.rules.kinds.sql import SqlRule
from etl.rules.runs import LEAST, first_case, read_group, with_run


@dataclass(frozen=True, slots=True)
class Attempt:
    """A rule, or a run of rules that share their columns: ``start`` is the number of the first.

    ``takes`` is whether one of them takes the record, and never null; ``taker`` is which, where one does.
    """

    rules: tuple[Kind, ...]
    start: int
    parsed: Column
    takes: Column
    taker: Column

    def items(self) -> Column:
        """How many rows the record gives."""
        return self.rules[0].items(self.parsed)

    def text(self, field: str) -> Column:
        """The text of a field as the rule read it that takes the record."""
        plain = plain_rules(self.rules)
        return read_group(plain, self.start, field) if plain else self.rules[0].text(self.parsed, field)


def parse_all(df: DataFrame, rules: TableRules) -> tuple[DataFrame, list[Attempt]]:
    """``df`` with the columns of all attempts, and the attempts in the order of the rules."""
    attempts: list[Attempt] = []
    for run in _runs(rules):
        attempt = _attempt(rules.rules[run.start : run.stop], run.start)
        free = [~earlier.takes for earlier in attempts] if rules.config.match == "first" else []
        if plain := plain_rules(attempt.rules):
            df = with_run(df, plain, run.start, reduce(and_, free) if free else None)
        else:
            df = _with_parsed(df, rules, run.start, free)
        attempts.append(attempt)
    return df, attempts


def find_taker(attempts: list[Attempt]) -> Column:
    """The number of the first rule that takes the record; null when none does."""
    return first_case([(attempt.takes, attempt.taker) for attempt in attempts])


def plain_rules(rules: tuple[Kind, ...]) -> list[RegexRule]:
    """The rules of a run; none of a rule by itself."""
    return [rule for rule in rules if isinstance(rule, RegexRule)] if len(rules) > 1 else []


def _runs(rules: TableRules) -> Iterator[range]:
    """The numbers of rules that share columns, in order; of the others each by itself."""
    start, end = 0, len(rules.rules)
    while start < end:
        stop = start
        while stop < end and _is_plain(rules.rules[stop]) and rules.config.match == "first":
            stop += 1
        stop = stop if stop - start >= LEAST else start + 1
        yield range(start, stop)
        start = stop


def _is_plain(rule: Kind) -> bool:
    return isinstance(rule, RegexRule) and rule.when is None


def _attempt(rules: tuple[Kind, ...], start: int) -> Attempt:
    parsed = F.col(f"_p{start}")
    if len(rules) == 1:
        return Attempt(rules, start, parsed, rules[0].takes(parsed), F.lit(start))
    place = F.col(f"_n{start}")
    return Attempt(rules, start, parsed, place.isNotNull(), place + start)


def _with_parsed(df: DataFrame, rules: TableRules, number: int, free: list[Column]) -> DataFrame:
    """``df`` with ``_p<number>``: what the rule makes of a record that is left to it."""
    rule, guards = rules.rules[number], list(free)
    where = f"{rules.into}: rule {rule.name}"
    if rule.when is not None and not isinstance(rule, SqlRule):
        verify_expressions(df.select("value"), {f"{where}: when": rule.when})
        guards.append(_holds(df, rule.when, F.col("value").isNotNull()))
    parsed = rule.parse(Record(F.col("value"), F.col("_header")))
    df = df.select("*", (F.when(reduce(and_, guards), parsed) if guards else parsed).alias(f"_p{number}"))
    return _with_results(df, rule, number, where) if isinstance(rule, SqlRule) else df


def _with_results(df: DataFrame, rule: SqlRule, number: int, where: str) -> DataFrame:
    """``df`` with ``_e<number>_<field>``, the attempted results of the fields' expressions, where the rule takes the record."""
    parsed = F.col(f"_p{number}")
    kept = [name for name in df.columns if name != f"_p{number}"]
    scope = df.select("*", *(rule.column(parsed, name).alias(name) for name in rule.columns))
    sql = {f"{where}: field {name}": rule.expression(name) for name in rule.fields}
    verify_expressions(scope.select("value", *rule.columns), sql | ({f"{where}: when": rule.when} if rule.when else {}))
    if rule.when is not None:
        mine = F.when(_holds(scope, rule.when, rule.takes(parsed)), parsed)
        scope = scope.select(*kept, *rule.columns, mine.alias(f"_p{number}"))
    jvm: Any = df.sparkSession.sparkContext._jvm  # noqa: SLF001
    results = (attempted(jvm, F.expr(rule.expression(n)), rule.takes(parsed)).alias(f"_e{number}_{n}") for n in rule.fields)
    return scope.select(*kept, f"_p{number}", *results)


def _holds(df: DataFrame, condition: str, guard: Column) -> Column:
    """Whether a condition holds; not where it is null or raises."""
    jvm: Any = df.sparkSession.sparkContext._jvm  # noqa: SLF001
    found = attempted(jvm, F.expr(condition).cast("boolean"), guard)
    return F.coalesce(found.getField("v"), F.lit(False))
