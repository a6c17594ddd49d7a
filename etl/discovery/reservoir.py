"""A uniform sample of records, the same whatever their order and the partitions."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import nsmallest
from typing import Any, Final, Self

LIMIT: Final = 16_384
_SLACK: Final = 2
_BITS: Final = (1 << 64) - 1


class Reservoir:
    """At most ``limit`` records after ``settle`` (twice as many before): those whose offsets have the smallest hashes.

    A text is kept up to ``longest`` characters; longer ones are counted only.
    """

    def __init__(self, limit: int = LIMIT, longest: int = 1 << 14) -> None:
        self.limit = limit
        self.longest = longest
        self.records = 0
        self.too_long = 0
        self._held: list[tuple[int, str]] = []
        self._cut = _BITS

    def add(self, offset: int, text: str) -> None:
        """Take in a record."""
        self.records += 1
        if len(text) > self.longest:
            self.too_long += 1
            return
        self._hold(_mix(offset), text)

    def merge(self, other: Reservoir) -> None:
        """Take in another partition's sample of the same limit."""
        self.records += other.records
        self.too_long += other.too_long
        for place, text in other._held:
            self._hold(place, text)

    def texts(self) -> list[str]:
        """The sample, in an order that depends on nothing but it."""
        self._settle()
        return [text for _, text in self._held]

    def to_json(self) -> dict[str, Any]:
        """A JSON-able form, read back by ``from_json``."""
        self._settle()
        return {"limit": self.limit, "longest": self.longest, "records": [self.records, self.too_long], "held": self._held}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        made = cls(document["limit"], document["longest"])
        made.records, made.too_long = document["records"]
        made._held = [(place, text) for place, text in document["held"]]
        return made

    def _hold(self, place: int, text: str) -> None:
        if place <= self._cut:
            self._held.append((place, text))
            if len(self._held) > self.limit * _SLACK:
                self._settle()

    def _settle(self) -> None:
        self._held = nsmallest(self.limit, self._held)
        if len(self._held) == self.limit:
            self._cut = self._held[-1][0]


def _mix(number: int) -> int:
    """Steele et al., Fast splittable pseudorandom number generators (2014)."""
    mixed = (number + 0x9E3779B97F4A7C15) & _BITS
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _BITS
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _BITS
    return mixed ^ (mixed >> 31)
