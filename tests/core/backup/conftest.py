"""A lake with two tables and their backup, made by delta-rs alone; each test has copies of its own."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, QueryBuilder, Transaction, write_deltalake

from core.backup.archive import Writer
from core.backup.tables import write_tables
from core.contracts import TableName
from core.lake.catalog import Lake
from core.lake.recovery import alone
from core.settings import Settings, load_settings
from core.storage.local import LocalStorage

ROOT = Path(__file__).parents[3]
FLIGHTS, OPS = TableName.parse("raw.flights"), TableName.parse("raw.ops")


def grow(lake: Lake, table: TableName, numbers: range) -> None:
    """Appends a row for each number, in a commit of its own, below one of two partitions."""
    for number in numbers:
        rows = pa.table({"id": [number], "part": [f"ä b{number % 2}"]})
        facts = json.dumps({"app": "ours", "number": number, "at": number})
        with alone(lake, table):
            write_deltalake(
                lake.path(table),
                rows,
                mode="append",
                partition_by=["part"],
                storage_options=dict(lake.options),
                commit_properties=CommitProperties({"userMetadata": facts}, app_transactions=[Transaction("ours", number)]),
            )


def content(lake: Lake, table: TableName, key: str = "id", app: str = "ours") -> dict[str, Any]:
    """A table as it is read, at all its versions, and what its log says of a writer."""
    delta = DeltaTable(lake.path(table), storage_options=dict(lake.options))
    found = QueryBuilder().register("t", delta).execute(f"SELECT {key} FROM t").read_all()  # noqa: S608
    return {
        "rows": sorted(found[key].to_pylist()),
        "versions": [lake.snapshot(table, version) for version in range(delta.version() + 1)],
        "writer": (lake.number(table, app), lake.facts(table, app)),
    }


@dataclass(frozen=True)
class Kept:
    """A home with a lake and its backup."""

    home: Path

    @property
    def lake(self) -> Lake:
        return Lake(self.home / "lake")

    @property
    def place(self) -> str:
        return str(self.home / "backup")

    @property
    def settings(self) -> Settings:
        return load_settings(ROOT, "local", {"MAAS__HOME": str(self.home)})

    def log(self, table: TableName = FLIGHTS) -> Path:
        return Path(self.lake.path(table)) / "_delta_log"

    def commit(self, version: int) -> Path:
        return self.log() / f"{version:020}.json"

    def back_up(self) -> list[str]:
        shutil.rmtree(self.place, ignore_errors=True)
        writer = Writer.open(LocalStorage(Path(self.place)), self.place)
        lines = write_tables(self.lake, writer, lambda _: None)
        writer.finish({})
        return lines

    def tree(self) -> dict[str, bytes]:
        """All files of the tables."""
        files = (path for path in (self.home / "lake" / "raw").rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in files}


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """``raw.flights`` has seven versions, with a checkpoint at 4 and a compaction after it; ``raw.ops`` has one."""
    kept = Kept(tmp_path_factory.mktemp("first"))
    grow(kept.lake, FLIGHTS, range(1, 6))
    delta = DeltaTable(kept.lake.path(FLIGHTS))
    delta.create_checkpoint()
    delta.optimize.compact()
    grow(kept.lake, FLIGHTS, range(6, 7))
    grow(kept.lake, OPS, range(1, 2))
    assert (kept.lake.version(FLIGHTS), kept.lake.version(OPS)) == (6, 0)
    assert kept.back_up() == ["2 tables with their commit logs; data files are backed up by their file system"]
    return kept


@pytest.fixture
def kept(first: Kept, tmp_path: Path) -> Kept:
    shutil.copytree(first.home, tmp_path, dirs_exist_ok=True)
    return Kept(tmp_path)
