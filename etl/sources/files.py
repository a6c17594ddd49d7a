"""Files of a folder: those of lines are read on from where the last run ended, all others whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count, pairwise
from pathlib import Path
from typing import Any, BinaryIO

from pyspark.sql import DataFrame, SparkSession

from core.contracts import Interval
from core.errors import SourceError, StorageDown, StorageError
from core.storage.local import LocalStorage
from core.storage.storage import Entry
from etl.sources.logs.content import Content
from etl.sources.logs.multiline import Starts
from etl.sources.logs.plan import LogOptions, Moved, plan_logs
from etl.sources.logs.sights import see_files
from etl.sources.packing import Packing, TornFile, members, packing_of
from etl.sources.reading import OpenStorage, Reader, grouped
from etl.sources.records import Format
from etl.sources.source import RECORD, Plan, Position, Range, Session
from etl.sources.text.encodings import UTF8
from etl.sources.text.lines import Lines

_HEAD = 1024
_LOOKS = 3


@dataclass(frozen=True, slots=True)
class FileSource:
    """The records of the files below ``folder`` that match the glob ``pattern``. Offsets are bytes from the file's beginning.

    With ``open_files``, which is sent to executors, they lie in the storage that it opens; ``folder`` is what messages call it.
    Files that are ``whole`` when they appear need no end of their last line, logs neither. ``record`` is the name of the XML
    elements that are records; for ``encoding``, ``separator``, ``columns`` and ``starts`` see ``etl.sources.text.lines``.

    A position holds, for each file, how far it was read and digests of what was. A file that went away keeps its place: when it
    comes back it goes on from there. A log is known by what it holds, whatever its name (``etl.sources.logs``); of the others, a
    file that was renamed is a new file.
    """

    folder: Path | str
    pattern: str
    form: Format
    open_files: OpenStorage | None = None
    whole: bool = False
    record: str | None = None
    encoding: str = UTF8
    separator: str = ","
    columns: tuple[str, ...] | None = None
    starts: Starts | None = None
    logs: LogOptions = field(default_factory=LogOptions)

    def plan(self, session: Session, position: Position | None, interval: Interval | None = None) -> Plan:  # noqa: ARG002 — other sources need Spark and know times
        """See Source.plan. Raises SourceError for a file that shrank, or whose beginning is another than it was.

        A log may: SourceError when no file that the pattern matches has what it held.
        """
        known: dict[str, Any] = dict(position["files"]) if position else {}
        ranges: list[Range] = []
        if self.form is Format.LOG and not self.whole:
            with self._failures():
                return self._plan_logs({name: Content.from_json(seen) for name, seen in known.items()})
        with self._failures():
            entries = self._entries(known)
            for entry in entries:
                with self.opener().open_read(entry.path) as file:
                    new, known[entry.path] = self._plan_file(file, entry, known.get(entry.path))
                    ranges += new
        return Plan(tuple(ranges), {"files": known})

    def _plan_logs(self, known: dict[str, Content]) -> Plan:
        """Looks again when files were rotated while it looked."""
        for look in count(1):
            try:
                with see_files(self.opener(), self._entries(known), known, str(self.folder)) as sights:
                    ranges, contents = plan_logs(sights, known, self.logs, self.lines, str(self.folder))
                break
            except (Moved, TornFile, StorageError) as error:
                if look == _LOOKS or isinstance(error, StorageDown):
                    raise
        return Plan(tuple(ranges), {"files": {name: content.to_json() for name, content in contents.items()}})

    def read(self, spark: SparkSession, plan: Plan) -> DataFrame:
        """See Source.read."""
        groups = grouped(plan.ranges, spark.sparkContext.defaultParallelism)
        indices = spark.range(0, len(groups), 1, len(groups))
        return indices.mapInArrow(partial(self.reader.read, groups), RECORD)

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
        grows = self.form.is_lines and packing_of(entry.path) is None
        _require_same(file, entry, seen, where, grows=grows)
        if not grows:
            return _plan_whole(file, entry, seen, where, self.form)
        lines = self.lines.of(file, where, (seen or {}).get("encoding"))
        header, body = lines.head(file, entry.size, where)
        start, end = max(offset, body), entry.size
        if offset:
            start = lines.resume(file, start, end, where)
        if end <= start:
            return [], seen or {"offset": 0, "fingerprint": _fingerprint(file, 0)}
        edges = lines.ranges(file, start, end, where)
        ranges = [Range(entry.path, a, b, header, encoding=lines.encoding) for a, b in edges]
        decided = {} if lines.encoding == self.encoding else {"encoding": lines.encoding}
        return ranges, {"offset": end, "fingerprint": _fingerprint(file, end), **decided}

    @property
    def lines(self) -> Lines:
        """How lines become records."""
        return Lines(self.form, self.encoding, self.separator, self.columns, self.starts)

    @property
    def reader(self) -> Reader:
        """What reads ranges on executors."""
        return Reader(self.opener, str(self.folder), self.pattern, self.lines, self.record)

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


def _plan_whole(
    file: BinaryIO, entry: Entry, seen: dict[str, Any] | None, where: str, form: Format
) -> tuple[list[Range], dict[str, Any]]:
    """A file that is read whole, once; each member of an archive, and each row group of a Parquet file, by itself."""
    if entry.size == (seen or {"offset": 0})["offset"]:
        return [], seen or {"offset": 0, "fingerprint": _fingerprint(file, 0)}
    ranges = [Range(entry.path, 0, entry.size)]
    packing = packing_of(entry.path)
    if packing is None and form is Format.PARQUET:
        from etl.sources.formats.rows import row_group_starts  # noqa: PLC0415 — loaded where it is used

        starts = row_group_starts(file, where)
        ranges = [Range(entry.path, a, b) for a, b in pairwise([0, *starts[1:], entry.size])]
    if packing is Packing.ZIP:
        ranges = [Range(entry.path, 0, size, part=name) for name, size in members(file, where)]
    return ranges, {"offset": entry.size, "fingerprint": _fingerprint(file, entry.size)}


def _require_same(file: BinaryIO, entry: Entry, seen: dict[str, Any] | None, where: str, *, grows: bool) -> None:
    offset = int(seen["offset"]) if seen else 0
    if entry.size < offset or (entry.size > offset > 0 and not grows):
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
