"""Checks that columns suggest, as Schelter et al. do (Automating large-scale data quality verification, 2018).

A check is proposed when no row held out fails it, and there are enough of them: with 299 rows and no failure it is 95 % sure that
fewer than 1 % of rows fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from etl.discovery.columns.values import KEPT, Values, fits
from etl.discovery.proposal import Constraint
from etl.rules.fields import FieldType

LEAST_ROWS: Final = 299
NUMBERS: Final = (FieldType.INT, FieldType.LONG, FieldType.DOUBLE)
_KEYS = (FieldType.INT, FieldType.LONG, FieldType.STRING)
_RUN = re.compile(r"[A-Z]+|[a-z]+|[0-9]+|[^A-Za-z0-9]")
_CLASSES = {"A": "[A-Z]", "a": "[a-z]", "0": "[0-9]"}
_ONE_IN_TWENTY: Final = 2.9957  # -ln 0.05: a share of this / n would show in n rows in 19 cases of 20
_LONGEST_FORM: Final = 12  # runs


@dataclass(frozen=True, slots=True)
class Column:
    """A typed field: what was mined of it, and its texts in the rows held out."""

    name: str
    spec: Mapping[str, Any]
    values: Values
    held_out: Sequence[str | None]

    @property
    def kind(self) -> FieldType:
        """Its type."""
        return FieldType(self.spec["type"])

    def filled(self) -> list[str]:
        """The texts that are not read as null, of those held out."""
        nulls = self.spec.get("null_values", ("",))
        return [text for text in self.held_out if text is not None and text not in nulls]

    def is_complete(self) -> bool:
        """Whether no row lacks it."""
        nulls = self.values.nulls + (self.values.blanks.total() if self.kind is not FieldType.STRING else 0)
        return not nulls and len(self.filled()) == len(self.held_out)


def suggest(columns: Sequence[Column]) -> Iterator[Constraint]:
    """Checks that hold on all rows held out; none where these are too few."""
    rows = len(columns[0].held_out) if columns else 0
    if rows < LEAST_ROWS:
        return
    sure = f"no row of {rows:,} held out fails: fewer than {_ONE_IN_TWENTY / rows:.2%} do, 95 % sure"
    if complete := [column.name for column in columns if column.is_complete() and not column.spec.get("required")]:
        yield Constraint({"name": "complete", "kind": "not_null", "columns": complete}, sure)
    if key := next((column for column in columns if _is_key(column)), None):
        seen = f"none twice of {len(key.values.kept()):,} looked at"
        reason = f"about {key.values.distinct():,.0f} distinct in {key.values.count:,} rows; {seen}"
        yield Constraint({"name": f"{key.name}_unique"[:63], "kind": "unique", "columns": [key.name]}, reason)
    for column in columns:
        for check in (_set(column), _range(column), _pattern(column)):
            if check is not None:
                yield Constraint({"name": f"{column.name}_{check['kind']}"[:63], **check}, sure)
                break


def _is_key(column: Column) -> bool:
    """Whether it has another value in each row, as far as can be seen."""
    filled, kept = column.filled(), column.values.kept()
    all_once = len(kept) >= LEAST_ROWS and max(kept.values()) == 1 and len(set(filled)) == len(filled)
    return column.kind in _KEYS and column.is_complete() and all_once and not any(" " in text for text in kept)


def _set(column: Column) -> dict[str, Any] | None:
    """A list of words, each seen twice at least, so that a new one is unlikely (Good and Turing)."""
    kept = column.values.kept()
    if column.kind is not FieldType.STRING or not 1 < len(kept) < KEPT or min(kept.values()) < 2:  # noqa: PLR2004  twice
        return None
    words = sorted([*kept, *column.values.blanks])
    return {"kind": "set", "column": column.name, "values": words} if set(column.filled()) <= set(words) else None


def _range(column: Column) -> dict[str, Any] | None:
    """Bounds that both halves reach exactly, or zero where nothing is below it."""
    low, high = column.values.low, column.values.high
    if column.kind not in NUMBERS or low is None or high is None or low == high:
        return None
    found = [float(text) for text in column.filled() if fits(text, column.kind, None)]
    if not found or max(found) > high or min(found) < low:
        return {"kind": "range", "column": column.name, "min": 0} if low >= 0 and min(found, default=0.0) >= 0 else None
    bounds = {"min": low} if min(found) == low else {"min": 0} if low >= 0 else {}
    bounds |= {"max": high} if max(found) == high and not _grows(column) else {}
    whole = column.kind is not FieldType.DOUBLE
    bounds = {side: int(bound) if whole else bound for side, bound in bounds.items()}
    return {"kind": "range", "column": column.name, **bounds} if bounds else None


def _grows(column: Column) -> bool:
    """Whether values hardly come again, as numbers of rows do not: their greatest is no bound."""
    return 2 * column.values.distinct() > column.values.count


def _pattern(column: Column) -> dict[str, Any] | None:
    """The form of codes: runs of capitals, letters and digits, with signs between."""
    kept = [_RUN.findall(text) for text in column.values.kept()]
    shapes = {tuple(_class(run) for run in runs) for runs in kept}
    if column.kind is not FieldType.STRING or len(kept) < 2 or len(shapes) != 1:  # noqa: PLR2004  a form is of several
        return None
    (shape,) = shapes
    if len(shape) > _LONGEST_FORM or not any(one in _CLASSES for one in shape) or any(one.isspace() for one in shape):
        return None
    lengths = [sorted({len(runs[i]) for runs in kept}) for i in range(len(shape))]
    pattern = "".join(_run_pattern(one, found) for one, found in zip(shape, lengths, strict=True))
    holds = all(re.fullmatch(pattern, text) for text in column.filled())
    return {"kind": "pattern", "column": column.name, "pattern": f"^{pattern}$"} if holds else None


def _class(run: str) -> str:
    return "A" if run.isascii() and run.isupper() else "a" if run.isascii() and run.isalpha() else "0" if run.isdigit() else run


def _run_pattern(shape: str, lengths: Sequence[int]) -> str:
    if shape not in _CLASSES:
        return re.escape(shape)
    if len(lengths) == 1:
        return f"{_CLASSES[shape]}{{{lengths[0]}}}"
    return f"{_CLASSES[shape]}+"
