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

from core.errors import CorruptFile, TableError
from core.lake.files import Files

_COMMIT = re.compile(r"([0-9]{20})\.json")
_CHECKPOINT = re.compile(r"([0-9]{20})\.checkpoint\..*parquet")
_CRC_HEADER = 8
_CRC_MAGIC = b"crc\0"
_LAST_CHECKPOINT = "_last_checkpoint"
_SIDECARS = "_sidecars"

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

    def versions(self) -> list[int]:
        """The versions whose commit files are there, ascending."""
        return sorted(_versions(self.files.sizes(self.folder), _COMMIT))

    def check(self, version: int | None = None) -> None:
        """Hold each file of the log that version ``version`` (default: the newest) is read from against its checksum.

        Engines skip an empty commit file without a word, and the rows it added are gone. Raises CorruptFile naming file and
        version.
        """
        sizes = self.files.sizes(self.folder)
        commits = _versions(sizes, _COMMIT)
        last = max(commits, default=-1) if version is None else version
        base = max((v for v in _versions(sizes, _CHECKPOINT) if v <= last), default=-1)
        for part in _files_of(base, sizes):
            self._checked(part, base, sizes)
        for number in range(base + 1, last + 1):
            name = commits.get(number)
            if name is None:
                raise self._corrupt(f"{number:020}.json", number, "is missing")
            if sizes[name] == 0:
                raise self._corrupt(name, number, "is empty")
            self._check_commit(name, number, sizes)

    def copy(self, version: int) -> Iterator[tuple[str, bytes]]:
        """Name and bytes of each file that ``version`` and what is left of the versions before it are read from.

        All commits, the newest checkpoint, and what engines note of both. Each is held against its checksum: raises CorruptFile.
        """
        self.check(version)
        sizes = self.files.sizes(self.folder)
        if _SIDECARS in sizes:
            raise TableError(
                f"{self.folder} has checkpoints with sidecars (v2Checkpoint), which are not taken: drop that feature"
            )
        for number, name in sorted(_versions(sizes, _COMMIT).items()):
            if number <= version:
                yield name, self._commit(name, number, sizes)
        base = max((v for v in _versions(sizes, _CHECKPOINT) if v <= version), default=-1)
        for name in _files_of(base, sizes):
            yield name, self._checked(name, base, sizes)
        if f"{version:020}.crc" in sizes:
            yield f"{version:020}.crc", self._checked(f"{version:020}.crc", version, sizes)
        if base >= 0 and _LAST_CHECKPOINT in sizes:
            data = self._checked(_LAST_CHECKPOINT, version, sizes)
            if json.loads(data).get("version") == base:
                yield _LAST_CHECKPOINT, data

    def intact(self, versions: Iterable[int]) -> Iterator[tuple[int, bytes | None]]:
        """The bytes of each of these commits; None where its file is missing, empty or does not hold what was written."""
        sizes = self.files.sizes(self.folder)
        for version in versions:
            try:
                yield version, self._commit(f"{version:020}.json", version, sizes)
            except CorruptFile:
                yield version, None

    def commits_backwards(self) -> Iterator[tuple[int, list[Action]]]:
        """(version, actions) of each commit that is still in the log, newest first, each read when it is asked for.

        Raises CorruptFile when a line is no JSON object.
        """
        for version, name in sorted(_versions(self.files.sizes(self.folder), _COMMIT).items(), reverse=True):
            yield version, self._actions(name, version)

    def _actions(self, name: str, version: int) -> list[Action]:
        return self._parse(self._read(name), name, version)

    def _parse(self, data: bytes, name: str, version: int) -> list[Action]:
        try:
            actions = [json.loads(line) for line in data.splitlines() if line.strip()]
        except ValueError as error:
            raise self._corrupt(name, version, f"is not JSON: {error}") from error
        if not actions:
            raise self._corrupt(name, version, "is empty")
        if not all(isinstance(action, dict) for action in actions):
            raise self._corrupt(name, version, "holds a line that is no JSON object")
        return actions

    def _commit(self, name: str, version: int, sizes: Mapping[str, int]) -> bytes:
        if name not in sizes:
            raise self._corrupt(name, version, "is missing")
        data = self._checked(name, version, sizes)
        self._parse(data, name, version)
        return data

    def _check_commit(self, name: str, version: int, sizes: Mapping[str, int]) -> None:
        if self.files.checked:
            return
        if f".{name}.crc" in sizes:
            self._checked(name, version, sizes)
        else:  # written by an engine that keeps no checksums
            self._actions(name, version)

    def _checked(self, name: str, version: int, sizes: Mapping[str, int]) -> bytes:
        data, sidecar = self._read(name), f".{name}.crc"
        if self.files.checked or sidecar not in sizes:
            return data
        sums = self._read(sidecar)
        step = int.from_bytes(sums[4:_CRC_HEADER], "big")
        if not sums.startswith(_CRC_MAGIC) or step == 0:
            if name.endswith(".json"):
                self._actions(name, version)
        elif sums != checksum_file(data, step):
            raise self._corrupt(name, version, f"does not hold the bytes that were written (checksum {sidecar})")
        return data

    def _read(self, name: str) -> bytes:
        return self.files.read(f"{self.folder}/{name}")

    def _corrupt(self, name: str, version: int, what: str) -> CorruptFile:
        file = f"{self.folder}/{name}"
        back = "rebuild the table"
        if _CHECKPOINT.fullmatch(name):
            back = "delete it, its .crc and _last_checkpoint where all commits up to it are there"
        elif version:
            back = f"delete it, its .crc and all later commits to go back to version {version - 1}"
        return CorruptFile(
            f"{file} (table version {version}) {what}: restore it from a backup (`maas restore --table`), or {back}",
            path=file,
            version=version,
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


def _files_of(checkpoint: int, sizes: Mapping[str, int]) -> list[str]:
    return sorted(name for name in sizes if (match := _CHECKPOINT.fullmatch(name)) and int(match[1]) == checkpoint)


def checksum_file(data: bytes, step: int = 512) -> bytes:
    """What Hadoop keeps in ``.NAME.crc`` beside a file of a local file system that holds ``data``."""
    sums = (zlib.crc32(data[at : at + step]).to_bytes(4, "big") for at in range(0, len(data), step))
    return _CRC_MAGIC + step.to_bytes(4, "big") + b"".join(sums)
