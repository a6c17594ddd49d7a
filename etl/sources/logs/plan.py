"""What is new in the log files of a folder, and how far they will have been read."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import BinaryIO

from core.errors import SourceError
from etl.sources.cuts import cut, last_end, range_mark, skip_mark
from etl.sources.logs.content import HEAD, Content, Sight, describe, digest
from etl.sources.logs.multiline import Starts
from etl.sources.logs.rotation import Found, follow, is_rotated
from etl.sources.records import Format
from etl.sources.source import Range


class Moved(SourceError):
    """Files were renamed or cut while they were looked at: looking again may help."""


@dataclass(frozen=True, slots=True)
class LogOptions:
    """``skip_lost`` goes on where lines were lost. After ``quiet_s`` seconds without a write the last line of a file is whole.

    Records of several lines begin where ``starts`` says. The last one of a file is whole when the next begins, when the file has
    the name of one that was rotated out, or after ``quiet_s``.
    """

    skip_lost: bool = False
    quiet_s: float | None = None
    starts: Starts | None = None


def plan_logs(
    sights: Sequence[Sight], known: Mapping[str, Content], options: LogOptions, folder: str
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
            waits = options.starts is not None and not is_rotated(sight.path, names)
            content = known[name] if name else None
            new, now[sight.path] = _plan_file(sight, content, options, f"{folder}/{sight.path}", waits=waits)
            ranges += new
    for sight in sights:
        if sight.path in found.copies:
            original = found.copies[sight.path]
            while original in found.copies:
                original = found.copies[original]
            with sight.open() as file:
                now[sight.path] = replace(describe(file, now[original].offset, sight.size, sight), copy_of=original)
    return ranges, now


def _plan_file(
    sight: Sight, content: Content | None, options: LogOptions, where: str, *, waits: bool
) -> tuple[list[Range], Content]:
    quiet = sight.packed is not None or (options.quiet_s is not None and time.time() - sight.modified >= options.quiet_s)
    done = content is not None and (content.offset >= content.size or (not quiet and (waits or options.starts is None)))
    if content is not None and done and sight.unchanged(content):
        return [], replace(content, copy_of=None)
    with sight.open() as file:
        if content is not None:
            _require_held(file, content, where)
        offset = content.offset if content else 0
        start = max(offset, _resumed(file, offset) if offset else skip_mark(file))
        end = sight.size if quiet else last_end(file, start, sight.size)
        if options.starts is not None and waits and not quiet:
            end = options.starts.last(file, start, end)
        if end <= start:
            return [], describe(file, offset, min(offset, sight.size), sight)
        edges = [start, *_cuts(file, start, end, options, where), end] if sight.packed is None else [start, end]
        ranges = [Range(sight.path, a, b, mark=range_mark(file, a, b)) for a, b in pairwise(edges)]
        return ranges, describe(file, end, end, sight)


def _cuts(file: BinaryIO, start: int, end: int, options: LogOptions, where: str) -> Iterator[int]:
    return options.starts.cuts(file, start, end, where) if options.starts else cut(file, start, end, Format.LOG, where)


def _require_held(file: BinaryIO, content: Content, where: str) -> None:
    """Raise Moved unless the open file is the one that was found to hold ``content``."""
    start = max(0, content.length - HEAD)
    file.seek(start)
    data = file.read(content.length - start)
    if len(data) < content.length - start or (content.tail is not None and digest(data) != content.tail):
        raise Moved(f"{where}: was renamed or cut while it was looked at: run again")


def _resumed(file: BinaryIO, offset: int) -> int:
    """Past the end of a last line that was taken without it."""
    file.seek(offset - 1)
    before, after = file.read(1), file.read(2)
    if before == b"\n":
        return offset
    return offset + (2 if after == b"\r\n" else 1 if after[:1] == b"\n" else 0)


def _moved(found: Found, known: Mapping[str, Content], folder: str) -> Moved:
    name = found.lost[0]
    return Moved(
        f"{folder}/{name}: was read up to byte {known[name].offset} and holds something else now, and no file that the source's "
        "pattern matches has what it held: let the pattern match rotated files too (such as 'app.log*'), or put the old file "
        "back; or set 'skip_lost: true' to go on without what was not read"
    )
