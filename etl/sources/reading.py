"""Ranges of files as records: what executors do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from core.errors import SourceError, StorageError
from core.storage.storage import Storage
from etl.sources.cuts import buffer_mark
from etl.sources.logs.multiline import Starts
from etl.sources.records import Format, split_records
from etl.sources.source import RECORD, Range

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
    form: Format
    starts: Starts | None = None

    def read(self, groups: list[list[Range]], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The records of the groups that ``batches`` number, as RECORD."""
        files = self.open_files()
        for batch in batches:
            for index in batch.column(0).to_pylist():
                for one in groups[index]:
                    yield from self._read_range(files, one)

    def _read_range(self, files: Storage, one: Range) -> Iterator[pa.RecordBatch]:
        buffer = self._bytes(files, one)
        records = self.starts.merge(buffer) if self.starts else split_records(buffer, self.form)
        step = max(1, len(records.starts) * _BATCH // len(buffer))
        for at in range(0, len(records.starts), step):
            starts = records.starts[at : at + step]
            columns = [
                pa.repeat(pa.scalar(one.place, pa.string()), len(starts)),
                pa.array(starts + one.start),
                pa.repeat(pa.scalar(one.header, pa.binary()), len(starts)),
                records.values.slice(at, step),
            ]
            yield pa.RecordBatch.from_arrays(columns, names=RECORD.names)

    def _bytes(self, files: Storage, one: Range) -> bytes:
        """The bytes of a range; of a log that was rotated since it was planned, from where they are now."""
        problem = ""
        try:
            with files.open_read(one.place) as file:
                file.seek(one.start)
                buffer = file.read(one.end - one.start)
        except (StorageError, OSError) as error:
            buffer, problem = b"", f"went away while it was read: {error}"
        if len(buffer) == one.end - one.start and one.mark in {None, buffer_mark(buffer)}:
            return buffer
        if one.mark is not None and (found := self._elsewhere(files, one)) is not None:
            return found
        short = len(buffer) < one.end - one.start
        cause = f"shrank to {one.start + len(buffer)} bytes" if short else "became another file"
        problem = problem or f"{cause} while it was read"
        raise SourceError(f"{self.folder}/{one.place} {problem}: put it back and run again")

    def _elsewhere(self, files: Storage, one: Range) -> bytes | None:
        for entry in files.list(self.pattern):
            if entry.size >= one.end and entry.path != one.place:
                with files.open_read(entry.path) as file:
                    file.seek(one.start)
                    buffer = file.read(one.end - one.start)
                if len(buffer) == one.end - one.start and buffer_mark(buffer) == one.mark:
                    return buffer
        return None


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
