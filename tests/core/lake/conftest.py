"""A lake in a temporary folder."""

from pathlib import Path

import pytest

from core.contracts import TableName
from core.lake.catalog import Lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def flights() -> TableName:
    return TableName.parse("raw.flights")
