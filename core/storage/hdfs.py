"""A folder of HDFS as storage, by WebHDFS."""

from __future__ import annotations

import hashlib
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from typing import IO, Any
from urllib.parse import urlsplit

from core.errors import CorruptFile, StorageError
from core.storage.crc import file_checksum
from core.storage.ranged import open_ranged
from core.storage.storage import Entry, check_path, compile_glob, is_temporary
from core.storage.webhdfs import BROKEN, WebHdfs

_IN_MEMORY = 32 << 20
_BREAKS = 5


@dataclass(frozen=True, slots=True)
class HdfsStorage:
    """Files below the folder ``root`` of HDFS.

    Calls outlive a DataNode that does not answer and a NameNode that restarts; StorageDown when none comes back in time.
    """

    web: WebHdfs
    root: str

    def list(self, pattern: str = "**/*") -> list[Entry]:
        """See Storage.list; one call a folder."""
        wanted = compile_glob(pattern)
        depth = None if "**/" in pattern else pattern.count("/")
        return sorted(entry for entry in self._walk("", depth) if wanted.fullmatch(entry.path))

    def open_read(self, path: str) -> BufferedReader:
        """See Storage.open_read; when a DataNode dies, reading goes on from another."""
        place = self._place(path)
        status = self._status(place, path)
        breaks: list[Exception] = []
        streams: list[Any] = []

        def open_at(offset: int) -> Any:
            streams[:] = [self.web.open_at(place, offset)]
            return streams[0]

        def lost(error: Exception) -> None:
            breaks.append(error)
            if len(breaks) > _BREAKS:
                raise StorageError(f"{place}: cannot be read to its end: {error}: check HDFS with `hdfs fsck`", path=path)
            self.web.bury(streams[0].datanode)

        return open_ranged(open_at, status["length"], BROKEN, lost)

    def write_atomic(self, path: str, data: bytes | Iterable[bytes]) -> None:
        """See Storage.write_atomic: a temporary file, closed and held against HDFS's checksum, then renamed over ``path``.

        What is written is kept here meanwhile (up to 32 MiB in memory, else in a temporary file), to be sent again.
        """
        place = self._place(path)
        folder, _, name = place.rpartition("/")
        temporary = f"{folder}/.{name[:100]}.{secrets.token_hex(8)}.tmp"
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as kept:
            for piece in [data] if isinstance(data, bytes) else data:
                kept.write(piece)
            try:
                self.web.create(temporary, kept)  # type: ignore[arg-type]  # typeshed: a spooled file is no BinaryIO
                self._verify(temporary, kept)
                self._rename(temporary, place)
            except BaseException:
                with suppress(StorageError):  # the first error is the one to tell
                    self.web.ask("delete", temporary)
                raise

    def rename(self, source: str, target: str) -> None:
        """See Storage.rename; HDFS does it in one step."""
        start, end = self._place(source), self._place(target)
        self.web.ask("mkdirs", end.rpartition("/")[0])
        self._rename(start, end)

    def delete(self, path: str) -> None:
        """See Storage.delete."""
        place = self._place(path)
        self._status(place, path)
        self.web.ask("delete", place)

    def exists(self, path: str) -> bool:
        """See Storage.exists."""
        try:
            status = self.web.ask("get_file_status", self._place(path))["FileStatus"]
        except StorageError as error:
            if error.facts.get("missing"):
                return False
            raise
        return bool(status["type"] == "FILE")

    def checksum(self, path: str) -> str:
        """See Storage.checksum."""
        with self.open_read(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _place(self, path: str) -> str:
        return f"{self.root}/{check_path(path)}"

    def _status(self, place: str, path: str) -> dict[str, Any]:
        status: dict[str, Any] = self.web.ask("get_file_status", place)["FileStatus"]
        if status["type"] != "FILE":
            raise StorageError(f"{path!r} is no regular file: name a file, not a folder", path=path)
        return status

    def _children(self, folder: str) -> Sequence[dict[str, Any]]:
        found: Sequence[dict[str, Any]] = self.web.ask("list_status", folder or "/")["FileStatuses"]["FileStatus"]
        return found

    def _walk(self, below: str, depth: int | None) -> Iterator[Entry]:
        for status in self._children(f"{self.root}/{below}".rstrip("/")):
            path = f"{below}{status['pathSuffix']}"
            if status["type"] == "DIRECTORY":
                if depth is None or depth > path.count("/"):
                    yield from self._walk(f"{path}/", depth)
            elif not is_temporary(status["pathSuffix"]):
                yield Entry(path, status["length"], status["modificationTime"] / 1000)

    def _rename(self, start: str, end: str) -> None:
        self.web.ask("rename", start, destination=end, renameoptions="OVERWRITE")

    def _verify(self, place: str, kept: IO[bytes]) -> None:
        status = self.web.ask("get_file_status", place)["FileStatus"]
        size = kept.seek(0, 2)
        if status["length"] != size:
            raise CorruptFile(f"{place} took {status['length']} of {size} bytes: write it again", path=urlsplit(place).path)
        if size == 0:
            return
        found = self.web.checksum(place)
        own = file_checksum(kept, found["algorithm"], status["blockSize"])
        if own is not None and not found["bytes"].startswith(own):
            raise CorruptFile(f"{place} does not hold the bytes that were sent: write it again", path=place)
