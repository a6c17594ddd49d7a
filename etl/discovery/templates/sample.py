"""A bounded sample of distinct signatures with their exact counts, the same whatever the order and the partitions.

Signatures of one skeleton (the separators of their form) are a stratum. While there are no more than ``limit`` of them all
are held. Beyond that each stratum keeps ``level`` signatures, where ``level`` is the largest number that fits into the limit.
Within a stratum places are dealt out in turn to the different first words, those of a first word to its different second
words, and so on: many user names do not drive out rare events. What belongs to the sample of all lines belongs to
that of any part of them, so nothing that is kept was ever dropped before, and its count is exact.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from heapq import nsmallest
from typing import Any, Final, Self

Skeleton = tuple[str, ...]
DEEPEST: Final = 24  # words in which turns are taken; signatures equal up to there are drawn by hash
_SLACK: Final = 2


class Sample:
    """Signatures by skeleton, at most ``limit`` of them after ``settle`` (twice as many before)."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.level = limit
        self.strata: dict[Skeleton, dict[str, int]] = {}
        self._size = 0

    def add(self, skeleton: Skeleton, signature: str, count: int) -> None:
        """Count a signature."""
        stratum = self.strata.setdefault(skeleton, {})
        self._size += signature not in stratum
        stratum[signature] = stratum.get(signature, 0) + count
        if self._size > self.limit * _SLACK:
            self.settle()

    def merge(self, other: Sample) -> None:
        """Take in another partition's sample of the same limit."""
        self.level = min(self.level, other.level)
        for skeleton, stratum in other.strata.items():
            for signature, count in stratum.items():
                self.add(skeleton, signature, count)

    def settle(self) -> None:
        """Drop what does not belong to the sample of the lines so far."""
        if len(self.strata) > self.limit:
            kept = nsmallest(self.limit, self.strata, key=lambda skeleton: rank("\0".join(skeleton)))
            self.strata = {skeleton: self.strata[skeleton] for skeleton in kept}
        self.level = min(self.level, fitting((len(stratum) for stratum in self.strata.values()), self.limit))
        for skeleton, stratum in self.strata.items():
            if len(stratum) > self.level:
                chosen = _deal([(signature.split(" ", DEEPEST), signature) for signature in stratum], self.level, 0)
                self.strata[skeleton] = {signature: stratum[signature] for signature in chosen}
        self._size = sum(map(len, self.strata.values()))

    def to_json(self) -> dict[str, Any]:
        """A JSON-able form, read back by ``from_json``."""
        self.settle()
        return {"limit": self.limit, "level": self.level, "strata": [[skeleton, held] for skeleton, held in self.strata.items()]}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        made = cls(document["limit"])
        made.level = document["level"]
        made.strata = {tuple(skeleton): dict(held) for skeleton, held in document["strata"]}
        made._size = sum(map(len, made.strata.values()))
        return made

    def __iter__(self) -> Iterator[tuple[str, int]]:
        for stratum in self.strata.values():
            yield from stratum.items()


def fitting(sizes: Iterable[int], places: int) -> int:
    """The largest number that all sizes can be cut to for their sum to fit; at least 1."""
    left, level = places, 1
    ordered = sorted(sizes)
    for i, size in enumerate(ordered):
        level = left // (len(ordered) - i)
        if size > level:
            return max(level, 1)
        left -= size
    return max(places, 1)


def _deal(signatures: Sequence[tuple[list[str], str]], places: int, depth: int) -> Iterator[str]:
    """The signatures that get a place, dealt out in turn to the different words at this depth."""
    if len(signatures) <= places:
        yield from (signature for _, signature in signatures)
    elif depth > DEEPEST:
        yield from nsmallest(places, (signature for _, signature in signatures), key=rank)
    elif places:
        branches: dict[str, list[tuple[list[str], str]]] = defaultdict(list)
        for words, signature in signatures:
            branches[words[depth] if depth < len(words) else ""].append((words, signature))
        yield from _deal_branches(branches, places, depth)


def _deal_branches(branches: dict[str, list[tuple[list[str], str]]], places: int, depth: int) -> Iterator[str]:
    each = fitting(map(len, branches.values()), places) if len(branches) <= places else 0
    left = places - sum(min(len(held), each) for held in branches.values())
    larger = nsmallest(left, (word for word, held in branches.items() if len(held) > each), key=rank)
    more = set(larger)
    for word, held in branches.items():
        yield from _deal(held, each + (word in more), depth + 1)


def rank(text: str) -> bytes:
    """The text's place in an order that has nothing to do with what it says, and is the same in every process."""
    return blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()
