"""Lines of each signature, a bounded number in all, the same whatever the order and the partitions.

A signature keeps the distinct lines with the smallest hashes. All keep as many as fit into the limit together, as in ``sample``.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from heapq import nsmallest
from typing import Any, Final, Self

from etl.discovery.templates.sample import fitting, rank

LIMIT: Final = 16_384
SAMPLE: Final = 200
_SLACK: Final = 2
_NO_CUT: Final = b"\xff" * 9


class Examples:
    """At most ``limit`` lines after ``settle`` (twice as many before), and at most ``most`` of a signature."""

    def __init__(self, limit: int = LIMIT, most: int = SAMPLE) -> None:
        self.limit = limit
        self.level = min(most, limit)
        self._held: dict[str, dict[str, bytes]] = {}
        self._cuts: dict[str, bytes] = {}
        self._size = 0

    def __len__(self) -> int:
        return len(self._held)

    def add(self, signature: str, line: str) -> None:
        """Take in a line."""
        held = self._held.get(signature)
        if held is not None and line in held:
            return
        ranked = rank(line)
        if ranked > self._cuts.get(signature, _NO_CUT):
            return
        if held is None:
            held = self._held[signature] = {}
        held[line] = ranked
        self._size += 1
        if len(held) > self.level * _SLACK:
            self._cut(signature)
        if self._size > self.limit * _SLACK:
            self.settle()

    def merge(self, other: Examples) -> None:
        """Take in another partition's examples of the same limits."""
        self.level = min(self.level, other.level)
        for signature, lines in other._held.items():
            for line in lines:
                self.add(signature, line)

    def keep(self, signatures: Container[str]) -> None:
        """Drop the lines of all other signatures."""
        self._held = {signature: lines for signature, lines in self._held.items() if signature in signatures}
        self._cuts = {signature: cut for signature, cut in self._cuts.items() if signature in self._held}
        self._size = sum(map(len, self._held.values()))

    def settle(self) -> None:
        """Drop what does not belong to the examples of the lines so far."""
        if len(self._held) > self.limit:
            self.keep(set(nsmallest(self.limit, self._held, key=rank)))
        self.level = min(self.level, fitting((min(len(lines), self.level) for lines in self._held.values()), self.limit))
        for signature in self._held:
            self._cut(signature)

    def lines(self) -> dict[str, list[str]]:
        """The examples of each signature, in an order that depends on nothing but them."""
        self.settle()
        found = sorted(self._held.items())
        return {signature: sorted(lines, key=lambda line: (lines[line], line)) for signature, lines in found}

    def to_json(self) -> dict[str, Any]:
        """A JSON-able form, read back by ``from_json``."""
        return {"limit": self.limit, "level": self.level, "lines": self.lines()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        made = cls(document["limit"], document["level"])
        for signature, lines in document["lines"].items():
            for line in lines:
                made.add(signature, line)
        return made

    def _cut(self, signature: str) -> None:
        lines = self._held[signature]
        if len(lines) > self.level:
            kept = nsmallest(self.level, lines.items(), key=lambda item: (item[1], item[0]))
            self._held[signature], self._cuts[signature] = dict(kept), kept[-1][1]
            self._size -= len(lines) - len(kept)
