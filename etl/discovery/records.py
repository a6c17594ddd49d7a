"""Records to discover rules from: those of a text file, or of a raw table."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq

from core.contracts import TableName
from core.errors import SourceError
from core.lake.catalog import Lake

_LONGEST = 1 << 20


def of_file(path: Path, most: int) -> list[str]:
    """The first ``most`` lines of a text file; those that are no UTF-8 are left out. Raises SourceError."""
    try:
        with path.open("rb") as file:
            return list(islice(_texts(iter(lambda: file.readline(_LONGEST), b"")), most))
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}: name a text file, or a table as raw.name") from error


def of_table(lake: Lake, table: TableName, most: int) -> list[str]:
    """Up to ``most`` records of a raw table; those that are no UTF-8 are left out. Raises TableError when there is none."""
    return list(islice(_texts(_values(lake, table)), most))


def _values(lake: Lake, table: TableName) -> Iterator[bytes]:
    for place in lake.snapshot(table).files:
        for batch in pq.ParquetFile(io.BytesIO(lake.files.read(place))).iter_batches(columns=["value"]):
            yield from (value for value in batch.column(0).to_pylist() if value is not None)


def _texts(values: Iterator[bytes]) -> Iterator[str]:
    for value in values:
        try:
            text = value.rstrip(b"\r\n").decode()
        except UnicodeDecodeError:
            continue  # rules would quarantine it: they read UTF-8
        if text.strip():
            yield text
