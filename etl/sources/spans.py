"""Sets of time as sorted intervals that neither touch nor overlap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.contracts import Interval


def merge(spans: Iterable[Interval]) -> tuple[Interval, ...]:
    """The union of ``spans``."""
    merged: list[Interval] = []
    for span in sorted(spans):
        if merged and span.start <= merged[-1].end:
            merged[-1] = Interval(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return tuple(merged)


def subtract(span: Interval, covered: Sequence[Interval]) -> tuple[Interval, ...]:
    """What of ``span`` lies in none of ``covered``."""
    left: list[Interval] = []
    start = span.start
    for one in merge(covered):
        if one.end <= start or one.start >= span.end:
            continue
        if start < one.start:
            left.append(Interval(start, one.start))
        start = max(start, one.end)
    if start < span.end:
        left.append(Interval(start, span.end))
    return tuple(left)


def to_json(spans: Iterable[Interval]) -> list[list[str]]:
    """Pairs of ISO 8601 texts, read back by ``from_json``."""
    return [str(span).split("/") for span in spans]


def from_json(pairs: Iterable[Sequence[str]]) -> tuple[Interval, ...]:
    """Read what ``to_json`` wrote."""
    return tuple(Interval.parse(start, end) for start, end in pairs)
