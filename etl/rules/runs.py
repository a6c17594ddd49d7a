"""Many regular expressions in a row, tried at little more than the price of one.

Two columns serve them all: which rule takes the record, asked of each in turn where the text holds the rule's longest fixed part,
and what that rule's groups matched. Both are interpreted and not compiled: the code for a hundred patterns is more than the JVM
takes as one method, and what counts are the matches that are not tried.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from etl.rules.kinds.kind import Record
from etl.rules.kinds.regex import MARK, RegexRule

LEAST = 4
"""Fewer patterns in a row are cheaper each by itself, where none is matched twice."""


def with_run(df: DataFrame, rules: Sequence[RegexRule], start: int, free: Column | None) -> DataFrame:
    """``df`` with ``_n<start>``, the place in the run of the rule that takes the record (null when none does), and ``_p<start>``:
    the texts of its groups from 1 on.
    """  # noqa: D205
    record = Record(F.col("value"), F.col("_header"))
    place = first_case([(rule.fits(record), F.lit(place)) for place, rule in enumerate(rules)])
    df = df.select("*", _interpreted(place if free is None else F.when(free, place)).alias(f"_n{start}"))
    return df.select("*", _groups(record.text, rules, F.col(f"_n{start}")).alias(f"_p{start}"))


def read_group(rules: Sequence[RegexRule], start: int, field: str) -> Column:
    """The text of a field as the rule of a run read it that takes the record; null for one without the field."""
    places = F.array(*(F.lit(rule.place(field) if field in rule.fields else -1) for rule in rules))
    return F.get(F.col(f"_p{start}"), F.get(places, F.col(f"_n{start}")))


def first_case(branches: Sequence[tuple[Column, Column]]) -> Column:
    """The first branch whose condition holds; else null."""
    case = F.when(*branches[0])
    for branch in branches[1:]:
        case = case.when(*branch)
    return case


def _groups(text: Column, rules: Sequence[RegexRule], place: Column) -> Column:
    """The groups of one match, written with marks and split there; where the text holds a mark itself, one match a group."""
    written = _interpreted(first_case([(place == n, rule.written(text)) for n, rule in enumerate(rules)]))
    pattern = F.get(F.array(*(F.lit(rule.java) for rule in rules)), place)
    count = F.get(F.array(*(F.lit(rule.groups) for rule in rules)), place)
    numbers = F.filter(F.sequence(F.lit(0), F.lit(max(rule.groups for rule in rules))), lambda n: n <= count)
    apart = F.transform(numbers, lambda n: F.call_function("regexp_extract", text, pattern, n))
    return F.when(place.isNotNull(), F.when(F.contains(text, F.lit(MARK)), apart).otherwise(F.split(written, MARK)))


def _interpreted(column: Column) -> Column:
    """The column, for which Spark generates no code: it generates none for the body of a lambda."""
    return F.get(F.transform(F.array(F.lit(0)), lambda _: column), F.lit(0))
