"""What is wrong with a record: the reason and a line for the person who repairs it."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F

from etl.rules.config import TableRules
from etl.rules.fields import FieldType
from etl.rules.kinds.kind import Kind, Record

_SHOWN = 60
_CONTROLS = r"[\x00-\x1f\x7f-\x9f\u2028\u2029]"


def find_problem(rules: TableRules, failed: Mapping[str, Column]) -> Column:
    """``{reason, message}`` of the first thing that is wrong with a record; null for a good one.

    No message quotes what is masked. Reads the columns of ``etl.rules.compile``; ``failed`` are the conditions under which a
    field's SQL raised.
    """
    record = Record(F.col("value"), F.col("_header"))
    taken = F.col("_taker").isNotNull()
    masks = rules.config.masks()
    begins = F.lit("") if masks else F.concat(F.lit("; it begins with 0x"), F.hex(F.substring(F.col("_raw"), 1, 16)))
    found = F.when(
        F.col("_raw").isNull(), _problem("tombstone", F.lit("the record holds nothing: its key was deleted at the source"))
    )
    found = found.when(record.text.isNull(), _problem("not_utf8", F.concat(F.lit("the record is not UTF-8"), begins)))
    for rule in rules.rules:
        for refusal in rule.refusals(record):
            found = found.when(~taken & refusal.condition, _problem(refusal.reason, _one_line(refusal.message, 4 * _SHOWN)))
    quoted = F.lit("") if masks else F.concat(F.lit(" "), _quote(record.text))
    found = found.when(~taken, _problem("no_rule", F.concat(F.lit("no rule takes the record"), quoted)))
    for name, kind in rules.config.types().items():
        found = _field_problems(found, rules.rules, name, kind, failed.get(name))
    for check in rules.row_checks:
        secret = sorted(set(check.columns) & set(masks))
        message = F.lit(f"{secret[0]} does not pass; it is masked") if secret else check.message()
        found = found.when(check.fails(), _problem(f"check:{check.name}", _one_line(message, 4 * _SHOWN)))
    return found


def _field_problems(found: Column, rules: tuple[Kind, ...], name: str, kind: FieldType, failed: Column | None) -> Column:
    value = F.col(name)
    if failed is not None:
        message = F.lit(f"field {name}: its expression fails on this row")
        found = found.when(failed, _problem("bad_cast", message))
    if kind is not FieldType.STRING:
        text = F.col(f"_s_{name}")
        article = "an" if kind is FieldType.INT else "a"
        message = F.concat(F.lit(f"field {name}: "), _quote(text), F.lit(f" is not {article} {kind}"))
        found = found.when(value.isNull() & text.isNotNull(), _problem("bad_cast", message))
    needing = [i for i, rule in enumerate(rules) if name in rule.specs and rule.specs[name].required]
    if needing:
        missing = value.isNull() if len(needing) == len(rules) else value.isNull() & F.col("_taker").isin(*needing)
        found = found.when(missing, _problem("missing_field", F.lit(f"field {name} is missing")))
    return found


def _problem(reason: str, message: Column) -> Column:
    return F.struct(F.lit(reason).alias("reason"), message.alias("message"))


def _quote(text: Column) -> Column:
    whole = F.length(text) <= _SHOWN
    return F.concat(F.lit("'"), _one_line(text, _SHOWN), F.when(whole, F.lit("'")).otherwise(F.lit("…'")))


def _one_line(text: Column, length: int) -> Column:
    return F.regexp_replace(F.left(text, F.lit(length)), _CONTROLS, "?")
