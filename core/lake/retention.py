"""Which data files of a table nobody may read any more: pure decisions; the listing and the deleting are done elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from core.errors import TableError
from core.lake.files import File

_HIDDEN = ("_", ".")
_SIDECAR = ".crc"


def oldest_kept(commits: Iterable[tuple[int, datetime | None]], cutoff: datetime) -> int:
    """The version that was the newest one at ``cutoff``: every later one was current since, so readers may hold it.

    ``commits`` are (version, time) from the newest back, and are read no further than needed. One whose time is not known
    counts as young. When all are younger than ``cutoff`` it is the first that there is.
    """
    version = 0
    for version, when in commits:  # noqa: B007 — the last one seen is the answer
        if when is not None and when <= cutoff:
            break
    return version


def removable(found: Iterable[File], live: Collection[str], cutoff: datetime) -> list[File]:
    """The data files that no kept version names and that have not changed since ``cutoff``, with their checksum files, by path.

    ``live`` are paths below the table's folder, as they stand on disk. A younger file may be one that a writer is about to
    commit. What is no data file (the log, hidden folders, files of another kind) is none of a vacuum's business.
    Raises TableError when a live path is no path below the folder: then it cannot be told which file it means.
    """
    if strange := sorted(path for path in live if "://" in path or path.startswith("/")):
        raise TableError(f"{strange[0]}: a table whose log names files by their whole place is not vacuumed: was it cloned?")
    kept = set(live)
    files = {file.path: file for file in found}
    doomed = [f for f in files.values() if _is_data(f.path) and f.path not in kept and f.modified < cutoff.timestamp()]
    sidecars = (files.get(_sidecar(file.path)) for file in doomed)
    return sorted([*doomed, *(file for file in sidecars if file is not None)])


def _is_data(path: str) -> bool:
    """Whether it is a Parquet file in no hidden folder; as in Delta's own VACUUM, a partition's folder may begin with ``_``."""
    *folders, name = path.split("/")
    hidden = any(folder.startswith(_HIDDEN) and "=" not in folder for folder in folders)
    return not hidden and not name.startswith(_HIDDEN) and name.endswith(".parquet")


def _sidecar(path: str) -> str:
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}.{name}{_SIDECAR}"
