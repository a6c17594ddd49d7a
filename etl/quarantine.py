"""What lies in quarantine, read without Spark, in bounded memory."""

from __future__ import annotations

import heapq
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

from core.contracts import TableName
from core.lake.catalog import Lake

_COUNTED = ("rule", "reason", "_batch")
_SHOWN = ("_batch", "_source", "_offset", "rule", "reason", "message", "raw")


@dataclass(frozen=True, slots=True)
class Held:
    """A record in quarantine: where it came from, the rule that took it (None: none did), what is wrong, and its bytes."""

    batch: int
    source: str
    offset: int
    rule: str | None
    reason: str
    message: str
    raw: bytes | None


def newest(lake: Lake, table: TableName, limit: int, reason: str | None = None) -> list[Held]:
    """The last ``limit`` records, of one reason where it is given, the newest batch first. Raises TableError."""
    found = (Held(*row.values()) for row in _rows(lake, table, _SHOWN) if reason in (None, row["reason"]))
    return heapq.nsmallest(limit, found, key=lambda held: (-held.batch, held.source, held.offset))


def counts(lake: Lake, table: TableName) -> dict[tuple[str | None, str, int], int]:
    """How many records by rule, reason and batch, most first. Raises TableError when there is no such table."""
    found = Counter((row["rule"], row["reason"], row["_batch"]) for row in _rows(lake, table, _COUNTED))
    return dict(found.most_common())


def _rows(lake: Lake, table: TableName, columns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    for place in lake.snapshot(table).files:
        for batch in pq.ParquetFile(io.BytesIO(lake.files.read(place))).iter_batches(columns=list(columns)):
            yield from batch.select(list(columns)).to_pylist()
