"""Which patterns may run, and over how long a record."""

from __future__ import annotations

from dataclasses import dataclass

from etl.rules.patterns.ambiguity import measure
from etl.rules.patterns.automaton import build
from etl.rules.patterns.grok import expand, locate
from etl.rules.patterns.parse import parse
from etl.rules.patterns.syntax import Chars, Choice, Node, Pattern, PatternError, Repeat, Sequence

_MAX_DEGREE = 2
_MAX_FACTOR = 1_000
_LENGTHS = {0: None, 1: 10_000, 2: 1_000}  # the work grows with the power degree + 1: at most some 10^8 steps
_FRAMES = 4_000  # Java matches a repeated group by recursion; 1 MiB of stack holds some 6,000 frames or more


@dataclass(frozen=True, slots=True)
class SafePattern:
    """A pattern that ends in good time on every record of up to ``longest`` characters; None is any length."""

    pattern: Pattern
    longest: int | None


def check_pattern(text: str) -> SafePattern:
    """The pattern, its named patterns (``%{NAME:group}``) written out, with the record length that it may be tried on.

    Raises PatternError when it is not in the dialect, or when backtracking could take exponential time, time above the third
    power of the record's length, or more than a thousand times over one place.
    """
    pattern = _read(text)
    found = measure(build(pattern.tree))
    if found.exponential:
        raise PatternError(
            "it can backtrack exponentially: a repeated part can match the same text in two ways, as in (a+)+, (a|a)* or "
            "(\\w+\\s?)*: let each repetition begin with something that the part before cannot match",
            0,
        )
    if found.degree > _MAX_DEGREE:
        raise PatternError(
            f"it can backtrack in time of the {found.degree + 1}th power of the record's length: {found.degree + 1} repeats can "
            "share one text, as in .*.*.*: use classes that exclude the separator, such as [^ ]*",
            0,
        )
    if found.factor > _MAX_FACTOR:
        raise PatternError(
            "it has optional or alternative parts in a row that can match the same text in too many ways, as in a?a?a?a?", 0
        )
    lengths = [n for n in (_LENGTHS[found.degree], _stack_length(pattern.tree)) if n is not None]
    return SafePattern(pattern, min(lengths, default=None))


def _read(text: str) -> Pattern:
    written = expand(text)
    try:
        return parse(written)
    except PatternError as error:
        raise PatternError(error.reason, locate(text, error.position)) from error


def _stack_length(tree: Node) -> int | None:
    rate = _frames_a_character(tree)
    return max(1, int(_FRAMES / rate)) if rate else None


def _frames_a_character(node: Node) -> float:
    """How many stack frames a character may cost at worst; 0 when the depth does not grow with the text."""
    match node:
        case Chars():
            return 0.0
        case Sequence(parts) | Choice(parts):
            return max(map(_frames_a_character, parts), default=0.0)
        case Repeat(body, _, most):
            inner = _frames_a_character(body)
            if isinstance(body, Chars) or most == 1:
                return inner
            if most is not None and most * (3 + _frames(body)) <= _FRAMES // 4:
                return inner
            return inner + (3 + _frames(body)) / max(1, _shortest(body))


def _frames(node: Node) -> int:
    match node:
        case Chars():
            return 1
        case Sequence(parts):
            return sum(map(_frames, parts))
        case Choice(parts):
            return 2 + max(map(_frames, parts))
        case Repeat(body, _, most):
            times = 1 if most is None or isinstance(body, Chars) else most
            return 3 + times * _frames(body)


def _shortest(node: Node) -> int:
    match node:
        case Chars():
            return 1
        case Sequence(parts):
            return sum(map(_shortest, parts))
        case Choice(parts):
            return min(map(_shortest, parts))
        case Repeat(body, least):
            return least * _shortest(body)
