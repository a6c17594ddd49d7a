"""Tables that foreign keys lead into, joined to the rows whose keys are checked."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from core.errors import RuleError
from core.lake.catalog import Lake
from core.lake.tables import read_table
from etl.rules.checks.foreign_key import ForeignKey
from etl.rules.config import TableRules
from etl.rules.masks import Mask, find_key, masked


def pin(lake: Lake, rules: TableRules) -> TableRules:
    """``rules`` with the versions that the tables of their foreign keys have by now: a run that is finished later reads the same.

    Raises TableError when there is no such table.
    """
    for check in rules.foreign_keys:
        lake.check(check.table)
    return replace(rules, references={str(check.table): lake.info(check.table).version for check in rules.foreign_keys})


def with_references(df: DataFrame, rules: TableRules, lake: Lake | None) -> DataFrame:
    """``df`` with a column for each foreign key: true where the key stands in its table, else null."""
    for check in rules.foreign_keys:
        where = f"{rules.into}: check {check.name}"
        if lake is None:
            raise RuleError(f"{where}: a foreign key is checked against a table: these rules need the lake")
        other = read_table(df.sparkSession, lake, check.table, rules.references.get(str(check.table)))
        df = _joined(df, rules, check, other, where)
    return df


def _joined(df: DataFrame, rules: TableRules, check: ForeignKey, other: DataFrame, where: str) -> DataFrame:
    if absent := sorted(set(check.others) - set(other.columns)):
        raise RuleError(f"{where}: {check.table} has no column {absent[0]}: {', '.join(other.columns)}")
    names = [f"{check.found}_{place}" for place in range(len(check.columns))]
    keys = (
        other.select(*(F.col(column).alias(name) for column, name in zip(check.others, names, strict=True))).dropna().distinct()
    )
    values = [_value(rules, column, where) for column in check.columns]
    for column, value, name in zip(check.columns, values, names, strict=True):
        ours, theirs = (rows.select(key).schema[0].dataType.simpleString() for rows, key in ((df, value), (keys, F.col(name))))
        if ours != theirs:
            raise RuleError(f"{where}: {column} is a {ours} and its counterpart in {check.table} a {theirs}")
    same = [value == F.col(name) for value, name in zip(values, names, strict=True)]
    return df.join(keys.withColumn(check.found, F.lit(True)), same, "left").drop(*names)


def _value(rules: TableRules, column: str, where: str) -> Column:
    """The value as a table holds it: a hash is compared with hashes."""
    spec = rules.config.masks().get(column)
    if spec is None or spec.mask is not Mask.HASH:
        return F.col(column)
    return masked(F.col(column), spec.mask, find_key(rules.keys, spec.mask_key, where))
