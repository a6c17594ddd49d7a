"""The few things that a Delta log is asked as files, on a local file system and on HDFS."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from io import RawIOBase
from pathlib import Path
from typing import IO, Protocol, TypeVar
from urllib.parse import urlsplit

from core.errors import DiskFull, StorageDown, StorageError
from core.native_hdfs import STARTING, hdfs_native, when_started
from core.storage.local import LocalStorage

T = TypeVar("T")

_DOWN = ("Connection refused", "timed out", "Connection reset", "No route to host", *STARTING)
_FULL = ("QuotaExceededException", "could only be written to")


@dataclass(frozen=True, slots=True, order=True)
class File:
    """A file below a folder: its path there, ``/`` between parts; its size in bytes; its last change in seconds since 1970."""

    path: str
    size: int
    modified: float


class Files(Protocol):
    """Files of the lake by their whole place: an absolute path, or a URL. Methods raise StorageError naming the place."""

    @property
    def checked(self) -> bool:
        """Whether what is read was held against a checksum by the file system itself."""
        ...

    def sizes(self, folder: str) -> dict[str, int]:
        """The names in a folder with their sizes in bytes; empty when there is no such folder."""
        ...

    def folders(self, folder: str) -> list[str]:
        """The names of the folders in a folder; empty when there is no such folder."""
        ...

    def walk(self, folder: str) -> list[File]:
        """The regular files below a folder, at any depth; empty when there is no such folder."""
        ...

    def read(self, path: str) -> bytes:
        """A file's bytes."""
        ...

    def open(self, path: str) -> IO[bytes] | RawIOBase:
        """A file for reading at any offset; the caller closes it."""
        ...

    def remove(self, path: str) -> None:
        """Take a file away; one that is gone already is no error."""
        ...

    def write(self, path: str, data: bytes) -> None:
        """Put a file, whole and durable, in a folder that is made when it is missing."""
        ...

    def rename(self, source: str, target: str) -> None:
        """Move a folder in one step to a place where there is none, or an empty one."""
        ...

    def remove_folder(self, folder: str) -> None:
        """Delete a folder with all that is in it, if there is one."""
        ...


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """Files of this machine."""

    @property
    def checked(self) -> bool:
        """See Files.checked."""
        return False

    def sizes(self, folder: str) -> dict[str, int]:
        """See Files.sizes."""
        sizes = {}
        with _local_failures(folder):
            for entry in _entries(folder):
                with suppress(FileNotFoundError):  # taken away since it was listed
                    sizes[entry.name] = entry.stat().st_size
        return sizes

    def folders(self, folder: str) -> list[str]:
        """See Files.folders."""
        with _local_failures(folder):
            return [entry.name for entry in _entries(folder) if entry.is_dir()]

    def walk(self, folder: str) -> list[File]:
        """See Files.walk; links are not followed."""
        with _local_failures(folder):
            return list(_walk(folder, folder))

    def read(self, path: str) -> bytes:
        """See Files.read."""
        with _local_failures(path):
            return Path(path).read_bytes()

    def open(self, path: str) -> IO[bytes] | RawIOBase:
        """See Files.open."""
        with _local_failures(path):
            return Path(path).open("rb")

    def remove(self, path: str) -> None:
        """See Files.remove."""
        with _local_failures(path, "removed"):
            Path(path).unlink(missing_ok=True)

    def write(self, path: str, data: bytes) -> None:
        """See Files.write."""
        place = Path(path)
        LocalStorage(place.parent).write_atomic(place.name, data)
        with _local_failures(path, "written"):
            place.chmod(place.parent.stat().st_mode & 0o666)  # as others in that folder: engines of other users read it

    def rename(self, source: str, target: str) -> None:
        """See Files.rename; both lie in one folder."""
        LocalStorage(Path(source).parent).rename(Path(source).name, Path(target).name)

    def remove_folder(self, folder: str) -> None:
        """See Files.remove_folder."""
        with _local_failures(folder, "removed"), suppress(FileNotFoundError):
            shutil.rmtree(folder)


