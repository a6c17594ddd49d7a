"""A table's commit log put back from a copy, when the data files that it names are there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Self
from urllib.parse import unquote

from core.contracts import TableName
from core.errors import CorruptFile, TableError
from core.lake.catalog import Lake
from core.lake.lock import hold_engine
from core.lake.log import Log, checksum_file

_ENGINE_WAIT_S = 120.0
_COMMIT, _CHECKPOINT = ".json", ".parquet"
_LOG, _NEW = "_delta_log", "_delta_log.new"  # engines pass over folders that begin with _


@dataclass(frozen=True, slots=True)
class LogCopy:
    """What is known of a copied log: its last version, SHA-256 of commits and checkpoint, live data files with their sizes."""

    version: int
    commits: Mapping[int, str]
    checkpoint: Mapping[str, str]
    data: Mapping[str, int]

    def to_document(self) -> dict[str, Any]:
        """As JSON takes it."""
        commits = {str(number): digest for number, digest in self.commits.items()}
        return {"version": self.version, "commits": commits, "checkpoint": dict(self.checkpoint), "data": dict(self.data)}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """What ``to_document`` gave."""
        commits = {int(number): str(digest) for number, digest in document["commits"].items()}
        return cls(int(document["version"]), commits, dict(document["checkpoint"]), dict(document["data"]))

    @classmethod
    def of(cls, version: int, digests: Mapping[str, str], data: Mapping[str, int]) -> Self:
        """Of the digests of a log's files by name."""
        commits = {int(name.removesuffix(_COMMIT)): digest for name, digest in digests.items() if name.endswith(_COMMIT)}
        return cls(version, commits, {name: digest for name, digest in digests.items() if name.endswith(_CHECKPOINT)}, data)


@dataclass(frozen=True, slots=True)
class Plan:
    """A log that is to be put in place: the copy's files, and after them the commits ``later`` of the log that is there."""

    table: TableName
    version: int
    later: Mapping[int, bytes]


@contextmanager
def alone(lake: Lake, table: TableName) -> Iterator[None]:
    """Keep all writers of ours from the table for the block, Spark engines of killed runs too."""
    with lake.exclusive(table):
        engine = lake.engine_lock(table)
        if engine is None:
            yield
            return
        with hold_engine(engine, str(table), _ENGINE_WAIT_S):
            yield


def digest_file(data: bytes) -> str:
    """The SHA-256 that ``LogCopy`` holds of a file."""
    return hashlib.sha256(data).hexdigest()


def plan_recovery(lake: Lake, table: TableName, copy: LogCopy, *, back: bool) -> Plan | None:
    """What is to be done so that the table is at the copy's version, or at its own when commits followed; None for nothing.

    Raises TableError, and nothing is to be done, when data files are missing; and unless ``back`` when the table is whole and
    newer, when commits after the copy are damaged too, or when a commit of the copy is another one in the table.
    """
    log = lake.log(table)
    newest = max(log.versions(), default=-1)
    broken = _broken(lake, table, copy, back=back)
    later = dict(log.intact(range(copy.version + 1, newest + 1)))
    if back and later:
        broken, later = True, {}
    if lost := [number for number, data in later.items() if data is None]:
        raise TableError(
            f"{table} is damaged in commit {lost[0]}, which is not in the backup: restore it by name with --force "
            f"to go back to version {copy.version}",
            table=str(table),
        )
    if later and not broken:
        raise TableError(
            f"{table} is whole, at version {newest}, and the backup has {copy.version}: left as it is; "
            "restore it by name with --force to go back",
            table=str(table),
        )
    kept = {number: data for number, data in later.items() if data is not None}
    _require_data(lake, table, copy.version + len(kept), _live(copy, kept))
    return Plan(table, copy.version + len(kept), kept) if broken else None


def put_log(lake: Lake, plan: Plan, copied: Iterable[tuple[str, bytes]]) -> str | None:
    """Put the log in place: written beside the old one, read back, then renamed. To be called within ``alone``.

    Returns the folder in which the old log is kept, None when there was none. When it was broken off between the two renames
    there is no log, and the same again completes it.
    """
    files, folder = lake.files, lake.path(plan.table)
    new, old = f"{folder}/{_NEW}", f"{folder}/{_LOG}"
    files.remove_folder(new)
    for name, data in chain(copied, ((f"{number:020}.json", data) for number, data in plan.later.items())):
        files.write(f"{new}/{name}", data)
        if not files.checked:
            files.write(f"{new}/.{name}.crc", checksum_file(data))
    Log(files, new).check(plan.version)
    kept = None
    if files.sizes(old):
        kept = f"{_LOG}.before-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
        files.rename(old, f"{folder}/{kept}")
    files.rename(new, old)
    return kept


def _broken(lake: Lake, table: TableName, copy: LogCopy, *, back: bool) -> bool:
    """Whether commits of the copy are lost or damaged in the table, or engines do not read its log.

    A commit that differs is damaged when one after it does not; else the table went another way from there.
    """
    broken, parted = False, None
    for number, data in lake.log(table).intact(copy.commits):
        if data is not None and digest_file(data) == copy.commits[number]:
            parted = None
        else:
            broken, parted = True, number if data is not None else parted
    if parted is not None and not back:
        raise TableError(
            f"{table} version {parted} is not the backup's: the table was written anew since, or is another: "
            "restore it by name with --force to put the backup's log in place",
            table=str(table),
        )
    try:
        return broken or _other_checkpoint(lake, table, copy) or lake.version(table) is None
    except CorruptFile:
        return True


def _other_checkpoint(lake: Lake, table: TableName, copy: LogCopy) -> bool:
    """Whether a checkpoint of the copy is there with other bytes: delta-rs would read it without a word."""
    folder = f"{lake.path(table)}/{_LOG}"
    there = copy.checkpoint.keys() & lake.files.sizes(folder).keys()
    return any(digest_file(lake.files.read(f"{folder}/{name}")) != copy.checkpoint[name] for name in there)


def _live(copy: LogCopy, later: Mapping[int, bytes]) -> dict[str, int]:
    data = dict(copy.data)
    for commit in later.values():
        actions = [json.loads(line) for line in commit.splitlines() if line.strip()]
        for removed in (action["remove"] for action in actions if "remove" in action):
            data.pop(unquote(removed["path"]), None)
        data |= {unquote(added["path"]): added["size"] for added in (action["add"] for action in actions if "add" in action)}
    return data


def _require_data(lake: Lake, table: TableName, version: int, data: Mapping[str, int]) -> None:
    folders: dict[str, dict[str, int]] = {}
    lost = []
    for path, size in sorted(data.items()):
        folder, _, name = f"{lake.path(table)}/{path}".rpartition("/")
        if folder not in folders:
            folders[folder] = lake.files.sizes(folder)
        if (found := folders[folder].get(name)) != size:
            lost.append(path if found is None else f"{path} ({found} of {size} bytes)")
    if lost:
        raise TableError(
            f"{table} lacks {len(lost)} of the {len(data)} data files of version {version}: {', '.join(lost[:3])}"
            f"{', …' if len(lost) > 3 else ''}: bring them back, or run the pipeline",  # noqa: PLR2004 — the three that are named
            table=str(table),
            missing=lost,
        )
