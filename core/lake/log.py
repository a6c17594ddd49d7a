r"""A Delta table's commit log as files: whether it is whole, and what a commit says of itself.

Source: the Delta transaction log protocol (PROTOCOL.md of delta-io/delta), and for the ``.N.json.crc`` files Hadoop's
ChecksumFileSystem: ``crc\0``, the chunk size, then a CRC-32 for each chunk, all big-endian.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.errors import CorruptFile, StorageError

_COMMIT = re.compile(r"([0-9]{20})\.json")
_CHECKPOINT = re.compile(r"([0-9]{20})\.checkpoint\..*parquet")
_CRC_HEADER = 8

Action = Mapping[str, Any]


def has_commit(log: Path) -> bool:
    """Whether the folder ``_delta_log`` holds a table: a write that was killed before its first commit leaves none."""
    return bool(_versions(log, _COMMIT) or _versions(log, _CHECKPOINT))


def check_log(log: Path, version: int | None = None) -> None:
    """Hold each commit file that version ``version`` (default: the newest) is read from against its checksum.

    Engines skip an empty commit file without a word, and the rows it added are gone. Raises CorruptFile naming file and version.
    """
    commits = _versions(log, _COMMIT)
    last = max(commits, default=-1) if version is None else version
    base = max((v for v in _versions(log, _CHECKPOINT) if v <= last), default=-1)
    for number in range(base + 1, last + 1):
        file = commits.get(number)
        if file is None:
            raise _corrupt(log / f"{number:020}.json", number, "is missing")
        _check_commit(file, number)


def commits_backwards(log: Path) -> Iterator[tuple[int, Path]]:
    """(version, file) of each commit that is still in the log, newest first."""
    yield from sorted(_versions(log, _COMMIT).items(), reverse=True)


def read_actions(file: Path, version: int) -> list[Action]:
    """The actions of one commit file, in order; raises CorruptFile when a line is no JSON object."""
    try:
        actions = [json.loads(line) for line in _read(file).splitlines() if line.strip()]
    except ValueError as error:
        raise _corrupt(file, version, f"is not JSON: {error}") from error
    if not actions:
        raise _corrupt(file, version, "is empty")
    if not all(isinstance(action, dict) for action in actions):
        raise _corrupt(file, version, "holds a line that is no JSON object")
    return actions


def _versions(log: Path, pattern: re.Pattern[str]) -> dict[int, Path]:
    try:
        names = [entry.name for entry in log.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise StorageError(f"{log} cannot be read: {error.strerror}: check its permissions", path=str(log)) from error
    return {int(m[1]): log / name for name in names if (m := pattern.fullmatch(name))}


def _check_commit(file: Path, version: int) -> None:
    sidecar = file.with_name(f".{file.name}.crc")
    if not sidecar.is_file():  # written by an engine that keeps no checksums
        read_actions(file, version)
        return
    sums, data = _read(sidecar), _read(file)
    if not data:
        raise _corrupt(file, version, "is empty")
    step = int.from_bytes(sums[4:_CRC_HEADER], "big")
    if not sums.startswith(b"crc\0") or step == 0:
        read_actions(file, version)
        return
    found = b"".join(zlib.crc32(data[at : at + step]).to_bytes(4, "big") for at in range(0, len(data), step))
    if found != sums[_CRC_HEADER:]:
        raise _corrupt(file, version, f"does not hold the bytes that were written (checksum {sidecar.name})")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise StorageError(f"{file} cannot be read: {error.strerror}", path=str(file)) from error


def _corrupt(file: Path, version: int, what: str) -> CorruptFile:
    back = f"delete it, its .crc and all later commits to go back to version {version - 1}" if version else "rebuild the table"
    return CorruptFile(
        f"{file} (table version {version}) {what}: restore it from a backup, or {back}", path=str(file), version=version
    )
