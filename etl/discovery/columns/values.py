"""The texts at one place of many records, in bounded memory: types, formats, extremes, and a sample of distinct texts.

The sample are the texts with the smallest hashes, with their exact counts; from the greatest of these hashes follows how many
distinct texts there are (Bar-Yossef et al., Counting distinct elements in a data stream, 2002).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache, reduce
from heapq import nsmallest
from typing import Any, Final, Self

from etl.discovery.templates.sample import rank
from etl.discovery.values import format_of, type_of, wider
from etl.rules.fields import FieldType

KEPT: Final = 512
LONGEST: Final = 256
BLANKS: Final = frozenset({"NA", "N/A", "n/a", "NULL", "null", "None", "nan", "NaN", "-", "?", "\\N"})
_CODE = re.compile(r"[+-]?0\d+", re.ASCII)
_NUMBERS = (FieldType.INT, FieldType.LONG, FieldType.DOUBLE)
_SLACK: Final = 2
_HASHES: Final = 1 << 64


class Values:
    """Counts what it is shown; ``merge`` makes of two what one would hold that had seen all texts."""

    __slots__ = ("_cut", "_kept", "blanks", "count", "forms", "high", "longest", "low", "nulls")

    def __init__(self) -> None:
        self.count = 0
        self.nulls = 0
        self.blanks: Counter[str] = Counter()
        self.forms: Counter[str] = Counter()
        self.low: float | None = None
        self.high: float | None = None
        self.longest = 0
        self._kept: dict[str, int] = {}
        self._cut: bytes | None = None

    def add(self, text: str | None, times: int = 1) -> None:
        """Count a text; None and the empty text are null."""
        if not text:
            self.nulls += times
        elif text in BLANKS:
            self.blanks[text] += times
        else:
            self.count += times
            form, number = form_of(text)
            self.forms[form] += times
            self.longest = max(self.longest, len(text))
            if number is not None:
                self.low = number if self.low is None else min(self.low, number)
                self.high = number if self.high is None else max(self.high, number)
            self._keep(text if len(text) <= LONGEST else f"{text[:LONGEST]}…{rank(text).hex()}", times)

    def merge(self, other: Values) -> None:
        """Take in what another has seen."""
        self.count += other.count
        self.nulls += other.nulls
        self.blanks += other.blanks
        self.forms += other.forms
        self.longest = max(self.longest, other.longest)
        self.low = min((n for n in (self.low, other.low) if n is not None), default=None)
        self.high = max((n for n in (self.high, other.high) if n is not None), default=None)
        for text, times in other._kept.items():
            self._keep(text, times)

    def type(self) -> tuple[FieldType, str | None]:
        """The narrowest type that all texts are of, with its format; nulls and blanks count for nothing."""
        found = [form.partition("|") for form in self.forms]
        kind = reduce(wider, (FieldType(name) for name, _, _ in found)) if found else FieldType.STRING
        formats = {form for _, _, form in found}
        if kind is FieldType.TIMESTAMP and len(formats) > 1:
            return FieldType.STRING, None
        return kind, (formats.pop() or None) if kind is FieldType.TIMESTAMP else None

    def kept(self) -> dict[str, int]:
        """Distinct texts with their counts, in an order that depends on nothing but them: all, where there are at most 512."""
        self._settle()
        return self._kept

    def distinct(self) -> float:
        """How many distinct texts there are: exact up to 512, else within some 4 % in two cases of three."""
        kept = self.kept()
        if len(kept) < KEPT:
            return len(kept)
        return (KEPT - 1) * _HASHES / (int.from_bytes(rank(next(reversed(kept))), "big") + 1)

    def to_json(self) -> list[Any]:
        """A JSON-able form, read back by ``from_json``."""
        return [self.count, self.nulls, self.blanks, self.forms, self.low, self.high, self.longest, self.kept()]

    @classmethod
    def from_json(cls, document: list[Any]) -> Self:
        """Read what ``to_json`` wrote."""
        made = cls()
        made.count, made.nulls, blanks, forms, made.low, made.high, made.longest, kept = document
        made.blanks, made.forms, made._kept = Counter(blanks), Counter(forms), dict(kept)
        return made

    def _keep(self, text: str, times: int) -> None:
        if text in self._kept:
            self._kept[text] += times
        elif self._cut is None or rank(text) <= self._cut:
            self._kept[text] = times
            if len(self._kept) > KEPT * _SLACK:
                self._settle()

    def _settle(self) -> None:
        ranked = nsmallest(KEPT, ((rank(text), text) for text in self._kept))
        self._kept = {text: self._kept[text] for _, text in ranked}
        if len(ranked) == KEPT:
            self._cut = ranked[-1][0]


@lru_cache(maxsize=1 << 16)
def form_of(text: str) -> tuple[str, float | None]:
    """The type of a text, with its format behind a bar, and its value if it is a number. Digits after a zero are a code."""
    kind = FieldType.STRING if _CODE.fullmatch(text) else type_of([text])
    form = format_of([text]) if kind is FieldType.TIMESTAMP else None
    return (f"{kind.value}|{form}" if form else kind.value), (float(text) if kind in _NUMBERS else None)


def fits(text: str | None, kind: FieldType, form: str | None, blanks: Iterable[str] = ()) -> bool:
    """Whether a field of that type and format reads the text; null is read as null."""
    if not text or kind is FieldType.STRING or text in blanks:
        return True
    name, _, found = form_of(text)[0].partition("|")
    return wider(FieldType(name), kind) is kind and (found or None) == form


def spec_of(values: Values) -> dict[str, Any]:
    """A field's type, format and null values, as a rule file has them."""
    kind, form = values.type()
    spec: dict[str, Any] = {"type": kind.value} | ({"format": form} if form else {})
    return spec | ({"null_values": ["", *sorted(values.blanks)]} if values.blanks and kind is not FieldType.STRING else {})


def reads(text: str | None, spec: Mapping[str, Any]) -> bool:
    """Whether a field with that specification reads the text."""
    return fits(text, FieldType(spec["type"]), spec.get("format"), spec.get("null_values", ()))
