"""What no rule takes: its share in each extraction, as the table's log counts it, and the records, as quarantine keeps them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

import pyarrow.parquet as pq

from core.contracts import TableName
from core.lake.catalog import Lake
from core.lake.log import info_of
from etl.discovery.records import Records, texts

REASON: Final = "no_rule"
_COMMITS: Final = 100


@dataclass(frozen=True, slots=True)
class Extraction:
    """One extraction: it read the raw batches ``after`` < batch ≤ ``upto``; of its records no rule took ``unmatched``."""

    after: int
    upto: int
    records: int
    unmatched: int


def extractions(lake: Lake, table: TableName, app: str) -> list[Extraction]:
    """The last 100 extractions of ``app`` into a table, newest first. Raises TableError when there is no such table."""
    lake.check(table)
    return list(islice(_extractions(lake, table, app), _COMMITS))


def unmatched(lake: Lake, quarantine: TableName, since: Extraction, most: int) -> Records:
    """Up to ``most`` records that no rule took, in that extraction or a later one; those that are no UTF-8 are left out."""
    return list(islice(texts(_raw(lake, quarantine, since.after)), most))


def _extractions(lake: Lake, table: TableName, app: str) -> Iterator[Extraction]:
    for _, _, actions in lake.history(table):
        if any(action.get("txn", {}).get("appId") == app for action in actions):
            facts = json.loads(info_of(actions).get("userMetadata") or "{}")
            if {"from", "to", "rows_in", "reasons"} <= facts.keys():
                yield Extraction(facts["from"], facts["to"], facts["rows_in"], facts["reasons"].get(REASON, 0))


def _raw(lake: Lake, quarantine: TableName, after: int) -> Iterator[tuple[int, bytes]]:
    names = ["_offset", "_batch", "reason", "raw"]
    for place in lake.snapshot(quarantine).files:
        for batch in pq.ParquetFile(io.BytesIO(lake.files.read(place))).iter_batches(columns=names):
            for row in batch.to_pylist():
                if row["reason"] == REASON and row["_batch"] > after and row["raw"] is not None:
                    yield row["_offset"], row["raw"]
