"""Records of several lines: each begins at a line that a pattern matches, and ends before the next such line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from core.errors import SourceError
from etl.sources.records import Format, Records, split_records
from etl.sources.text.cuts import LONGEST, RANGE

_LOOKED_AT = 256
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Starts:
    """Where records begin: at lines that ``pattern`` (``etl.sources.logs.pattern``) matches within their first 256 characters."""

    pattern: str
    encoding: str = "utf-8"

    def begins(self, line: bytes) -> bool:
        """Whether a line is the first of a record."""
        return self._begin([line])[0]

    def _begin(self, lines: list[bytes]) -> list[bool]:
        match, encoding = re.compile(self.pattern, re.ASCII).match, self.encoding
        heads = (line[: 4 * _LOOKED_AT].decode(encoding, "replace")[:_LOOKED_AT] for line in lines)
        return [match(head) is not None for head in heads]

    def last(self, file: BinaryIO, start: int, end: int) -> int:
        """Where the last record in [start, end) begins, which are whole lines: ``start`` when no later one does."""
        stop = end
        while stop > start:
            begin = self._line_at(file, max(start, stop - _BLOCK), start, stop)
            file.seek(begin)
            lines = split_records(file.read(stop - begin), Format.LOG)
            if found := np.flatnonzero(self._begin(lines.values.to_pylist())).tolist():
                return begin + int(lines.starts[found[-1]])
            stop = begin
        return start

    def cuts(self, file: BinaryIO, start: int, end: int, where: str) -> Iterator[int]:
        """Like ``cut``: beginnings of records inside (start, end), about RANGE bytes apart."""
        while end - start > RANGE:
            found = self._next(file, start + RANGE, end)
            if found - start > LONGEST:
                raise SourceError(
                    f"{where}: the record at byte {start} is longer than {LONGEST} bytes: does 'starts' match how records begin?"
                )
            start = found
            if start < end:
                yield start

    def merge(self, buffer: bytes) -> Records:
        """The records in ``buffer``, which begins at the start of one; each without its last line end."""
        lines = split_records(buffer, Format.LOG)
        begins = np.array(self._begin(lines.values.to_pylist()), bool)
        begins[:1] = True
        starts = lines.starts[begins]
        stops = np.append(starts[1:], len(buffer))
        values = [
            buffer[a:b].removesuffix(b"\n").removesuffix(b"\r") for a, b in zip(starts.tolist(), stops.tolist(), strict=True)
        ]
        return Records(starts, pa.array(values, pa.binary()))

    def _line_at(self, file: BinaryIO, at: int, start: int, stop: int) -> int:
        """The beginning of the first line that begins in [at, stop); of the line that ``stop`` ends where none does."""
        while at > start:
            file.seek(at - 1)
            found = file.read(stop - at).find(b"\n")
            if 0 <= found < stop - at:
                return at + found
            at = max(start, at - _BLOCK)
        return start

    def _next(self, file: BinaryIO, at: int, end: int) -> int:
        """The first line beyond ``at`` that begins a record."""
        file.seek(at)
        at += len(file.readline())
        while at < end:
            line = file.readline()
            if self.begins(line):
                return at
            at += len(line)
            if not line:
                break
        return end
