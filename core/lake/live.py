"""The live files of a version, as the table's log describes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deltalake import DeltaTable

from core.contracts import TableName
from core.errors import TableError


def values(adds: Any, column: str) -> list[Any]:
    """A column of what the log says of each file."""
    return list(adds[column].to_pylist())


def rows(adds: Any) -> list[int]:
    """The rows of each file."""
    return [count or 0 for count in values(adds, "num_records")]


def deleted(delta: DeltaTable) -> int:
    """Rows that deletion vectors take out of live files."""
    masks = delta.deletion_vectors()
    return sum(mask.count(False) for batch in masks for mask in batch["selection_vector"].to_pylist())


def in_partition(delta: DeltaTable, adds: Any, partition: Mapping[str, str], table: TableName) -> list[bool]:
    """Whether each file is in the partition; raises TableError for a column that the table is not partitioned by."""
    columns = delta.metadata().partition_columns
    if unknown := sorted(set(partition) - set(columns)):
        known = ", ".join(columns) or "none"
        raise TableError(
            f"{table} is not partitioned by {', '.join(unknown)}: its partition columns are {known}", table=str(table)
        )
    if adds.num_rows == 0:
        return []
    if not partition:
        return [True] * adds.num_rows
    return [all(str(own[key]) == value for key, value in partition.items()) for own in values(adds, "partition")]


def greatest(delta: DeltaTable, column: str) -> list[Any]:
    """See Lake.greatest."""
    adds, masked = delta.get_add_actions(), bool(deleted(delta))
    tops = values(adds, "max") if "max" in adds.schema.names else [None] * adds.num_rows
    counts = values(adds, "num_records")
    return [None if masked or top is None else top.get(column) for top, count in zip(tops, counts, strict=True) if count != 0]
