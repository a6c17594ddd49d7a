"""The position automaton of a pattern (Glushkov 1961), which also counts the ways from one position to the next.

A backtracking matcher tries each way apart, so ``(a*)*`` has two ways from its ``a`` back to it, though one edge.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from etl.rules.patterns.chars import ALL, Ranges, masks
from etl.rules.patterns.syntax import Chars, Choice, Node, PatternError, Repeat, Sequence

MAX_POSITIONS = 1_500
_MAX_COPIES = 64
_MANY = 1_000_000  # counts stop here

Ways = dict[int, int]


@dataclass(frozen=True, slots=True)
class Automaton:
    """States 0 … n-1; state 0 is the start, the last one the end. ``follow[p][q]`` is the number of ways from p to q.

    ``mask[q]`` is the set of characters read on the way into q.
    """

    follow: list[Ways]
    mask: list[int]


@dataclass(slots=True)
class _Build:
    sets: list[Ranges] = field(default_factory=lambda: [()])
    follow: list[Ways] = field(default_factory=lambda: [{}])


@dataclass(frozen=True, slots=True)
class _Part:
    """How a part of a pattern may begin and end, and in how many ways it matches nothing."""

    first: Ways
    last: Ways
    empty: int


def build(tree: Node) -> Automaton:
    """The automaton of a parsed pattern; raises PatternError above 1,500 positions.

    An exact count of one character is copied, up to 64 times; other counts are taken as unlimited, which only adds ways.
    """
    into = _Build()
    whole = _part(Sequence((tree, Chars(ALL))), into)  # the end: as if any character led there
    into.follow[0] = dict(whole.first)
    return Automaton(into.follow, masks(into.sets))


def _part(node: Node, into: _Build) -> _Part:
    match node:
        case Chars(ranges):
            return _position(ranges, into)
        case Sequence(parts):
            whole = _Part({}, {}, 1)
            for part in parts:
                whole = _joined(whole, _part(part, into), into)
            return whole
        case Choice(parts):
            found = [_part(part, into) for part in parts]
            empty = min(sum(part.empty for part in found), _MANY)
            return _Part(_sum(p.first for p in found), _sum(p.last for p in found), empty)
        case Repeat():
            return _repeated(node, into)


def _position(ranges: Ranges, into: _Build) -> _Part:
    at = len(into.sets)
    if at > MAX_POSITIONS:
        raise PatternError(f"it has more than {MAX_POSITIONS:,} characters and classes to step through", 0)
    into.sets.append(ranges)
    into.follow.append({})
    return _Part({at: 1}, {at: 1}, 0)


def _repeated(node: Repeat, into: _Build) -> _Part:
    if isinstance(node.body, Chars) and node.least == node.most and node.least <= _MAX_COPIES:
        return _part(Sequence((node.body,) * node.least), into)
    body = _part(node.body, into)
    if node.most != 1:
        _link(body.last, body.first, 1 + body.empty, into)
    ways = 1 + body.empty if node.most != 1 else 1
    empty = body.empty + (node.least == 0)
    return _Part(_times(body.first, ways), _times(body.last, ways), min(empty, _MANY))


def _joined(left: _Part, right: _Part, into: _Build) -> _Part:
    _link(left.last, right.first, 1, into)
    first = _sum([left.first, _times(right.first, left.empty)])
    last = _sum([right.last, _times(left.last, right.empty)])
    return _Part(first, last, min(left.empty * right.empty, _MANY))


def _link(last: Ways, first: Ways, ways: int, into: _Build) -> None:
    for p, a in last.items():
        edges = into.follow[p]
        for q, b in first.items():
            edges[q] = min(edges.get(q, 0) + a * b * ways, _MANY)


def _times(ways: Ways, factor: int) -> Ways:
    return {p: min(n * factor, _MANY) for p, n in ways.items()} if factor else {}


def _sum(parts: Iterable[Ways]) -> Ways:
    total: Ways = {}
    for part in parts:
        for p, n in part.items():
            total[p] = min(total.get(p, 0) + n, _MANY)
    return total
