"""Rules as Spark columns: projections over a raw table, no Python function, each record read once and parsed once a rule.

A projection names what later ones read more than once; Spark keeps such projections apart, so nothing is evaluated twice. A
filter on top would be pushed below them all and evaluate everything again: callers cache the result, or write it whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce

from py4j.protocol import Py4JError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from core.errors import RuleError
from core.lake.catalog import Lake
from etl.rules.attempts import Attempt, find_taker, parse_all
from etl.rules.config import TableRules
from etl.rules.expressions import verify_expressions
from etl.rules.fields import FieldSpec, FieldType
from etl.rules.kinds.kind import Kind
from etl.rules.kinds.sql import SqlRule
from etl.rules.many import settle, spread
from etl.rules.masks import Mask, find_key, masked
from etl.rules.problems import find_problem
from etl.rules.references import with_references
from etl.rules.runs import LEAST, first_case

KEPT = ("_source", "_offset", "_batch", "_ingested_at")
_PLACE = ("_record", "_at")


@dataclass(frozen=True, slots=True)
class _Source:
    """A field as the rules with these numbers read it: its text; for SQL with another result than a text, that ``result``."""

    numbers: tuple[int, ...]
    spec: FieldSpec
    text: Column
    result: Column | None = None
    is_guarded: bool = False
    """Whether only the rows of these rules may have its values."""

    def value(self, name: str) -> Column:
        if self.result is None:
            return self.spec.value(F.col(f"_s_{name}"))
        value = self.spec.converted(self.result.try_cast("bigint" if self.spec.type is FieldType.LONG else self.spec.type.value))
        return value if self.spec.default is None else F.when(self.result.isNull(), self.spec.filled).otherwise(value)

    def filled_text(self) -> Column:
        """The text of a string field."""
        return self.text if self.spec.default is None else F.coalesce(self.text, self.spec.filled)

    def is_taker(self) -> Column:
        """Whether one of the rules took the record."""
        return F.col("_taker") == self.numbers[0] if len(self.numbers) == 1 else F.col("_taker").isin(*self.numbers)

    def form(self) -> tuple[object, ...]:
        """Sources of one form give their values by one column."""
        if self.result is not None or self.spec.default is not None:
            return self.numbers
        return (self.spec.type, self.spec.format, self.spec.timezone, self.spec.unit)


def classify(raw: DataFrame, rules: TableRules, lake: Lake | None = None) -> DataFrame:
    """Every record of a raw table as a row, good or bad. Nothing runs yet, but for the analysis of the plan.

    Columns: the typed fields, ``_rule`` (null when none took the record), ``_rule_set``, the columns of ``KEPT``, ``_raw`` (the
    record's bytes) and ``_problem`` (null for a good row, else ``{reason, message}``). Where a record may give several rows
    (``is_many``), a good one has them all, with ``_at`` from 0, and ``_raw`` in the first alone; a bad one has one row. Raises
    RuleError for SQL that does not fit, for a mask without its key, and for foreign keys without the ``lake`` of their tables.
    """
    try:
        return _classify(raw, rules, lake)
    except (PySparkException, Py4JError) as error:
        line = str(error).strip().split("\n", 1)[0]
        raise RuleError(f"{rules.into}: the rules cannot be compiled: {line[:300]}") from error


def _classify(raw: DataFrame, rules: TableRules, lake: Lake | None) -> DataFrame:
    types = rules.config.types()
    text = F.try_validate_utf8(F.col("value").cast("string"))
    df = raw.select(*KEPT, "_header", F.col("value").alias("_raw"), text.alias("value"))
    df, attempts = parse_all(df, rules)
    many = rules.config.is_many
    df = spread(df, attempts) if many else df.select("*", find_taker(attempts).alias("_taker"))
    sources = {name: list(_sources(df, rules, attempts, name)) for name in types}
    df = df.select("*", *(_text(found, types[name]).alias(_text_name(name, types[name])) for name, found in sources.items()))
    typed = [_value(name, sources[name]).alias(name) for name in types if types[name] is not FieldType.STRING]
    df = df.select("*", *typed, _rule_name(rules.rules).alias("_rule"))
    checks = {f"{rules.into}: check {c.name}": c.expression for c in rules.row_checks if hasattr(c, "expression")}
    verify_expressions(df.select(*types), checks)
    df = with_references(df, rules, lake)
    found = find_problem(rules, _failures(rules.rules, types))
    df = df.select(
        *_shown(rules), "_rule", _rule_set(rules), *KEPT, _bytes(rules), found.alias("_problem"), *(_PLACE if many else ())
    )
    return settle(df) if many else df


def _rule_set(rules: TableRules) -> Column:
    return F.lit(rules.rule_set).alias("_rule_set")


def _bytes(rules: TableRules) -> Column:
    """What quarantine may hold of the record itself."""
    if rules.config.quarantine_raw == "dropped":
        return F.lit(None).cast("binary").alias("_raw")
    return F.when(F.col("_at") == 0, F.col("_raw")).alias("_raw") if rules.config.is_many else F.col("_raw")


def _shown(rules: TableRules) -> Iterator[Column]:
    """The fields as the table holds them: masked where the rules say so."""
    masks = rules.config.masks()
    for name in rules.config.types():
        spec = masks.get(name)
        if spec is None or spec.mask is None:
            yield F.col(name)
        else:
            secret = find_key(rules.keys, spec.mask_key, f"{rules.into}: field {name}") if spec.mask is Mask.HASH else b""
            yield masked(F.col(name), spec.mask, secret).alias(name)


def _rule_name(rules: tuple[Kind, ...]) -> Column:
    if len(rules) < LEAST:
        return first_case([(F.col("_taker") == i, F.lit(rule.name)) for i, rule in enumerate(rules)])
    return F.get(F.array(*(F.lit(rule.name) for rule in rules)), F.col("_taker"))


def _sources(df: DataFrame, rules: TableRules, attempts: list[Attempt], name: str) -> Iterator[_Source]:
    for attempt in attempts:
        for spec, numbers in _alike(attempt, name):
            guarded = len(rules.rules) > 1 and (spec.default is not None or rules.config.match == "all")
            if isinstance(attempt.rules[0], SqlRule):
                result = F.col(f"_e{attempt.start}_{name}").getField("v")
                is_text = isinstance(df.select(result).schema[0].dataType, StringType)
                text = spec.nulled(result) if is_text else result.cast("string")
                yield _Source(numbers, spec, text, None if is_text else result, guarded)
            else:
                yield _Source(numbers, spec, spec.nulled(attempt.text(name)), None, guarded)


def _alike(attempt: Attempt, name: str) -> Iterator[tuple[FieldSpec, tuple[int, ...]]]:
    """How a field is read, with the numbers of the attempt's rules that read it so."""
    found: dict[str, list[int]] = {}
    specs = {number: rule.specs[name] for number, rule in enumerate(attempt.rules, attempt.start) if name in rule.specs}
    for number, spec in specs.items():
        found.setdefault(spec.model_dump_json(exclude={"group", "required"}), []).append(number)
    for numbers in found.values():
        yield specs[numbers[0]], tuple(numbers)


def _text_name(name: str, kind: FieldType) -> str:
    """A string field is its own text."""
    return name if kind is FieldType.STRING else f"_s_{name}"


def _text(sources: list[_Source], kind: FieldType) -> Column:
    texts = [source.filled_text() if kind is FieldType.STRING else source.text for source in sources]
    if len(sources) == 1 and not sources[0].is_guarded:
        return texts[0]
    return first_case([(source.is_taker(), text) for source, text in zip(sources, texts, strict=True)])


def _value(name: str, sources: list[_Source]) -> Column:
    if len({source.form() for source in sources}) == 1 and not sources[0].is_guarded:
        return sources[0].value(name)
    return first_case([(source.is_taker(), source.value(name)) for source in sources])


def _failures(rules: tuple[Kind, ...], names: Iterable[str]) -> dict[str, Column]:
    """By field the condition that its SQL raised."""
    found: dict[str, Column] = {}
    for name in names:
        numbers = [i for i, rule in enumerate(rules) if isinstance(rule, SqlRule) and name in rule.fields]
        if numbers:
            raised = [(F.col("_taker") == i) & F.col(f"_e{i}_{name}").isNull() for i in numbers]
            found[name] = reduce(lambda left, right: left | right, raised)
    return found
