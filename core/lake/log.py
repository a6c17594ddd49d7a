r"""A Delta table's commit log as files: whether it is whole, and what a commit says of itself.

On a local file system Hadoop keeps a checksum beside each file; HDFS keeps its own, and its readers check it.

Source: the Delta transaction log protocol (PROTOCOL.md of delta-io/delta), and for the ``.N.json.crc`` files Hadoop's
ChecksumFileSystem: ``crc\0``, the chunk size, then a CRC-32 for each chunk, all big-endian.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import CorruptFile
from core.lake.files import Files

_COMMIT = re.compile(r"([0-9]{20})\.json")
_CHECKPOINT = re.compile(r"([0-9]{20})\.checkpoint\..*parquet")
_CRC_HEADER = 8

Action = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Log:
    """The folder ``_delta_log`` of a table."""

    files: Files
    folder: str

    def has_commit(self) -> bool:
        """Whether the folder holds a table: a write that was killed before its first commit leaves none."""
        sizes = self.files.sizes(self.folder)
        return bool(_versions(sizes, _COMMIT) or _versions(sizes, _CHECKPOINT))

    def newest(self) -> int | None:
        """The version of the newest commit file."""
        return max(_versions(self.files.sizes(self.folder), _COMMIT), default=None)

    def check(self, version: int | None = None) -> None:
        """Hold each commit file that version ``version`` (default: the newest) is read from against its checksum.

        Engines skip an empty commit file without a word, and the rows it added are gone. Raises CorruptFile naming file and
        version.
        """
        sizes = self.files.sizes(self.folder)
        commits = _versions(sizes, _COMMIT)
        last = max(commits, default=-1) if version is None else version
        base = max((v for v in _versions(sizes, _CHECKPOINT) if v <= last), default=-1)
        for number in range(base + 1, last + 1):
            name = commits.get(number)
            if name is None:
                raise self._corrupt(f"{number:020}.json", number, "is missing")
            if sizes[name] == 0:
                raise self._corrupt(name, number, "is empty")
            self._check_commit(name, number, sizes)

    def commits_backwards(self) -> Iterator[tuple[int, list[Action]]]:
        """(version, actions) of each commit that is still in the log, newest first, each read when it is asked for.

        Raises CorruptFile when a line is no JSON object.
        """
        for version, name in sorted(_versions(self.files.sizes(self.folder), _COMMIT).items(), reverse=True):
            yield version, self._actions(name, version)

    def _actions(self, name: str, version: int) -> list[Action]:
        try:
            actions = [json.loads(line) for line in self._read(name).splitlines() if line.strip()]
        except ValueError as error:
            raise self._corrupt(name, version, f"is not JSON: {error}") from error
        if not actions:
            raise self._corrupt(name, version, "is empty")
        if not all(isinstance(action, dict) for action in actions):
            raise self._corrupt(name, version, "holds a line that is no JSON object")
        return actions

    def _check_commit(self, name: str, version: int, sizes: Mapping[str, int]) -> None:
        if self.files.checked:
            return
        sidecar = f".{name}.crc"
        if sidecar not in sizes:  # written by an engine that keeps no checksums
            self._actions(name, version)
            return
        sums, data = self._read(sidecar), self._read(name)
        step = int.from_bytes(sums[4:_CRC_HEADER], "big")
        if not sums.startswith(b"crc\0") or step == 0:
            self._actions(name, version)
            return
        found = b"".join(zlib.crc32(data[at : at + step]).to_bytes(4, "big") for at in range(0, len(data), step))
        if found != sums[_CRC_HEADER:]:
            raise self._corrupt(name, version, f"does not hold the bytes that were written (checksum {sidecar})")

    def _read(self, name: str) -> bytes:
        return self.files.read(f"{self.folder}/{name}")

    def _corrupt(self, name: str, version: int, what: str) -> CorruptFile:
        file = f"{self.folder}/{name}"
        back = (
            f"delete it, its .crc and all later commits to go back to version {version - 1}" if version else "rebuild the table"
        )
        return CorruptFile(
            f"{file} (table version {version}) {what}: restore it from a backup, or {back}", path=file, version=version
        )


def _versions(names: Mapping[str, int], pattern: re.Pattern[str]) -> dict[int, str]:
    return {int(m[1]): name for name in names if (m := pattern.fullmatch(name))}


def info_of(actions: Iterable[Action]) -> Action:
    """What a commit says of itself (``commitInfo``); empty when it says nothing."""
    found: Iterator[Action] = (action["commitInfo"] for action in actions if "commitInfo" in action)
    return next(found, {})


def is_txn(action: Action, app: str, number: int) -> bool:
    """Whether it says that the commit is the ``number``-th of ``app``."""
    txn = action.get("txn")
    return txn is not None and txn["appId"] == app and txn["version"] == number


def changes_rows(action: Action) -> bool:
    """Whether rows or columns are others after it; compaction puts the same rows into other files."""
    file = action.get("add") or action.get("remove") or {}
    return bool(file.get("dataChange")) or "metaData" in action
