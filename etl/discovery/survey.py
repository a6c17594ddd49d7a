"""All that rules for a log are made of, in one pass: half of the records are mined, the others held out to measure by."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from itertools import islice
from typing import Final, Self

from etl.discovery.reservoir import Reservoir
from etl.discovery.templates.examples import LIMIT, Examples
from etl.discovery.templates.masking import LONGEST, squeeze
from etl.discovery.templates.miner import SIGNATURES, Miner

_BLOCK: Final = 4096
_FEW: Final = 4
_SHORT: Final = 1024  # characters


class Survey:
    """What a log's records say, in bounded memory; ``merge`` makes of two what one would hold that had seen all records.

    Of lines of up to 4,096 characters 200 are kept of each signature, fewer where there are many signatures; of lines of up to
    1,024 at least four of each that the miner keeps.
    """

    def __init__(self, signatures: int = SIGNATURES, examples: int = LIMIT) -> None:
        self.miner = Miner(signatures)
        self.held_out = Reservoir(examples, LONGEST)
        self._limit = signatures
        self._many = Examples(examples)
        self._few = Examples(2 * _FEW * (signatures + _BLOCK), _FEW)  # more than it holds between two clean-ups

    @property
    def records(self) -> int:
        """How many records there were."""
        return self.miner.lines + self.held_out.records

    def add(self, records: Iterable[tuple[int, str]]) -> None:
        """Take in (offset, text) of records; the offset decides the half."""
        rest = iter(records)
        while block := list(islice(rest, _BLOCK)):
            self.mine([text for offset, text in block if not is_held_out(offset)])
            for offset, text in block:
                if is_held_out(offset):
                    self.held_out.add(offset, text)

    def merge(self, other: Survey) -> None:
        """Take in what another has seen."""
        self.miner.merge(other.miner)
        self._many.merge(other._many)
        self._few.merge(other._few)
        self.held_out.merge(other.held_out)
        self._clean()

    def examples(self) -> dict[str, list[str]]:
        """Lines of each signature."""
        self._few.keep(self.miner.signatures())
        few, many = self._few.lines(), self._many.lines()
        return {signature: list(dict.fromkeys([*many.get(signature, ()), *few.get(signature, ())])) for signature in few | many}

    def to_bytes(self) -> bytes:
        """Compressed JSON, read back by ``from_bytes``."""
        self._few.keep(self.miner.signatures())
        parts = [part.to_json() for part in (self.miner, self._many, self._few, self.held_out)]
        return zlib.compress(json.dumps([self._limit, *parts]).encode(), 1)

    @classmethod
    def from_bytes(cls, state: bytes) -> Self:
        """Read what ``to_bytes`` wrote."""
        limit, miner, many, few, held_out = json.loads(zlib.decompress(state))
        made = cls(limit)
        made.miner, made.held_out = Miner.from_json(miner), Reservoir.from_json(held_out)
        made._many, made._few = Examples.from_json(many), Examples.from_json(few)
        return made

    def mine(self, lines: list[str]) -> None:
        """Take in lines of the mined half."""
        squeezed = squeeze(lines)
        signatures = self.miner.add_squeezed(squeezed)
        for line, plain in zip(lines, squeezed, strict=True):
            if len(line) <= LONGEST:
                self._many.add(signatures[plain], line)
            if len(line) <= _SHORT:
                self._few.add(signatures[plain], line)
        self._clean()

    def _clean(self) -> None:
        if len(self._few) > 2 * self._limit:
            self._few.keep(self.miner.signatures())


def is_held_out(offset: int) -> bool:
    """By half, without a period that a log could have too (Knuth's multiplicative hash)."""
    return bool(offset * 2_654_435_761 >> 16 & 1)
