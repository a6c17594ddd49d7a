"""Drift of features: whether the rows of today look like those that a model was trained on.

By NumPy over record batches, not by Spark: a comparison needs a sample of the reference for the edges of bins and one pass over
each side for the counts. Memory is bounded by the sample and one batch, and no JVM starts. Edges from a sample change which bins
there are, not whether counts are exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.contracts import Column
from core.errors import CorruptFile, TableError
from core.features.arrow import arrays
from core.features.column import Array
from core.lake.catalog import Lake, Snapshot
from core.stability import psi
from monitoring.bins import Bins, Counts, fit

LEAST_ROWS = 500
"""Of either side: with fewer, chance alone takes the index of 20 bins near 0.1."""
_SAMPLE = 100_000
_BATCH = 1 << 16


@dataclass(frozen=True, slots=True)
class Period:
    """Rows whose ``column``, a date or timestamp in UTC, is not before ``first``."""

    column: str
    first: date


@dataclass(frozen=True, slots=True)
class Rows:
    """One side of a comparison: ``name`` is what messages call it."""

    name: str
    lake: Lake
    snapshot: Snapshot
    period: Period | None = None


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """One column: its population stability index, and the share of missing values on both sides."""

    name: str
    psi: float
    missing_reference: float
    missing_current: float


@dataclass(frozen=True, slots=True)
class Drift:
    """Both sides' rows, and the columns by falling index."""

    reference_rows: int
    current_rows: int
    columns: tuple[ColumnDrift, ...]

    def drifted(self, threshold: float) -> list[str]:
        """The columns whose index reaches ``threshold``."""
        return [column.name for column in self.columns if column.psi >= threshold]


def compare(reference: Rows, current: Rows, columns: Sequence[Column]) -> Drift:
    """Hold ``current`` against ``reference``, column by column; the same files give the same figures.

    Raises TableError when either has fewer than 500 rows, or lacks a column.
    """
    _require(reference, reference.snapshot.rows)
    bins = {column.name: fit(values, column.dtype) for column, values in _sample(reference, columns)}
    expected, actual = _count(reference, columns, bins), _count(current, columns, bins)
    sizes = [int(next(iter(counts.values())).sum()) for counts in (expected, actual)]
    for rows, size in zip((reference, current), sizes, strict=True):
        _require(rows, size)
    found = [
        ColumnDrift(name, psi(expected[name], actual[name]), _last_share(expected[name]), _last_share(actual[name]))
        for name in bins
    ]
    return Drift(sizes[0], sizes[1], tuple(sorted(found, key=lambda column: (-column.psi, column.name))))


def last_days(rows: Rows, column: str, days: int) -> Period:
    """The last ``days`` days up to the newest ``column`` of ``rows``; raises TableError when all are null."""
    newest = [found for batch in _batches(rows, [column]) if (found := pc.max(_dates(batch, column)).as_py()) is not None]
    if not newest:
        raise TableError(f"{rows.name}: no row has a {column}, so the newest cannot be told")
    return Period(column, max(newest) - timedelta(days=days - 1))


def _require(rows: Rows, size: int) -> None:
    if size < LEAST_ROWS:
        since = f" since {rows.period.first}" if rows.period else ""
        raise TableError(
            f"{rows.name} has {size} rows{since}: at least {LEAST_ROWS} are needed to tell drift from chance: take more --days"
        )


def _sample(rows: Rows, columns: Sequence[Column]) -> Iterator[tuple[Column, Array]]:
    """Every k-th row, at most 100,000 of them."""
    step = -(-rows.snapshot.rows // _SAMPLE)
    parts: dict[str, list[Array]] = {column.name: [] for column in columns}
    seen = 0
    for batch in _batches(rows, [column.name for column in columns]):
        taken = batch.take(pa.array(np.arange(-seen % step, batch.num_rows, step)))
        seen += batch.num_rows
        for name, values in arrays(taken, columns).items():
            parts[name].append(values)
    yield from ((column, np.concatenate(parts[column.name])) for column in columns)


def _count(rows: Rows, columns: Sequence[Column], bins: dict[str, Bins]) -> dict[str, Counts]:
    totals = {
        column.name: bins[column.name].count(np.empty(0, object if column.dtype == "string" else float)) for column in columns
    }
    for batch in _batches(rows, [column.name for column in columns]):
        for name, values in arrays(batch, columns).items():
            totals[name] += bins[name].count(values)
    return totals


def _batches(rows: Rows, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The record batches of the rows' files in order, of the period only."""
    wanted = list(dict.fromkeys([*names, *([rows.period.column] if rows.period else [])]))
    for path in rows.snapshot.files:
        try:
            with rows.lake.files.open(path) as file:
                parquet = pq.ParquetFile(file)
                if absent := sorted(set(wanted) - set(parquet.schema_arrow.names)):
                    raise TableError(f"{rows.name} has no column {', '.join(absent)}: standardize the table anew")
                for batch in parquet.iter_batches(_BATCH, columns=wanted):
                    yield _within(batch, rows.period)
        except pa.ArrowException as error:
            raise CorruptFile(f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}", path=path) from error


def _within(batch: pa.RecordBatch, period: Period | None) -> pa.RecordBatch:
    if period is None:
        return batch
    return batch.filter(pc.greater_equal(_dates(batch, period.column), pa.scalar(period.first, pa.date32())))


def _dates(batch: pa.RecordBatch, column: str) -> pa.Array:
    values = batch.column(column)
    if not pa.types.is_temporal(values.type):
        raise TableError(f"column {column!r} is {values.type}, and a period needs a date or a timestamp", column=column)
    return pc.cast(values, pa.date32(), safe=False)


def _last_share(counts: Counts) -> float:
    return float(counts[-1] / counts.sum())
