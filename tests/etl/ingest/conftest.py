"""A home with a log to ingest, and the table it goes to."""

from pathlib import Path

import pytest

from core.contracts import TableName
from core.lake.catalog import Lake
from etl.sources.files import FileSource
from etl.sources.records import Format

OPS = TableName.parse("raw.ops")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path


@pytest.fixture
def lake(home: Path) -> Lake:
    return Lake(home / "lake")


@pytest.fixture
def log(home: Path) -> FileSource:
    return FileSource(home / "in", "*.log", Format.LOG)


@pytest.fixture
def ops() -> TableName:
    return OPS
