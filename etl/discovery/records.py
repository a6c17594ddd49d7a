"""Records to discover rules from, each with its offset: those of a text file, or of a raw table."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from core.contracts import TableName
from core.errors import SourceError
from core.lake.catalog import Lake

Records = list[tuple[int, str]]
_LONGEST: Final = 1 << 20


def of_file(path: Path, most: int) -> Records:
    """The first ``most`` lines of a text file; those that are no UTF-8 are left out. Raises SourceError."""
    with as_ours(path):
        return list(islice(texts(lines_between(path, 0, None)), most))


def of_table(lake: Lake, table: TableName, most: int) -> Records:
    """Up to ``most`` records of a raw table; those that are no UTF-8 are left out. Raises TableError when there is none."""
    return list(islice(texts(_values(lake, table)), most))


def header_of(lake: Lake, table: TableName) -> str | None:
    """The header line that the first records of a raw table came with, if they did."""
    for place in lake.snapshot(table).files:
        for batch in pq.ParquetFile(io.BytesIO(lake.files.read(place))).iter_batches(columns=["_header"], batch_size=1):
            value = batch.column(0)[0].as_py()
            return next((text for _, text in texts([(0, value)])), None) if value is not None else None
    return None


@contextmanager
def as_ours(path: Path) -> Iterator[None]:
    """Raise what a file raises in the block as SourceError."""
    try:
        yield
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}: name a text file, or a table as raw.name") from error


def lines_between(path: Path, start: int, end: int | None) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that begin between two places in it, with where they begin; pieces of those longer than a MiB."""
    with path.open("rb") as file:
        at = max(start - 1, 0)
        file.seek(at)
        while start and (skipped := file.readline(_LONGEST)):
            at += len(skipped)
            if skipped.endswith(b"\n"):
                break
        while (end is None or at < end) and (line := file.readline(_LONGEST)):
            yield at, line
            at += len(line)


def texts(values: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, str]]:
    """The records that are text: rules would quarantine what is no UTF-8, and blank lines say nothing."""
    for offset, value in values:
        try:
            text = value.rstrip(b"\r\n").decode()
        except UnicodeDecodeError:
            continue
        if text.strip():
            yield offset, text


def _values(lake: Lake, table: TableName) -> Iterator[tuple[int, bytes]]:
    for place in lake.snapshot(table).files:
        for batch in pq.ParquetFile(io.BytesIO(lake.files.read(place))).iter_batches(columns=["_offset", "value"]):
            pairs = zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True)
            yield from ((offset, value) for offset, value in pairs if value is not None)
