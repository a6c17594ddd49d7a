"""Ranges of files as records: what executors do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from core.errors import SourceError, StorageError
from core.storage.storage import Storage
from etl.sources.formats.document import read_document
from etl.sources.formats.markup import read_elements
from etl.sources.packing import packing_of, unpack
from etl.sources.records import Format, Records
from etl.sources.source import RECORD, Range
from etl.sources.text.cuts import buffer_mark, range_mark
from etl.sources.text.encodings import AUTO, UTF8, resolve
from etl.sources.text.lines import Lines

OpenStorage = Callable[[], Storage]

_GROUP = 128 << 20
_SMALL_GROUP = 8 << 20
_BATCH = 4 << 20


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads ranges of the files below ``folder`` that match ``pattern``; it is sent to executors."""

    open_files: OpenStorage
    folder: str
    pattern: str
    lines: Lines
    record: str | None = None

    def read(self, groups: list[list[Range]], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The records of the groups that ``batches`` number, as RECORD."""
        files = self.open_files()
        for batch in batches:
            for index in batch.column(0).to_pylist():
                for one in groups[index]:
                    yield from self._read_range(files, one)

    def _read_range(self, files: Storage, one: Range) -> Iterator[pa.RecordBatch]:
        if packing_of(one.place) is not None:
            yield from self._read_packed(files, one)
            return
        if not self.lines.form.is_lines:
            with self._opened(files, one.place) as file:
                yield from self._read_records(one, file, one.end)
            return
        buffer = self._bytes(files, one)
        lines = self.lines.within(one.encoding, f"{self.folder}/{one.place}")
        yield from _batches(one, one.header, one.start, buffer, lines)

    def _read_packed(self, files: Storage, one: Range) -> Iterator[pa.RecordBatch]:
        """A compressed file from its beginning; or of a log what was planned, which may be in another file by now."""
        path = one.place if one.mark is None else self._locate(files, one)
        with self._opened(files, path) as file, unpack(file, path, f"{self.folder}/{path}", one.part) as (content, size):
            yield from self._read_content(one, content, one.end if one.mark else size)

    def _locate(self, files: Storage, one: Range) -> str:
        problem = SourceError(f"{self.folder}/{one.place} became another file while it was read: put it back and run again")
        for path in self._places(files, one):
            try:
                with self._opened(files, path) as file, self._content(file, path) as content:
                    if range_mark(content, one.start, one.end) == one.mark:
                        return path
            except SourceError as error:
                problem = error if path == one.place else problem
        raise problem

    def _read_content(self, one: Range, content: BinaryIO, end: int) -> Iterator[pa.RecordBatch]:
        where = f"{self.folder}/{one.place}"
        if not self.lines.form.is_lines:
            yield from self._read_records(one, content, end)
            return
        lines = self.lines.of(content, where, one.encoding if one.mark else None)
        header, start = (None, one.start) if one.mark else lines.head(content, end, where, whole=True)
        for a, b in lines.ranges(content, start, end, where):
            content.seek(a)
            yield from _batches(one, header, a, content.read(b - a), lines)

    def _read_records(self, one: Range, content: BinaryIO, end: int) -> Iterator[pa.RecordBatch]:
        """The records of a file that is no lines, some MiB at a time."""
        starts: list[int] = []
        values: list[bytes] = []
        size = 0
        for start, value in self._records(one, content, end):
            starts.append(start)
            values.append(value)
            size += len(value)
            if size > _BATCH:
                yield _batch(one, None, Records(np.array(starts), pa.array(values, pa.binary())))
                starts, values, size = [], [], 0
        if starts:
            yield _batch(one, None, Records(np.array(starts), pa.array(values, pa.binary())))

    def _records(self, one: Range, content: BinaryIO, end: int) -> Iterator[tuple[int, bytes]]:
        where = f"{self.folder}/{one.place}"
        if self.lines.form in {Format.PARQUET, Format.AVRO}:
            from etl.sources.formats.rows import read_avro, read_parquet  # noqa: PLC0415 — loaded where it is used

            if self.lines.form is Format.AVRO:
                return read_avro(content, where)
            return read_parquet(content, one.start, end, where)
        encoding = resolve(self.lines.encoding, content) or UTF8
        if self.lines.form is Format.JSON:
            return read_document(content, end, where, encoding)
        return read_elements(content, where, self.record or "", None if self.lines.encoding in {UTF8, AUTO} else encoding)

    def _bytes(self, files: Storage, one: Range) -> bytes:
        """The bytes of a range; of a log that was rotated since it was planned, from where they are now."""
        size, problem = 0, ""
        for path in self._places(files, one):
            try:
                with self._opened(files, path) as file, self._content(file, path) as content:
                    content.seek(one.start)
                    buffer = content.read(one.end - one.start)
            except SourceError as error:
                problem = problem or str(error)
                continue
            if len(buffer) == one.end - one.start and one.mark in {None, buffer_mark(buffer)}:
                return buffer
            size = one.start + len(buffer)
            cause = f"shrank to {size} bytes" if size < one.end else "became another file"
            problem = problem or f"{self.folder}/{path} {cause} while it was read: put it back and run again"
        raise SourceError(problem)

    def _places(self, files: Storage, one: Range) -> Iterator[str]:
        """Where a range lies, and where else what was in a log may be."""
        yield one.place
        if one.mark is not None:
            yield from (entry.path for entry in files.list(self.pattern) if entry.path != one.place)

    @contextmanager
    def _opened(self, files: Storage, path: str) -> Iterator[BinaryIO]:
        try:
            with files.open_read(path) as file:
                yield file
        except (StorageError, OSError) as error:
            raise SourceError(f"{self.folder}/{path} went away while it was read: {error}: put it back and run again") from error

    @contextmanager
    def _content(self, file: BinaryIO, path: str) -> Iterator[BinaryIO]:
        if packing_of(path) is None:
            yield file
            return
        with unpack(file, path, f"{self.folder}/{path}") as (content, _):
            yield content


def _batches(one: Range, header: bytes | None, start: int, buffer: bytes, lines: Lines) -> Iterator[pa.RecordBatch]:
    if not buffer:
        return
    records = lines.records(buffer)
    step = max(1, len(records.starts) * _BATCH // len(buffer))
    for at in range(0, len(records.starts), step):
        yield _batch(one, header, Records(records.starts[at : at + step] + start, records.values.slice(at, step)))


def _batch(one: Range, header: bytes | None, records: Records) -> pa.RecordBatch:
    place = one.place if one.part is None else f"{one.place}!{one.part}"
    count = len(records.starts)
    columns = [
        pa.repeat(pa.scalar(place, pa.string()), count),
        pa.array(records.starts, pa.int64()),
        pa.repeat(pa.scalar(header, pa.binary()), count),
        records.values,
    ]
    return pa.RecordBatch.from_arrays(columns, names=RECORD.names)


def grouped(ranges: Sequence[Range], cores: int) -> list[list[Range]]:
    """Neighbouring ranges together: one task and one data file each, large, yet enough of them to keep ``cores`` busy."""
    total = sum(r.end - r.start for r in ranges)
    goal = min(_GROUP, max(_SMALL_GROUP, -(-total // cores)))
    groups: list[list[Range]] = [[]]
    size = 0
    for one in ranges:
        if groups[-1] and size + (one.end - one.start) / 2 > goal:
            groups.append([])
            size = 0
        groups[-1].append(one)
        size += one.end - one.start
    return groups
