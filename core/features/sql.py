"""Spark SQL text that means exactly what is in memory."""

from __future__ import annotations

import re
import sys

_PLAIN = re.compile(r"[A-Za-z0-9 _.,:;/+-]*")
_BASIC = 0xFFFF
"""The last character of the plane that four digits name."""


def double(value: float) -> str:
    """A literal that reads back as the same double: Spark rounds the shortest decimal form correctly."""
    return f"{value!r}D" if value >= 0 else f"({value!r}D)"


def string(value: str) -> str:
    r"""A literal that reads back as the same text. All but plain characters are written ``\uXXXX``: quotes, backslashes and
    line breaks need no rule of their own, and ``${…}`` is not taken for a variable.
    """  # noqa: D205
    if _PLAIN.fullmatch(value):
        return f"'{value}'"
    return "'" + "".join(c if _PLAIN.fullmatch(c) else _escape(c) for c in value) + "'"


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04X}" if code <= _BASIC else f"\\U{code:08X}"


def name(column: str) -> str:
    """A column's name, quoted."""
    return "`" + column.replace("`", "``") + "`"


def number_in(column: str) -> str:
    """A numeric or boolean column as a double."""
    return f"CAST({name(column)} AS DOUBLE)"


def finite(number: str) -> str:
    """A condition: neither null, NaN (larger than any number to Spark) nor infinite."""
    return f"abs({number}) <= {double(sys.float_info.max)}"


def when_finite(number: str, then: str, otherwise: str) -> str:
    """``then`` where ``number`` is finite."""
    return f"CASE WHEN {finite(number)} THEN {then} ELSE {otherwise} END"
