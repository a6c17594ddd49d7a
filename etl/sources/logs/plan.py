"""What is new in the log files of a folder, and how far they will have been read."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from core.errors import SourceError
from etl.sources.logs.content import HEAD, Content, Sight, describe, digest
from etl.sources.logs.rotation import Found, follow, is_rotated
from etl.sources.source import Range
from etl.sources.text.cuts import range_mark
from etl.sources.text.lines import Lines


class Moved(SourceError):
    """Files were renamed or cut while they were looked at: looking again may help."""


@dataclass(frozen=True, slots=True)
class LogOptions:
    """``skip_lost`` goes on where lines were lost. After ``quiet_s`` seconds without a write the last line of a file is whole.

    So is a record of several lines; or when the next begins, or when its file has the name of one that was rotated out.
    """

    skip_lost: bool = False
    quiet_s: float | None = None


def plan_logs(
    sights: Sequence[Sight], known: Mapping[str, Content], options: LogOptions, lines: Lines, folder: str
) -> tuple[list[Range], dict[str, Content]]:
    """The ranges that are new, and what is known of the files once they are read.

    Raises Moved when a file holds something else than it did, and what it held is nowhere.
    """
    found = follow(sights, known)
    if found.lost and not options.skip_lost:
        raise _moved(found, known, folder)
    ranges: list[Range] = []
    names = {*known, *(sight.path for sight in sights)}
    now: dict[str, Content] = {name: known[name] for name in found.kept}
    for sight in sights:
        if sight.path not in found.copies:
            name = found.goes_on.get(sight.path)
            rotated = lines.starts is not None and is_rotated(sight.path, names)
            plan = _FilePlan(sight, options, lines, f"{folder}/{sight.path}", rotated)
            new, now[sight.path] = plan.make(known[name] if name else None)
            ranges += new
    for sight in sights:
        if sight.path in found.copies:
            original = found.copies[sight.path]
            while original in found.copies:
                original = found.copies[original]
            with sight.open() as file:
                seen = describe(file, now[original].offset, sight.size, sight)
            now[sight.path] = replace(seen, copy_of=original, encoding=now[original].encoding)
    return ranges, now


@dataclass(frozen=True, slots=True)
class _FilePlan:
    sight: Sight
    options: LogOptions
    lines: Lines
    where: str
    rotated: bool

    def make(self, content: Content | None) -> tuple[list[Range], Content]:
        """What is new in the file, which goes on with ``content`` or is new itself."""
        sight = self.sight
        if content is not None and sight.unchanged(content) and (content.offset >= content.size or not self._may_end):
            return [], replace(content, copy_of=None)
        with sight.open() as file:
            if content is not None:
                _require_held(file, content, self.where)
            lines = self.lines.of(file, self.where, content.encoding if content else None)
            offset = content.offset if content else 0
            start = max(
                offset, lines.skip_end(file, offset, sight.size) if offset else lines.head(file, sight.size, self.where)[1]
            )
            end = self._end(file, lines, start)
            if end <= start:
                kept = content.encoding if content else None
                return [], replace(describe(file, offset, min(offset, sight.size), sight), encoding=kept)
            edges = lines.ranges(file, start, end, self.where) if sight.packed is None else [(start, end)]
            ranges = [Range(sight.path, a, b, mark=range_mark(file, a, b), encoding=lines.encoding) for a, b in edges]
            kept = None if lines.encoding == self.lines.encoding else lines.encoding
            return ranges, replace(describe(file, end, end, sight), encoding=kept)

    @property
    def _is_quiet(self) -> bool:
        """Whether the last line is whole, with its end or without."""
        patience = self.options.quiet_s
        return self.sight.packed is not None or (patience is not None and time.time() - self.sight.modified >= patience)

    @property
    def _may_end(self) -> bool:
        """Whether there may be more to read in a file that nobody wrote to."""
        return self._is_quiet or self.rotated

    def _end(self, file: BinaryIO, lines: Lines, start: int) -> int:
        if self._is_quiet:
            return self.sight.size
        end = lines.last_end(file, start, self.sight.size)
        return end if lines.starts is None or self.rotated else lines.starts.last(file, start, end)


def _require_held(file: BinaryIO, content: Content, where: str) -> None:
    """Raise Moved unless the open file is the one that was found to hold ``content``."""
    start = max(0, content.length - HEAD)
    file.seek(start)
    data = file.read(content.length - start)
    if len(data) < content.length - start or (content.tail is not None and digest(data) != content.tail):
        raise Moved(f"{where}: was renamed or cut while it was looked at: run again")


def _moved(found: Found, known: Mapping[str, Content], folder: str) -> Moved:
    name = found.lost[0]
    return Moved(
        f"{folder}/{name}: was read up to byte {known[name].offset} and holds something else now, and no file that the source's "
        "pattern matches has what it held: let the pattern match rotated files too (such as 'app.log*'), or put the old file "
        "back; or set 'skip_lost: true' to go on without what was not read"
    )
