"""Which tables there are, where they lie, and what their logs say. Works without Spark and without a running process."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, DeltaProtocolError, TableNotFoundError

from core.contracts import Layer, TableName
from core.database.engine import MYSQL, address
from core.errors import ConfigError, CorruptFile, TableError
from core.hadoop import client_options
from core.lake import live
from core.lake.files import Files, HdfsFiles, LocalFiles, hdfs_failures
from core.lake.lock import FileLocks, Locks, MySqlLocks
from core.lake.log import Action, Log, changes_rows, info_of, is_txn
from core.settings import Settings

_STEP = {
    Layer.RAW: "ingest",
    Layer.EXTRACTED: "extract",
    Layer.QUARANTINE: "extract",
    Layer.FEATURES: "standardize",
    Layer.SCORED: "score",
}


@dataclass(frozen=True, slots=True)
class TableInfo:
    """One table at its newest version: ``bytes`` of its live data files, ``updated`` the time of the newest commit in UTC."""

    name: TableName
    version: int
    rows: int
    files: int
    bytes: int
    updated: datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The live files of one version: absolute paths or URLs, sorted, so that the same version gives the same order."""

    version: int
    files: tuple[str, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class Lake:
    """Delta tables under ``root``, a folder or an ``hdfs://`` URL; nothing need exist yet.

    ``options`` are those of a client of HDFS, ``locks`` what writers take (default: files of this machine below ``root``).
    """

    root: Path | str
    options: Mapping[str, str] = field(default_factory=dict)
    locks: Locks | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The lake that the settings name. On HDFS writers lock in the configuration database when that is MySQL, else here."""
        root = settings.locate(settings.lake.root).rstrip("/")
        if "://" not in root:
            return cls(Path(root))
        if urlsplit(root).scheme != "hdfs" or not urlsplit(root).netloc:
            raise ConfigError(f"lake.root {root!r}: write a folder, or hdfs://HOST:PORT/folder")
        return cls(root, client_options(settings), _locks_of(settings, root))

    @property
    def local(self) -> bool:
        """Whether the lake is a folder of this machine."""
        return isinstance(self.root, Path)

    @property
    def files(self) -> Files:
        """The files of the lake."""
        return LocalFiles() if isinstance(self.root, Path) else HdfsFiles(urlsplit(self.root).netloc, self.options)

    def path(self, table: TableName) -> str:
        """The table's folder, an absolute path or a URL."""
        return f"{self.place}/{table.layer}/{table.name}"

    @property
    def place(self) -> str:
        """The root, an absolute path or a URL."""
        return str(self.root.absolute()) if isinstance(self.root, Path) else self.root

    def exists(self, table: TableName) -> bool:
        """Whether the table has a commit."""
        return self.log(table).has_commit()

    def names(self) -> list[TableName]:
        """Every table, sorted by layer and name."""
        files = self.files
        found = (TableName(layer, name) for layer in Layer for name in files.folders(f"{self.place}/{layer}"))
        return sorted(table for table in found if _is_name(table) and self.exists(table))

    def version(self, table: TableName) -> int | None:
        """The newest version, 0 for the first; None when there is no such table."""
        return self._open(table).version() if self.exists(table) else None

    def rows_version(self, table: TableName, version: int | None = None) -> int | None:
        """The version, up to ``version`` (default: the newest), since which the rows and columns are what they are.

        Compacting a table makes a version that changes neither: what was made from the table is not made again for it.
        None when there is no such table.
        """
        if not self.exists(table):
            return None
        self.check(table, version)
        number = 0
        for number, _, actions in self.history(table):
            if (version is None or number <= version) and any(map(changes_rows, actions)):
                break
        return number

    def history(self, table: TableName) -> Iterator[tuple[int, datetime | None, list[Action]]]:
        """(version, its time in UTC, what it did) of each commit in the log, newest first, each read when it is asked for."""
        for number, actions in self.log(table).commits_backwards():
            stamp = info_of(actions).get("timestamp")
            yield number, None if stamp is None else datetime.fromtimestamp(stamp / 1000, UTC), actions

    def info(self, table: TableName) -> TableInfo:
        """Rows, files and bytes as the log counts them: no data file is opened. Raises TableError when there is no such table."""
        delta = self._open(table)
        adds = delta.get_add_actions()
        _, when, _ = next(self.history(table))
        return TableInfo(
            name=table,
            version=delta.version(),
            rows=sum(live.rows(adds)) - live.deleted(delta),
            files=adds.num_rows,
            bytes=sum(live.values(adds, "size_bytes")),
            updated=when or datetime.fromtimestamp(0, UTC),
        )

    def number(self, table: TableName, app: str) -> int:
        """The highest number (Delta ``txnVersion``) that ``app`` has committed to the table; 0 when there is none."""
        return (self._open(table).transaction_version(app) or 0) if self.exists(table) else 0

    def facts(self, table: TableName, app: str) -> dict[str, Any] | None:
        """What ``app`` wrote about its newest commit, whoever committed after it; None when it never committed.

        The facts are in that commit's file, which tables of ours keep for ten years. Where a cleaned log lost it (Delta's
        ``logRetentionDuration`` was lowered and ``app`` rested longer) this raises TableError: to start anew would double rows.
        """
        number = self.number(table, app)
        if number == 0:
            return None
        for _, _, actions in self.history(table):
            if any(is_txn(action, app, number) for action in actions):
                return _facts(actions, table, app)
        raise TableError(
            f"{table}: the commit of {app!r} number {number} is no longer in the log, so its position is lost: "
            "restore _delta_log from a backup, or ingest into a new table",
            table=str(table),
            app=app,
        )

    def exclusive(self, table: TableName, wait_s: float = 600.0) -> AbstractContextManager[None]:
        """Hold the table's write lock for a ``with`` block; other processes and threads wait up to ``wait_s`` seconds.

        Re-entrant within a thread. Raises TableError when the time is over, naming the process that holds it.
        """
        return self._locks.hold(str(table), wait_s)

    def cleaning(self, table: TableName, wait_s: float = 600.0) -> AbstractContextManager[None]:
        """As ``exclusive``, for those who take the table's unused files away, and for those who say which must stay.

        Writers do not wait for it.
        """
        return self._locks.hold(f"{table}.vacuum", wait_s)

    def engine_lock(self, table: TableName) -> Path | None:
        """The file that the JVMs of this machine lock to write the table; None on HDFS: commits exclude each other there."""
        return Path(self.place) / "_locks" / f"{table}.engine" if self.local else None

    def snapshot(self, table: TableName, version: int | None = None, partition: Mapping[str, str] | None = None) -> Snapshot:
        """The live files of a version (default: the newest), of the given partition values only.

        Raises TableError when there is no such table or version, no such partition column, or a live file has rows deleted by
        a deletion vector: a reader of files would bring those back.
        """
        delta = self._open(table, version)
        if live.deleted(delta):
            raise TableError(
                f"{table} version {delta.version()} has deletion vectors, which readers of its files would not see: "
                f"run in Spark: REORG TABLE delta.`{self.path(table)}` APPLY (PURGE)",
                table=str(table),
            )
        adds = delta.get_add_actions()
        wanted = live.in_partition(delta, adds, partition or {}, table)
        found = sorted(
            (path, rows) for path, rows, live in zip(live.values(adds, "path"), live.rows(adds), wanted, strict=True) if live
        )
        files = tuple(f"{self.path(table)}/{unquote(path)}" for path, _ in found)
        return Snapshot(delta.version(), files, sum(rows for _, rows in found))

    def data_files(self, table: TableName, version: int) -> dict[str, int]:
        """The live files of a version by their paths below the table's folder, with sizes; raises TableError as ``snapshot``."""
        self.snapshot(table, version)
        adds = self._open(table, version).get_add_actions()
        found = {
            unquote(path): size for path, size in zip(live.values(adds, "path"), live.values(adds, "size_bytes"), strict=True)
        }
        if outside := sorted(path for path in found if "://" in path or path.startswith("/")):
            raise TableError(f"{table} version {version} has a live file outside of its folder: {outside[0]}", table=str(table))
        return found

    def greatest(self, table: TableName, column: str, version: int | None = None) -> list[Any]:
        """The greatest value of a column in each live file that has rows, as the log's statistics say it: no file is opened.

        None stands for a file of which the log does not say it, or says it with rows that a deletion vector takes out.
        """
        return live.greatest(self._open(table, version), column)

    def log(self, table: TableName) -> Log:
        """The table's commit log."""
        return Log(self.files, f"{self.path(table)}/_delta_log")

    def check(self, table: TableName, version: int | None = None) -> None:
        """Raise TableError when there is no such table, CorruptFile when a commit file of the version is damaged."""
        if not self.exists(table):
            raise TableError(f"there is no table {table}: run step {_STEP[table.layer]!r} first", table=str(table))
        self.log(table).check(version)

    @property
    def _locks(self) -> Locks:
        return self.locks or FileLocks(Path(self.place) / "_locks")

    def _open(self, table: TableName, version: int | None = None) -> DeltaTable:
        newest = self.log(table).newest()
        if version is not None and newest is not None and not 0 <= version <= newest:
            raise TableError(f"{table} has no version {version}: the newest is {newest}", table=str(table), version=version)
        self.check(table, version)
        with _as_ours(table, self.path(table)):
            return DeltaTable(self.path(table), version=version, storage_options=None if self.local else dict(self.options))


def _locks_of(settings: Settings, root: str) -> Locks:
    if settings.database.url.startswith(MYSQL):
        return MySqlLocks(address(settings.database.url, settings.database.password), root)
    return FileLocks(settings.at_home(Path("locks")))


def _is_name(table: TableName) -> bool:
    try:
        return TableName.parse(str(table)) == table
    except ConfigError:
        return False


def _facts(actions: list[Action], table: TableName, app: str) -> dict[str, Any]:
    try:
        facts = json.loads(info_of(actions).get("userMetadata") or "")
    except ValueError as error:
        raise TableError(f"{table}: the commit of {app!r} carries no facts: it was not written by this platform") from error
    return dict(facts)


@contextmanager
def _as_ours(table: TableName, place: str) -> Iterator[None]:
    try:
        with hdfs_failures(place):
            yield
    except TableNotFoundError as error:
        raise TableError(f"there is no table {table}: run step {_STEP[table.layer]!r} first", table=str(table)) from error
    except DeltaProtocolError as error:
        raise TableError(f"{table} uses Delta features that are not taken: {_first_line(error)}", table=str(table)) from error
    except DeltaError as error:
        raise CorruptFile(f"the log of {table} cannot be read: {_first_line(error)}: restore _delta_log from a backup") from error


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0]
