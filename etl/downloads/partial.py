"""The part of a file that has come so far, kept on this machine from one try, and one run, to the next."""

from __future__ import annotations

import fcntl
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Self

from core.errors import DiskFull, SourceError, StorageError
from core.storage.whole import is_full, write_whole
from etl.downloads.facts import Facts

_PIECE = 1 << 20
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_GZIP = {"gzip", "x-gzip"}


@dataclass(slots=True)
class Partial:
    """Bytes in ``folder/part``, and in ``folder/part.json`` the version of the file that they are of; one process at a time.

    ``name`` is what messages call the file.
    """

    folder: Path
    name: str
    file: FileIO
    facts: Facts | None = None

    @classmethod
    @contextmanager
    def open(cls, folder: Path, name: str) -> Iterator[Self]:
        """What an earlier try left, or nothing. Raises SourceError when another process downloads the same."""
        with _failures(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = FileIO(folder / "part", "a+")  # unbuffered: what was written is there whenever the process ends
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise SourceError(f"{name}: another process downloads it now: run again when it has ended") from error
            yield cls(folder, name, file, _read_facts(folder, file))

    @property
    def size(self) -> int:
        """How many bytes have come."""
        return self.file.seek(0, 2)

    @property
    def complete(self) -> bool:
        """Whether all bytes have come, as far as the server said how many there are."""
        return self.facts is not None and self.facts.length == self.size

    def begin(self, facts: Facts) -> None:
        """Let go of what has come: bytes of another version follow."""
        self.clear()
        with _failures(self.folder):
            document = {"boot": _boot(), **facts.to_json()}
            write_whole(self.folder / "part.json", json.dumps(document).encode())
        self.facts = facts

    def clear(self) -> None:
        """Let go of what has come."""
        with _failures(self.folder):
            (self.folder / "part.json").unlink(missing_ok=True)
            self.file.truncate(0)
        self.facts = None

    def take(self, pieces: Iterable[bytes], most: int) -> None:
        """Put more bytes to the end; raises SourceError, and lets go of all, when they become more than ``most``."""
        size = self.size
        for piece in pieces:
            size += len(piece)
            if size > most:
                raise self.too_long(most)
            with _failures(self.folder):
                left = memoryview(piece)
                while left:
                    left = left[self.file.write(left) :]

    def too_long(self, most: int) -> SourceError:
        """Let go of what has come; the error for a file of more than ``most`` bytes."""
        self.clear()
        return SourceError(f"{self.name}: is longer than {most:,} bytes: raise the source's key 'max_bytes' if it may be")

    def content(self, most: int) -> Iterator[bytes]:
        """The file itself, its content coding undone.

        Raises SourceError for a coding that is not known, or damaged, and for more than ``most`` bytes; then all is let go of.
        """
        coding = self.facts.coding if self.facts else ""
        self.file.seek(0)
        if coding and coding not in _GZIP:
            raise self._spoilt(f"comes in the content coding {coding[:40]!r}, and none was asked for")
        source = gzip.GzipFile(fileobj=self.file, mode="rb") if coding else self.file
        left = most
        try:
            while piece := source.read(_PIECE):
                left -= len(piece)
                if left < 0:
                    raise self.too_long(most)
                yield piece
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise self._spoilt(f"its content coding {coding!r} is damaged: {error}") from error

    def _spoilt(self, what: str) -> SourceError:
        self.clear()
        return SourceError(f"{self.name}: {what}: ask the server's owner")


def _read_facts(folder: Path, file: FileIO) -> Facts | None:
    """What is known of the part; None, and the part is let go of, when that is not sure.

    After the machine stopped, bytes that were never synced may be missing in the middle of the file.
    """
    try:
        document = json.loads((folder / "part.json").read_bytes())
        if document["boot"] == _boot():
            return Facts.from_json(document)
    except (OSError, ValueError, LookupError, TypeError):
        pass  # none was written whole
    with _failures(folder):
        file.truncate(0)
    return None


def _boot() -> str:
    return _BOOT.read_text().strip()


@contextmanager
def _failures(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise DiskFull(f"disk full at {folder}: free some space and run again", path=str(folder)) from error
        raise StorageError(f"{folder}: {error.strerror or error}: check that it may be written", path=str(folder)) from error
