"""Signatures to forms: what may be there or not, or repeated, or in another unit, no longer tells two signatures apart."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from etl.discovery.templates.masking import MARK, SEPARATORS

MOST_PIECES: Final = 96  # of a form; what follows counts as a value
_KEY = r"(?:(?<=[\w\])])(?= ?=)|(?<=[\"'])(?= ?:))"  # key=, or 'key':
_ASSIGNED = re.compile(rf"{_KEY}( ?[=:] ?)(?! )(?:\"[^\"]*\"|([^{SEPARATORS}]++))(?! ?=)")
_UNIT = re.compile(
    r"<\*> ?(?:[num]?s|secs?|seconds?|milliseconds?|mins?|minutes?|hours?|days?"
    r"|[KMGTP]i?B|[kmgtp]b|[Bb]ytes?|B|[kMG]?Hz|%)(?!\w)"
)
_BRACKETED = re.compile(r"\w[\w-]*-\[<\*>\]|<\*>(?:[{\[]<\*>[}\]]| \((?:<\*>)?\)|\(\))")
_NEXT = r"(?:[:./@#&+~^-]| ?, ?| )(?:<\*>|\*{2,})"
_LIST = re.compile(rf"(?:(?<![^ ])(?:\*{{2,}} )+<\*>(?:{_NEXT})*|<\*>(?:{_NEXT})+)(?!\w)")  # **** is a reading that failed
_SPLIT = re.compile(rf"(<\*>|[^{SEPARATORS}]+)")


@dataclass(frozen=True, slots=True)
class Form:
    """A reduced signature, taken apart: one separator more than there are pieces."""

    separators: tuple[str, ...]
    pieces: tuple[str, ...]

    def text(self) -> str:
        """The form as one line."""
        return "".join(a + b for a, b in zip(self.separators, (*self.pieces, ""), strict=True))


def reduce(signature: str) -> str:
    """The signature with assigned words marked, units and lists taken into the values that they belong to.

    Brackets after a unit stay: `2048 bytes (2.0 KB)` and `451 bytes` are two statements.
    """
    text = mark_assigned(signature)
    for pattern in (_BRACKETED, _UNIT, _LIST):
        text = pattern.sub(MARK, text)
    return text


def mark_assigned(text: str) -> str:
    """The text with the words that are assigned to a key marked."""
    return _ASSIGNED.sub(rf"\1{MARK}", text)


def assigned(signatures: Collection[str]) -> set[str]:
    """The words that stand as the value of a key somewhere (``user=root``)."""
    return {match[2] for signature in signatures for match in _ASSIGNED.finditer(signature) if match[2]} - {MARK}


def take_apart(reduced: str) -> Form:
    """A reduced signature as pieces and separators."""
    parts = _SPLIT.split(reduced, maxsplit=MOST_PIECES)
    if parts[-1] and len(parts) > 2 * MOST_PIECES:
        parts[-1:] = [" ", MARK, ""]
    return Form(tuple(parts[0::2]), tuple(parts[1::2]))
