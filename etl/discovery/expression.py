"""From a template and lines of it to a regular expression that takes them all, each value as narrow as they allow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from etl.discovery.templates.masking import MARK

_JOINED = re.compile(r"<\*>(?:[:.,/@+-]?<\*>)+")
_DATE_AND_TIME = re.compile(r"\W?\d{2,4}[-/]\d\d[-/]\d\d \d\d:\d\d:\d\d")
_TWO_AT_THE_START = re.compile(r"^(\W?)<\*> <\*>")
_MOST_WORDS = 5  # of a value that always has as many, such as a date
_SPECIAL = frozenset(r"\.^$*+?()[]{}|/-")


@dataclass(frozen=True, slots=True)
class Expression:
    """``constants`` around ``classes``: one constant more than there are classes; ``columns`` are the sample's values."""

    constants: tuple[str, ...]
    classes: tuple[str, ...]
    columns: tuple[tuple[str, ...], ...]
    padding: tuple[str, str]
    """For white space at the beginning and the end, where some lines have it."""

    def pattern(self, names: Sequence[str], level: re.Pattern[str]) -> str:
        """In Python's form, a named group for each class, and one ``level`` where the text before the second value holds it."""
        written = [_quote(constant) for constant in self.constants]
        for i in range(min(2, len(written))):
            if match := level.search(self.constants[i]):
                before, after = self.constants[i][: match.start(1)], self.constants[i][match.end(1) :]
                written[i] = f"{_quote(before)}(?P<level>{match[1]}){_quote(after)}"
                break
        groups = [f"(?P<{name}>{one})" for name, one in zip(names, self.classes, strict=True)]
        return _assemble(written, groups, padding=self.padding)


def fit(text: str, sample: Sequence[str]) -> Expression | None:
    """The expression of a template's text; None if one that reads from left to right does not take all of the sample."""
    joined = _JOINED.sub(MARK, text)
    if all(map(_DATE_AND_TIME.match, sample)):
        joined = _TWO_AT_THE_START.sub(rf"\1{MARK}", joined)
    constants = joined.split(MARK)
    written = [_quote(constant) for constant in constants]
    padding = _space(any(line != line.lstrip() for line in sample)), _space(any(line != line.rstrip() for line in sample))
    classes: list[str] = []
    for i in range(len(constants) - 1):
        tried = (
            _assemble(written[: i + 2], [*classes, one], padding=padding, whole=i + 2 == len(written))
            for one in _choices(constants, i)
        )
        chosen = next((n for n, text in enumerate(tried) if all(map(re.compile(text).fullmatch, sample))), None)
        if chosen is None:
            return None
        classes.append(list(_choices(constants, i))[chosen])
    found = re.compile(_assemble(written, [f"({one})" for one in classes], padding=padding))
    rows = [match.groups() for line in sample if (match := found.fullmatch(line))]
    if len(rows) < len(sample):
        return None
    return Expression(tuple(constants), tuple(classes), tuple(zip(*rows, strict=True)), padding)


def _choices(constants: Sequence[str], i: int) -> Iterator[str]:
    """Classes for a value, narrow ones first."""
    end = constants[i + 1][:1]
    if end.strip():
        yield rf"[^\s{_in_class(end)}]+"
    yield r"\S+"  # an empty value between two spaces would make it ambiguous which space is which
    for words in range(2, _MOST_WORDS + 1):
        yield r"\s+".join([r"\S+"] * words)
    if end.strip():
        yield rf"[^\s{_in_class(end)}]*"
        yield f"[^{_in_class(end)}]*"
    yield r"\S*"
    yield ".*"


def _assemble(written: Sequence[str], groups: Sequence[str], *, padding: tuple[str, str], whole: bool = True) -> str:
    body = "".join(a + b for a, b in zip(written, [*groups, ""], strict=True))
    return padding[0] + body + (padding[1] if whole else ".*")


def _space(there: bool) -> str:
    return r"\s*" if there else ""


def _quote(text: str) -> str:
    escaped = "".join(f"\\{char}" if char in _SPECIAL else char for char in text)
    return re.sub(r" +", r"\\s+", escaped)


def _in_class(char: str) -> str:
    return f"\\{char}" if char in r"\]^[-&" else char
