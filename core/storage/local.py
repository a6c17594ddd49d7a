"""A folder of the local file system as storage."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from core.errors import DiskFull, StorageError
from core.storage.storage import Entry, check_path, compile_glob, is_temporary
from core.storage.whole import is_full, sync_folder, write_whole


@dataclass(frozen=True, slots=True)
class LocalStorage:
    """Files below ``root``. A symbolic link is followed only to a place below ``root``."""

    root: Path

    def list(self, pattern: str = "**/*") -> list[Entry]:
        """See Storage.list; a folder that may not be entered is an error too."""
        wanted = compile_glob(pattern)
        depth = None if "**/" in pattern else pattern.count("/")
        return sorted(self._entry(path) for path in self._walk(depth) if wanted.fullmatch(path))

    def open_read(self, path: str) -> BufferedReader:
        """See Storage.open_read; never waits, as opening a FIFO would."""
        place = self._resolve(path)
        with _failures(path, self.root):
            descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                _require_regular(os.fstat(descriptor), path)
                return os.fdopen(descriptor, "rb")
            except BaseException:
                os.close(descriptor)
                raise

    def write_atomic(self, path: str, data: bytes | Iterable[bytes]) -> None:
        """See Storage.write_atomic."""
        place = self._resolve(path)
        with _failures(path, self.root):
            place.parent.mkdir(parents=True, exist_ok=True)
            write_whole(place, data)

    def rename(self, source: str, target: str) -> None:
        """See Storage.rename."""
        start, end = self._resolve(source), self._resolve(target)
        with _failures(source, self.root):
            end.parent.mkdir(parents=True, exist_ok=True)
            start.replace(end)
            sync_folder(end.parent)
            sync_folder(start.parent)

    def delete(self, path: str) -> None:
        """See Storage.delete."""
        place = self._resolve(path)
        with _failures(path, self.root):
            place.unlink()
            sync_folder(place.parent)

    def exists(self, path: str) -> bool:
        """See Storage.exists."""
        return self._resolve(path).is_file()

    def checksum(self, path: str) -> str:
        """See Storage.checksum."""
        with self.open_read(path) as file, _failures(path, self.root):
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _walk(self, depth: int | None) -> Iterator[str]:
        with _failures(".", self.root):
            for folder, folders, names in os.walk(self.root, onerror=_raise):
                below = Path(folder).relative_to(self.root)
                if depth is not None and len(below.parts) >= depth:
                    folders.clear()
                yield from ((below / name).as_posix() for name in names if not is_temporary(name))

    def _entry(self, path: str) -> Entry:
        if not path.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in path):
            raise StorageError(f"{path!r}: the file's name is not UTF-8: rename it")
        place = self._resolve(path)
        with _failures(path, self.root):
            status = place.stat()
            _require_regular(status, path)
        return Entry(path, status.st_size, status.st_mtime)

    def _resolve(self, path: str) -> Path:
        root = self.root.resolve()
        try:
            place = (root / check_path(path)).resolve()
        except RuntimeError:  # Python's way to say ELOOP
            raise StorageError(f"{path!r} is a symbolic link that leads to itself: remove it", path=path) from None
        if not place.is_relative_to(root):
            raise StorageError(f"{path!r} leads out of {self.root} by a symbolic link: put the file itself there", path=path)
        return place


def _require_regular(status: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise StorageError(f"{path!r} is no regular file: name a file, not a folder, FIFO, device or socket", path=path)


def _raise(error: OSError) -> None:
    raise error


@contextmanager
def _failures(path: str, root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_full(error):
            free = shutil.disk_usage(root if root.is_dir() else "/").free
            raise DiskFull(f"disk full at {root / path}: {free} bytes free: free some space and run again", path=path) from error
        where = error.filename or root / path
        raise StorageError(
            f"{where}: {error.strerror or error}: check that it is there and may be accessed", path=path
        ) from error
