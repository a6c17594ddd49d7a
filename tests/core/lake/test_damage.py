"""Drill D4: a damaged data file is named with its table and version, and never read as fewer or other rows."""

import re
import shutil
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from core.contracts import TableName
from core.errors import CorruptFile
from core.lake.catalog import Lake
from core.lake.tables import append, read_table

FLIGHTS, COPY = TableName.parse("raw.flights"), TableName.parse("extracted.flights")


@pytest.fixture(scope="module")
def whole(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with one data file of each of three versions, in folders whose names need quoting."""
    lake = Lake(tmp_path_factory.mktemp("whole") / "lake")
    for number in (1, 2, 3):
        rows = spark.range(2000).coalesce(1).selectExpr("id", "uuid() AS text", f"'ä {number}' AS part")
        append(lake, rows, FLIGHTS, app="a", number=number, facts={}, partition_by=["part"])
    return Path(lake.place)


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def flip_without_checksum(file: Path) -> None:
    file.with_name(f".{file.name}.crc").unlink()
    flip(file)


DAMAGES = {
    "empty": lambda file: file.write_bytes(b""),
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-100]),
    "flipped": flip,
    "flipped, without its .crc": flip_without_checksum,
    "lost": Path.unlink,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_data_file_is_named_with_table_and_version(spark: SparkSession, whole: Path, tmp_path: Path, damage: str):
    lake = Lake(Path(shutil.copytree(whole, tmp_path / "lake")))
    (file,) = set(lake.snapshot(FLIGHTS, 1).files) - set(lake.snapshot(FLIGHTS, 0).files)
    DAMAGES[damage](Path(file))
    with pytest.raises(CorruptFile) as caught:
        append(lake, read_table(spark, lake, FLIGHTS), COPY, app="copy", number=1, facts={})
    message = caught.value.message
    assert re.search(rf"{Path(file).name} is (damaged|missing): bring it back", message), message
    assert "raw.flights has it since version 1; version 0 does without it" in message
    assert "\n" not in message
    assert not lake.exists(COPY)
    assert lake.snapshot(FLIGHTS, 0).rows == 2000