@dataclass(frozen=True, slots=True)
class HdfsFiles:
    """Files of HDFS by its own protocol, under a millisecond a call; replicas and NameNodes that are down are passed over."""

    authority: str
    options: Mapping[str, str]

    @property
    def checked(self) -> bool:
        """See Files.checked."""
        return True

    def sizes(self, folder: str) -> dict[str, int]:
        """See Files.sizes."""
        return {_name(status): status.length for status in self._list(folder)}

    def folders(self, folder: str) -> list[str]:
        """See Files.folders."""
        return [_name(status) for status in self._list(folder) if status.isdir]

    def walk(self, folder: str) -> list[File]:
        """See Files.walk."""
        root = urlsplit(folder).path.rstrip("/") + "/"
        found = self._list(folder, recursive=True)
        return [
            File(urlsplit(status.path).path.removeprefix(root), status.length, status.modification_time / 1000)
            for status in found
            if not status.isdir
        ]

    def read(self, path: str) -> bytes:
        """See Files.read."""
        return self._ask(path, "read", lambda client: bytes(client.read(urlsplit(path).path).readall()))

    def open(self, path: str) -> IO[bytes] | RawIOBase:
        """See Files.open; not buffered: the client's ``seek`` does not answer as Python's own buffers want it."""
        return self._ask(path, "read", lambda client: client.read(urlsplit(path).path))

    def remove(self, path: str) -> None:
        """See Files.remove."""
        self._ask(path, "removed", lambda client: client.delete(urlsplit(path).path))

    def write(self, path: str, data: bytes) -> None:
        """See Files.write."""
        options = hdfs_native.WriteOptions(create_parent=True, overwrite=True)
        file = self._ask(path, "written", lambda client: client.create(urlsplit(path).path, options))
        with hdfs_failures(path, "written"), file:
            file.write(data)

    def rename(self, source: str, target: str) -> None:
        """See Files.rename."""
        self._ask(target, "written", lambda client: client.rename(urlsplit(source).path, urlsplit(target).path, overwrite=True))

    def remove_folder(self, folder: str) -> None:
        """See Files.remove_folder."""
        self._ask(folder, "removed", lambda client: client.delete(urlsplit(folder).path, recursive=True))

    def _list(self, folder: str, recursive: bool = False) -> list[hdfs_native.FileStatus]:
        return self._ask(folder, "read", lambda client: _listed(client, urlsplit(folder).path, recursive))

    def _ask(self, place: str, done: str, call: Callable[[hdfs_native.Client], T]) -> T:
        with hdfs_failures(place, done):
            return when_started(lambda: call(self._client()))

    def _client(self) -> hdfs_native.Client:
        return _connected(os.getpid(), self.authority, tuple(sorted(self.options.items())))


@lru_cache(maxsize=8)
def _connected(_process: int, authority: str, options: tuple[tuple[str, str], ...]) -> hdfs_native.Client:
    return hdfs_native.Client(f"hdfs://{authority}", config=dict(options))


def _walk(folder: str, root: str) -> Iterator[File]:
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, root)
        elif entry.is_file(follow_symlinks=False):
            with suppress(FileNotFoundError):  # a writer's temporary file
                facts = entry.stat(follow_symlinks=False)
                yield File(os.path.relpath(entry.path, root), facts.st_size, facts.st_mtime)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _listed(client: hdfs_native.Client, folder: str, recursive: bool) -> list[hdfs_native.FileStatus]:
    try:
        return list(client.list_status(folder, recursive))
    except FileNotFoundError:
        return []


def _name(status: hdfs_native.FileStatus) -> str:
    return status.path.rstrip("/").rsplit("/", 1)[-1]


@contextmanager
def _local_failures(place: str, done: str = "read") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{place} cannot be {done}: {error.strerror}: check its permissions", path=place) from error


@contextmanager
def hdfs_failures(place: str, done: str = "read") -> Iterator[None]:
    """Raise what HDFS's client raises in the block as StorageDown or StorageError, in one line."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        text = " ".join(str(error).split("\tat ", 1)[0].split())
        if any(mark in text for mark in _FULL):
            raise DiskFull(
                f"HDFS has no room for {place}: free some space or raise the quota, and run again", path=place
            ) from error
        if any(mark in text for mark in _DOWN):
            raise StorageDown(
                f"{place}: the NameNode of HDFS does not answer or is in safe mode (settings lake.root): start it or wait, "
                "then run again",
                path=place,
            ) from error
        raise StorageError(
            f"{place} cannot be {done} {'from' if done == 'read' else 'on'} HDFS: {text[:300]}", path=place
        ) from error
