"""What the texts at one place of a template are: a type of field, and a word for its name."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from etl.rules.fields import FieldType

_INT: Final = 2**31
_LONG: Final = 2**63
_DOUBLE = re.compile(r"[+-]?\d{1,15}(?:\.\d+)?(?:[eE][+-]?\d{1,2})?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)?", re.ASCII)
_FORMATS = {
    "yyyy-MM-dd HH:mm:ss,SSS": re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}", re.ASCII),
    "yyyy/MM/dd HH:mm:ss": re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d", re.ASCII),
    "yy/MM/dd HH:mm:ss": re.compile(r"\d\d/\d\d/\d\d \d\d:\d\d:\d\d", re.ASCII),
}
_FORMS = {
    "uuid": re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"),
    "time": re.compile(
        r"(?:\w{3} +)?\w{3} +\d{1,2} \d\d:\d\d:\d\d(?:\.\d+)?(?: \d{4})?|(?:\d\d-\d\d )?\d\d:\d\d:\d\d(?:[.,]\d+)?"
    ),
    "address": re.compile(r"/?(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?|(?:[0-9a-fA-F]{0,4}:){3,}[0-9a-fA-F]{0,4}"),
    "hex": re.compile(r"0x[0-9a-fA-F]+"),
    "url": re.compile(r"[A-Za-z][A-Za-z+.-]*://\S+"),
    "email": re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    "path": re.compile(r"(?:/[^/\s]+)+/?|[A-Za-z]:\\\S*"),
    "duration": re.compile(r"\d+(?:\.\d+)? ?(?:[num]?s|min|h)"),
    "size": re.compile(r"\d+(?:\.\d+)? ?(?:[KMGT]i?B|[kmg]b|bytes)"),
    "date": re.compile(r"\d{2,4}[-/]\d\d[-/]\d\d"),
    "host": re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"),
}
_NUMBERS = (FieldType.INT, FieldType.LONG, FieldType.DOUBLE)
_WORDS = {FieldType.TIMESTAMP: "time", FieldType.DATE: "date", FieldType.BOOLEAN: "flag"}


def type_of(texts: Collection[str]) -> FieldType:
    """The narrowest type that all texts are of; empty ones count for nothing."""
    filled = {text for text in texts if text}
    if not filled:
        return FieldType.STRING
    if _all(_WHOLE, filled):
        largest = max(abs(int(text)) for text in filled)
        return FieldType.INT if largest < _INT else FieldType.LONG if largest < _LONG else FieldType.STRING
    if _all(_DOUBLE, filled):
        return FieldType.DOUBLE
    if filled <= {"true", "false", "True", "False", "TRUE", "FALSE"}:
        return FieldType.BOOLEAN
    if _all(_DATE, filled):
        return FieldType.DATE
    return FieldType.TIMESTAMP if _all(_ISO, filled) or format_of(filled) else FieldType.STRING


def format_of(texts: Collection[str]) -> str | None:
    """Spark's pattern for timestamps that are not of ISO 8601."""
    filled = {text for text in texts if text}
    return next((name for name, form in _FORMATS.items() if filled and _all(form, filled)), None)


def reads(text: str, kind: FieldType) -> bool:
    """Whether a text is a value of a type, or empty."""
    return kind is FieldType.STRING or not text or wider(type_of([text]), kind) is kind


def wider(first: FieldType, second: FieldType) -> FieldType:
    """The type that takes the values of both."""
    if first is second:
        return first
    if first in _NUMBERS and second in _NUMBERS:
        return max(first, second, key=_NUMBERS.index)
    return FieldType.STRING


def word_for(texts: Collection[str]) -> str:
    """A word for values of one form: ``address``, ``path``, ``time`` … ``number``, else ``text``."""
    kind = type_of(texts)
    if kind is not FieldType.STRING:
        return _WORDS.get(kind, "number")
    filled = {text for text in texts if text}
    return next((word for word, form in _FORMS.items() if filled and _all(form, filled)), "text")


def _all(form: re.Pattern[str], texts: Collection[str]) -> bool:
    return all(form.fullmatch(text) for text in texts)
