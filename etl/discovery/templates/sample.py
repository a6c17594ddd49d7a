"""A bounded sample of distinct signatures with their exact counts, the same whatever the order and the partitions.

Signatures of one skeleton (the separators of their form) are a stratum. While there are no more than ``limit`` of them all
are held. Beyond that each stratum keeps its ``level`` signatures of smallest hash, where ``level`` is the largest number that
fits into the limit: a stratum of many user names does not drive out the rare events of the others. What belongs to the sample
of all lines belongs to that of any part of them, so nothing that is kept was ever dropped before, and its count is exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from heapq import nsmallest

Skeleton = tuple[str, ...]


class Sample:
    """Signatures by skeleton, at most ``limit`` of them after ``settle`` (a quarter more before)."""

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
        if self._size > self.limit * 5 // 4:
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
            kept = nsmallest(self.limit, self.strata, key=lambda skeleton: _rank("\0".join(skeleton)))
            self.strata = {skeleton: self.strata[skeleton] for skeleton in kept}
        self.level = min(self.level, self._level_that_fits())
        for skeleton, stratum in self.strata.items():
            if len(stratum) > self.level:
                self.strata[skeleton] = {signature: stratum[signature] for signature in nsmallest(self.level, stratum, key=_rank)}
        self._size = sum(map(len, self.strata.values()))

    def __iter__(self) -> Iterator[tuple[str, int]]:
        for stratum in self.strata.values():
            yield from stratum.items()

    def _level_that_fits(self) -> int:
        low, high = 1, self.limit
        sizes = [len(stratum) for stratum in self.strata.values()]
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if sum(min(size, middle) for size in sizes) <= self.limit else (low, middle - 1)
        return low


def _rank(text: str) -> bytes:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()
