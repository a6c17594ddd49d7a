"""Versions that someone says must stay readable. A hold is a file beside the tables, for whoever vacuums them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

from core.contracts import TableName
from core.errors import CorruptFile, TableError
from core.lake.catalog import Lake
from core.settings import Settings
from core.storage.open import open_storage
from core.storage.storage import Storage

_FOLDER = "_holds"
_END = ".json"


@dataclass(frozen=True, slots=True, order=True)
class Hold:
    """One version of a table that VACUUM leaves readable: why, by whom, and since when (None: not told)."""

    table: TableName
    version: int
    reason: str
    by: str
    since: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Holds:
    """The holds of a lake."""

    lake: Lake
    storage: Callable[[], Storage]
    """What holds are written by; they are read as the lake's other files."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The holds of the lake that the settings name."""
        lake = Lake.of(settings)
        return cls(lake, lambda: open_storage(f"{lake.place}/{_FOLDER}", settings))

    def add(self, table: TableName, version: int, reason: str, by: str) -> Hold:
        """Hold a version; held already, it bears the new reason.

        Raises TableError when there is no such table or version, or a vacuum has taken files of it.
        """
        hold = Hold(table, version, reason, by, datetime.now(UTC))
        with self.lake.cleaning(table):
            _require_files(self.lake, table, version)
            document = {"reason": reason, "by": by, "since": f"{hold.since:%Y-%m-%dT%H:%M:%S.%fZ}"}
            self.storage().write_atomic(_path(table, version), json.dumps(document).encode())
        return hold

    def release(self, table: TableName, version: int) -> None:
        """Hold a version no longer; raises TableError when it is not held."""
        with self.lake.cleaning(table):
            if not any(hold.version == version for hold in self.of_table(table)):
                there = ", ".join(str(hold.version) for hold in self.of_table(table)) or "none"
                raise TableError(f"{table}: version {version} is not held by `maas tables hold`; held are: {there}")
            self.storage().delete(_path(table, version))

    def all(self) -> list[Hold]:
        """Every hold, by table and version."""
        names = (TableName.parse(name) for name in self.lake.files.folders(f"{self.lake.place}/{_FOLDER}"))
        return sorted(hold for table in names for hold in self.of_table(table))

    def of_table(self, table: TableName) -> list[Hold]:
        """The holds of one table, by version; raises CorruptFile when one cannot be read: what it holds is not known then."""
        names = self.lake.files.sizes(f"{self.lake.place}/{_FOLDER}/{table}")
        return sorted(self._read(table, name) for name in names if name.endswith(_END) and not name.startswith("."))

    def _read(self, table: TableName, name: str) -> Hold:
        file = f"{self.lake.place}/{_FOLDER}/{table}/{name}"
        try:
            document = json.loads(self.lake.files.read(file))
            since = datetime.fromisoformat(document["since"])
            return Hold(table, int(name.removesuffix(_END)), document["reason"], document["by"], since)
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptFile(f"{file} is no hold: mend it, or delete it to hold that version no longer", path=file) from error


def _path(table: TableName, version: int) -> str:
    return f"{table}/{version}{_END}"


def _require_files(lake: Lake, table: TableName, version: int) -> None:
    folder = lake.path(table)
    there = {f"{folder}/{file.path}" for file in lake.files.walk(folder)}
    gone = [file for file in lake.snapshot(table, version).files if file not in there]
    if gone:
        raise TableError(
            f"{table} version {version} cannot be held: {len(gone)} of its files are gone, {gone[0]} among them: a vacuum took "
            "them; hold a newer version",
            table=str(table),
            version=version,
        )
