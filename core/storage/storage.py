"""What every place for files offers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from io import BufferedReader
from typing import Protocol

from core.errors import StorageError


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """A file: its path below the root with ``/`` between parts, its size in bytes, its last change in seconds since 1970 UTC."""

    path: str
    size: int
    modified: float


class Storage(Protocol):
    """Files below one root, named by relative paths. No path leads out of the root, by whatever trick.

    Every method raises StorageError naming the path and what to do; writing raises DiskFull when no space is left.
    """

    def list(self, pattern: str = "**/*") -> list[Entry]:
        """The files that match a glob, sorted by path: ``*`` and ``?`` stay within a folder, ``**/`` is any number of folders.

        What matches but is no regular file (a FIFO, a device, a socket) is an error, not skipped.
        """
        ...

    def open_read(self, path: str) -> BufferedReader:
        """The file, open for reading bytes at any offset; the caller closes it."""
        ...

    def write_atomic(self, path: str, data: bytes | Iterable[bytes]) -> None:
        """Put ``data`` at ``path``, whole and durable or not at all, whatever ends the process; what was there is replaced."""
        ...

    def rename(self, source: str, target: str) -> None:
        """Move a file in one step; what was at ``target`` is replaced."""
        ...

    def delete(self, path: str) -> None:
        """Remove a file."""
        ...

    def exists(self, path: str) -> bool:
        """Whether ``path`` is a file."""
        ...

    def checksum(self, path: str) -> str:
        """The SHA-256 of the file's bytes, in hexadecimal (FIPS 180-4)."""
        ...


def check_path(path: str) -> str:
    """``path`` itself; raises StorageError unless it is relative, without ``.``, ``..``, empty parts, backslashes and NUL."""
    parts = path.split("/")
    if "\0" in path or "\\" in path or any(part in {"", ".", ".."} for part in parts):
        raise StorageError(f"{path!r} is no path below the root: write folder/file, without '..' and a leading '/'", path=path)
    return path


def compile_glob(pattern: str) -> re.Pattern[str]:
    """A regular expression that a whole relative path matches when the glob takes it."""
    pieces = re.split(r"(\*\*/|\*|\?)", check_path(pattern))
    meaning = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meaning.get(piece) or re.escape(piece) for piece in pieces), re.DOTALL)


def is_temporary(name: str) -> bool:
    """Whether a file of this name is a write that has not ended."""
    return name.startswith(".") and name.endswith(".tmp")
