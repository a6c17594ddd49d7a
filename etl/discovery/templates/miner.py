"""From lines to templates in one pass: partitions are mined apart, their miners merged, in any order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, Self

from etl.discovery.templates.brackets import join_brackets
from etl.discovery.templates.grouping import Grouping
from etl.discovery.templates.masking import mask, squeeze, tighten
from etl.discovery.templates.reduction import assigned, reduce, take_apart
from etl.discovery.templates.sample import Sample, Skeleton
from etl.discovery.templates.template import REMEMBERED, Templates

SIGNATURES: Final = 32_768
_BLOCK = 4096


class Miner:
    """Counts the signatures of lines; memory is bounded by ``signatures`` of at most 4,096 characters.

    Two miners hold the same after the same lines, in whatever order and blocks they came; ``merge`` makes of two what one would
    hold that had seen the lines of both.
    """

    def __init__(self, signatures: int = SIGNATURES) -> None:
        self.lines = 0
        self._sample = Sample(signatures)
        self._remembered: dict[str, str] = {}
        self._skeletons: dict[str, Skeleton] = {}

    def add(self, lines: Iterable[str]) -> None:
        """Take in lines, each without its line end."""
        for block in _blocks(lines):
            self.add_squeezed(squeeze(block))

    def add_squeezed(self, squeezed: Sequence[str]) -> dict[str, str]:
        """As ``add``, for a block of lines that have been squeezed; gives the signature of each."""
        self.lines += len(squeezed)
        counts = Counter(squeezed)
        signatures = {line: self._signature(tight) for line, tight in tighten(counts).items()}
        for line, signature in signatures.items():
            self._count(signature, counts[line])
        return signatures

    def merge(self, other: Miner) -> None:
        """Take in what another miner of the same bound holds."""
        self.lines += other.lines
        self._sample.merge(other._sample)

    def signatures(self) -> dict[str, int]:
        """The signatures that are kept, with how many lines each has."""
        self._sample.settle()
        return dict(self._sample)

    def to_json(self) -> dict[str, Any]:
        """A JSON-able form, read back by ``from_json``."""
        return {"lines": self.lines, "sample": self._sample.to_json()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        made = cls()
        made.lines, made._sample = document["lines"], Sample.from_json(document["sample"])
        return made

    def templates(self) -> Templates:
        """The templates of the lines so far."""
        signatures = self.signatures()
        forms = {signature: reduce(signature) for signature in signatures}
        apart = {form: take_apart(form) for form in set(forms.values())}
        named = Grouping(apart.values(), assigned(signatures)).run()
        joined = join_brackets({named[form].text() for form in apart.values()})
        groups = {form: joined[named[parts].text()] for form, parts in apart.items()}
        return Templates(signatures, forms, groups, dict(self._remembered))

    def _signature(self, line: str) -> str:
        found = self._remembered.get(line)
        if found is None:
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            found = self._remembered[line] = mask(line)
        return found

    def _count(self, signature: str, count: int) -> None:
        skeleton = self._skeletons.get(signature)
        if skeleton is None:
            if len(self._skeletons) >= REMEMBERED:
                self._skeletons.clear()
            skeleton = self._skeletons[signature] = take_apart(reduce(signature)).separators
        self._sample.add(skeleton, signature, count)


def mine(lines: Iterable[str]) -> tuple[Templates, list[int | None]]:
    """The templates of lines that fit into memory, and the number of each line's."""
    miner, held = Miner(), []
    for block in _blocks(lines):
        squeezed = squeeze(block)
        miner.add_squeezed(squeezed)
        held.append(squeezed)
    templates = miner.templates()
    return templates, [number for squeezed in held for number in templates.match_squeezed(squeezed)]


def _blocks(lines: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(lines)
    while block := list(islice(rest, _BLOCK)):
        yield block
