"""Take away the data files that no version within the retention time and no held version names.

Delta's own VACUUM knows no holds. What goes is decided in ``retention``, from the log and a listing of the table's folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

from core.contracts import Layer, TableName
from core.errors import TableError
from core.lake.catalog import Lake
from core.lake.files import File
from core.lake.holds import Hold, Holds
from core.lake.retention import oldest_kept, removable


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """What a vacuum took from a table, or would take: ``kept_from`` is the oldest version that stays readable unheld."""

    table: TableName
    files: tuple[File, ...]
    kept_from: int
    held: tuple[Hold, ...]

    @property
    def bytes(self) -> int:
        """The bytes of those files."""
        return sum(file.size for file in self.files)


def vacuum(holds: Holds, table: TableName, cutoff: datetime, more: Sequence[Hold] = (), *, dry_run: bool = False) -> Vacuumed:
    """Remove the files that are older than ``cutoff`` and that no version names which was current since then or is held.

    Held are the versions that ``holds`` and ``more`` name and, of a feature table, the version that the next training reads.
    Readers and writers go on meanwhile. Killed anywhere and run again, it takes the rest. Raises TableError, and removes
    nothing, when a held version is not in the log: its files cannot be told from others then.
    """
    lake = holds.lake
    with lake.cleaning(table):
        held = [*holds.of_table(table), *(hold for hold in more if hold.table == table), *_dataset(lake, table)]
        first = oldest_kept(((version, when) for version, when, _ in lake.history(table)), cutoff)
        live = _live(lake, table, first) | _held(lake, table, held)
        files = removable(lake.files.walk(lake.path(table)), live, cutoff)
        if not dry_run:
            for file in files:
                lake.files.remove(f"{lake.path(table)}/{file.path}")
    return Vacuumed(table, tuple(files), first, tuple(sorted(held)))


def _dataset(lake: Lake, table: TableName) -> list[Hold]:
    """What the next training reads stays, also when compaction made newer files of the same rows."""
    version = lake.rows_version(table) if table.layer is Layer.FEATURES else None
    return [] if version is None else [Hold(table, version, "newest dataset", "maas")]


def _live(lake: Lake, table: TableName, first: int) -> set[str]:
    """The files of version ``first`` and of all later ones, as paths below the table's folder."""
    paths = set(_files(lake, table, first))
    for version, _, actions in lake.history(table):
        if version <= first:
            break
        paths |= {unquote(path) for path in _added(actions)}
    return paths


def _held(lake: Lake, table: TableName, held: Iterable[Hold]) -> set[str]:
    paths: set[str] = set()
    for hold in held:
        try:
            paths |= set(_files(lake, table, hold.version))
        except TableError as error:
            raise TableError(
                f"{table} is not vacuumed: {hold.by} holds version {hold.version} ({hold.reason}), and {error.message}: restore "
                "_delta_log from a backup, or give that hold up",
                table=str(table),
                version=hold.version,
            ) from error
    return paths


def _added(actions: Iterable[Mapping[str, object]]) -> Iterable[str]:
    files = (action["add"] for action in actions if "add" in action)
    return (str(file["path"]) for file in files if isinstance(file, Mapping))


def _files(lake: Lake, table: TableName, version: int) -> Iterable[str]:
    folder = f"{lake.path(table)}/"
    return (file.removeprefix(folder) for file in lake.snapshot(table, version).files)
