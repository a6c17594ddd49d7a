"""JSON-line logs of days that are over, compressed by month: ``archive/2026-01/NAME-2026-01-31.jsonl.gz`` (RFC 1952)."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO

from core.errors import CorruptFile
from core.storage.local import LocalStorage

FOLDER = "archive"
_DAILY = re.compile(r"(?P<name>.+)-(?P<day>\d{4}-\d{2}-\d{2})\.jsonl")
_PIECE = 1 << 20
_GZIP = 31


@dataclass(frozen=True, slots=True)
class Archived:
    """A log file that went into the archive: its name, where it is now, its bytes before, and now."""

    name: str
    place: Path
    bytes: int
    compressed: int


def due(names: Iterable[str], before: date) -> list[str]:
    """Of the names of log files those of days before ``before``, the oldest first; what bears no day is left alone."""
    days = {name: _day(name) for name in names}
    return sorted((name for name, day in days.items() if day is not None and day < before), key=lambda name: (days[name], name))


def archive(folder: Path, names: Sequence[str], in_use: Collection[Path]) -> Iterator[Archived]:
    """Put log files into the archive below ``folder``, one after the other; those that a process has open stay where they are.

    A file is taken away once its archive is whole and on disk. Killed anywhere and run again, nothing is lost or stands twice.
    Raises CorruptFile when an archive of the same name cannot be read, DiskFull, StorageError; then the file is where it was.
    """
    storage = LocalStorage(folder)
    for name in names:
        if (folder / name).resolve() in in_use:
            continue
        day = _day(name)
        target = f"{FOLDER}/{day:%Y-%m}/{name}.gz"
        with storage.open_read(name) as file:
            size = os.fstat(file.fileno()).st_size
            storage.write_atomic(target, _compressed(_after(folder / target, file)))
        storage.delete(name)
        yield Archived(name, folder / target, size, (folder / target).stat().st_size)


def _day(name: str) -> date | None:
    match = _DAILY.fullmatch(name)
    try:
        return date.fromisoformat(match["day"]) if match else None
    except ValueError:
        return None


def _after(there: Path, file: IO[bytes]) -> Iterator[bytes]:
    """What the archive must hold: the file, after what is archived under its name already unless the file begins with that."""
    if there.is_file() and not _begins(file, there):
        yield from _pieces_of(there)
    file.seek(0)
    yield from _pieces(file)


def _begins(file: IO[bytes], there: Path) -> bool:
    return all(file.read(len(piece)) == piece for piece in _pieces_of(there))


def _pieces_of(there: Path) -> Iterator[bytes]:
    try:
        with gzip.open(there) as kept:
            yield from _pieces(kept)
    except (OSError, EOFError, zlib.error) as error:
        raise CorruptFile(f"{there} is damaged ({error}): restore it from a backup, or move it away", path=str(there)) from error


def _pieces(file: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def _compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """``pieces`` as one gzip stream without a time: the same bytes give the same archive."""
    packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()
