"""Files that grow: JSON lines, CSV and logs, read on from where the last run ended."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from core.contracts import Interval
from core.errors import SourceError, StorageError
from core.storage.local import LocalStorage
from core.storage.storage import Entry, Storage
from etl.sources.cuts import cut, last_end, read_header, resume, skip_mark
from etl.sources.records import Format, split_records
from etl.sources.source import RECORD, Plan, Position, Range, Session

OpenStorage = Callable[[], Storage]

_HEAD = 1024
_GROUP = 128 << 20
_SMALL_GROUP = 8 << 20
_BATCH = 4 << 20


@dataclass(frozen=True, slots=True)
class FileSource:
    """The records of the files below ``folder`` that match the glob ``pattern``. Offsets are bytes from the file's beginning.

    With ``open_files``, which is sent to executors, they lie in the storage that it opens; ``folder`` is what messages call it.
    Files that are ``whole`` when they appear need no end of their last line, logs neither.

    A position holds, for each file, how far it was read and a digest of its first KiB. A file that went away keeps its place:
    when it comes back it goes on from there. A file that was renamed is a new file.
    """

    folder: Path | str
    pattern: str
    form: Format
    open_files: OpenStorage | None = None
    whole: bool = False

    def plan(self, session: Session, position: Position | None, interval: Interval | None = None) -> Plan:  # noqa: ARG002 — other sources need Spark and know times
        """See Source.plan. Raises SourceError for a file that shrank, or whose beginning is another than it was."""
        known: dict[str, Any] = dict(position["files"]) if position else {}
        ranges: list[Range] = []
        with self._failures():
            entries = self._entries(known)
            for entry in entries:
                with self.opener().open_read(entry.path) as file:
                    new, known[entry.path] = self._plan_file(file, entry, known.get(entry.path))
                    ranges += new
        return Plan(tuple(ranges), {"files": known})

    def read(self, spark: SparkSession, plan: Plan) -> DataFrame:
        """See Source.read."""
        groups = _grouped(plan.ranges, spark.sparkContext.defaultParallelism)
        indices = spark.range(0, len(groups), 1, len(groups))
        return indices.mapInArrow(partial(_read_groups, self.opener, str(self.folder), self.form, groups), RECORD)

    def _entries(self, known: dict[str, Any]) -> list[Entry]:
        if self.open_files is None and not Path(self.folder).is_dir():
            raise SourceError(f"{self.folder}: no such folder: check the source's 'folder'")
        entries = self.opener().list(self.pattern)
        if not entries and not known:
            raise SourceError(f"{self.folder}: no file matches {self.pattern!r}: check the source's 'folder' and 'pattern'")
        return entries

    def _plan_file(self, file: BinaryIO, entry: Entry, seen: dict[str, Any] | None) -> tuple[list[Range], dict[str, Any]]:
        offset = int(seen["offset"]) if seen else 0
        where = f"{self.folder}/{entry.path}"
        _require_same(file, entry, seen, offset, where)
        header, body = read_header(file, entry.size, where) if self.form is Format.CSV else (None, skip_mark(file))
        start, end = max(offset, body), entry.size
        if self.form is Format.LOG and not self.whole:
            end = last_end(file, start, end)
        elif offset:
            start = resume(file, start, end, where)
        if end <= start:
            return [], seen or {"offset": 0, "fingerprint": _fingerprint(file, 0)}
        cuts = list(cut(file, start, end, self.form, where))
        ranges = [Range(entry.path, a, b, header) for a, b in zip([start, *cuts], [*cuts, end], strict=True)]
        return ranges, {"offset": end, "fingerprint": _fingerprint(file, end)}

    @property
    def opener(self) -> OpenStorage:
        """What opens the storage that the files lie in."""
        return partial(LocalStorage, Path(self.folder)) if self.open_files is None else self.open_files

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except StorageError as error:
            raise SourceError(f"source {self.folder}: {error.message}") from error
        except OSError as error:
            raise SourceError(f"source {self.folder}: {error.filename or ''} cannot be read: {error.strerror}") from error


def _require_same(file: BinaryIO, entry: Entry, seen: dict[str, Any] | None, offset: int, where: str) -> None:
    if entry.size < offset:
        raise SourceError(
            f"{where}: has {entry.size} bytes but was read up to byte {offset}: it was cut or replaced; "
            "put the old file back, or give the new one a name of its own"
        )
    if seen and _fingerprint(file, offset) != seen["fingerprint"]:
        raise SourceError(
            f"{where}: its first {min(_HEAD, offset)} bytes are others than those read before: it was replaced; "
            "put the old file back, or give the new one a name of its own"
        )


def _fingerprint(file: BinaryIO, offset: int) -> str:
    file.seek(0)
    return hashlib.sha256(file.read(min(_HEAD, offset))).hexdigest()


def _grouped(ranges: Sequence[Range], cores: int) -> list[list[Range]]:
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


def _read_groups(
    open_files: OpenStorage, folder: str, form: Format, groups: list[list[Range]], batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    files = open_files()
    for batch in batches:
        for index in batch.column(0).to_pylist():
            for one in groups[index]:
                yield from _read_range(files, folder, form, one)


def _read_range(files: Storage, folder: str, form: Format, one: Range) -> Iterator[pa.RecordBatch]:
    try:
        with files.open_read(one.place) as file:
            file.seek(one.start)
            buffer = file.read(one.end - one.start)
    except (StorageError, OSError) as error:
        raise SourceError(f"{folder}/{one.place} went away while it was read: {error}: put it back and run again") from error
    if len(buffer) < one.end - one.start:
        size = one.start + len(buffer)
        raise SourceError(f"{folder}/{one.place} shrank to {size} bytes while it was read: put it back and run again")
    records = split_records(buffer, form)
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
