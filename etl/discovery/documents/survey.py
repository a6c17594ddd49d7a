"""What one rule for all records is made of, in one pass: the schema of half of them, and others held out to measure by."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from typing import Self

from etl.discovery.documents.readers import JSON, Reader, reader_of
from etl.discovery.documents.tree import Node
from etl.discovery.reservoir import Reservoir
from etl.discovery.survey import is_held_out

_SHOWN = 3
_HELD_OUT = 4096


class Documents:
    """The schema of what a reader makes of records, in bounded memory.

    ``merge`` makes of two what one would hold that had seen all records.
    """

    def __init__(self, reader: Reader = JSON) -> None:
        self.reader = reader
        self.root = Node()
        self.others = 0
        """Mined records that the reader does not take."""
        self.held_out = Reservoir(_HELD_OUT)
        self.examples = Reservoir(_SHOWN, 200)

    @property
    def mined(self) -> int:
        """How many records the schema is of."""
        return self.root.forms.total()

    @property
    def records(self) -> int:
        """How many records there were."""
        return self.mined + self.others + self.held_out.records

    def add(self, records: Iterable[tuple[int, str]]) -> None:
        """Take in (offset, text) of records; the offset decides the half."""
        for offset, text in records:
            if self.reader.is_header(text):
                continue
            if is_held_out(offset):
                self.held_out.add(offset, text)
            elif (found := self.reader.read(text)) is None:
                self.others += 1
            else:
                self.root.add(found)
                self.examples.add(offset, text)

    def merge(self, other: Documents) -> None:
        """Take in what another has seen."""
        self.root.merge(other.root)
        self.others += other.others
        self.held_out.merge(other.held_out)
        self.examples.merge(other.examples)

    def to_bytes(self) -> bytes:
        """Compressed JSON, read back by ``from_bytes``."""
        parts = [self.reader.to_json(), self.root.to_json(), self.others, self.held_out.to_json(), self.examples.to_json()]
        return zlib.compress(json.dumps(parts).encode(), 1)

    @classmethod
    def from_bytes(cls, state: bytes) -> Self:
        """Read what ``to_bytes`` wrote."""
        reader, root, others, held_out, examples = json.loads(zlib.decompress(state))
        made = cls(reader_of(reader))
        made.root, made.others = Node.from_json(root), others
        made.held_out, made.examples = Reservoir.from_json(held_out), Reservoir.from_json(examples)
        return made
