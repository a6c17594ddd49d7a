"""Where a growing file may be read from and cut into ranges: always at the beginning of a record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

from core.errors import SourceError
from etl.sources.records import Format, record_ends
from etl.sources.text.encodings import NarrowFile

_BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 20
_MARKED = 1 << 10
LONGEST = 128 << 20
RANGE = 16 << 20


def skip_mark(file: BinaryIO) -> int:
    """The offset of the first byte of content: 3 after a UTF-8 byte order mark, 1 unit after another one, else 0."""
    if isinstance(file, NarrowFile):
        return int(file.begins_with_mark())
    file.seek(0)
    return len(_BOM) if file.read(len(_BOM)) == _BOM else 0


def read_header(
    file: BinaryIO, size: int, where: str, *, separator: bytes = b",", whole: bool = False
) -> tuple[bytes | None, int]:
    """A CSV file's header line without its end, and the offset of what follows.

    (None, size) while the line is not finished; in a ``whole`` file, to which nothing comes any more, it is.
    """
    start = skip_mark(file)
    file.seek(start)
    head = file.read(min(size - start, _BLOCK))
    ends = record_ends(head, Format.CSV, separator)
    if len(ends) == 0:
        if size - start > _BLOCK:
            raise SourceError(f"{where}: its first line is longer than {_BLOCK} bytes: this is no CSV header")
        return (head or None if whole else None), size
    end = int(ends[0])
    return head[:end].removesuffix(b"\r"), start + end + 1


def last_end(file: BinaryIO, start: int, end: int) -> int:
    """The offset after the last newline in [start, end); ``start`` when there is none."""
    stop = end
    while stop > start:
        begin = max(start, stop - _BLOCK)
        file.seek(begin)
        found = file.read(stop - begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        stop = begin
    return start


def skip_end(file: BinaryIO, start: int, end: int) -> int | None:
    """Past the line end that came after what was read up to ``start``; None when other bytes came after no line end."""
    file.seek(start - 1)
    before, after = file.read(1), file.read(min(2, end - start))
    if before == b"\n" or not after:
        return start
    newline = next((newline for newline in (b"\n", b"\r\n") if after.startswith(newline)), None)
    return None if newline is None else start + len(newline)


def resume(file: BinaryIO, start: int, end: int, where: str) -> int:
    """Where new records begin after a file was read up to ``start``, whose last line may have had no end then.

    Raises SourceError when that line, which was taken as a record, has grown since.
    """
    found = skip_end(file, start, end)
    if found is not None:
        return found
    raise SourceError(
        f"{where}: its last line, read up to byte {start}, has grown since: move what follows into a new file, "
        "and write a file elsewhere before it is moved into the source's folder"
    )


def cut(file: BinaryIO, start: int, end: int, form: Format, where: str, *, separator: bytes = b",") -> Iterator[int]:
    """Offsets inside (start, end), each the beginning of a record, so that ranges between them hold about RANGE bytes.

    A quoted CSV field that lies across such a place by more than a MiB counts as damaged. Raises SourceError for a record
    longer than 128 MiB.
    """
    find = partial(_quoted_cut, separator=separator) if form is Format.CSV else _line_cut
    while end - start > RANGE:
        start = find(file, start, end, where)
        if start < end:
            yield start


def range_mark(file: BinaryIO, start: int, end: int) -> str:
    """A digest of the first and the last KiB of a range, by which it is known again."""
    file.seek(start)
    first = file.read(min(_MARKED, end - start))
    file.seek(max(start, end - _MARKED))
    return hashlib.sha256(first + file.read(min(_MARKED, end - start))).hexdigest()


def buffer_mark(data: bytes) -> str:
    """``range_mark`` of bytes, of which the first and the last KiB count."""
    return hashlib.sha256(data[:_MARKED] + data[-_MARKED:]).hexdigest()


def _line_cut(file: BinaryIO, start: int, end: int, where: str) -> int:
    at = start + RANGE
    while at < end:
        _require_short(start, at, where)
        file.seek(at)
        block = file.read(min(_BLOCK, end - at)) or _vanished(where)
        found = block.find(b"\n")
        if found >= 0:
            return at + found + 1
        at += len(block)
    return end


def _quoted_cut(file: BinaryIO, start: int, end: int, where: str, separator: bytes) -> int:
    size = RANGE
    while start + size < end:
        _require_short(start, start + size, where)
        file.seek(start)
        ends = record_ends(file.read(min(size + _BLOCK, end - start)), Format.CSV, separator)
        near = ends[ends < size]
        if len(near):
            return start + int(near[-1]) + 1
        size *= 2
    return end


def _require_short(start: int, at: int, where: str) -> None:
    if at - start > LONGEST:
        raise SourceError(f"{where}: the record at byte {start} is longer than {LONGEST} bytes: is this a text file?")


def _vanished(where: str) -> bytes:
    raise SourceError(f"{where}: shrank while it was planned: run again")
