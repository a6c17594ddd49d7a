"""No two rows of a table may have the same key."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from etl.rules.checks.batch import Batch, BatchSpec


class Unique(BatchSpec):
    """Fails when a key stands twice among the new rows or, with ``scope: table``, is in the table already.

    ``scope: table`` reads the key columns of the whole table each time; ``scope: batch`` costs what the new rows cost. Keys
    with a null are not compared, as in SQL.
    """

    kind: Literal["unique"]
    columns: tuple[str, ...] = Field(min_length=1)
    scope: Literal["table", "batch"] = "table"

    def problem(self, batch: Batch) -> str | None:
        """What is wrong with the new rows; None when nothing is."""
        keys = batch.rows.select(*self.columns).dropna()
        twice = keys.groupBy(*self.columns).count().where("count > 1").limit(1)
        present = batch.read(batch.into) if self.scope == "table" else None
        if present is not None:
            there = present.select(*self.columns).join(keys, list(self.columns), "left_semi").limit(1)
            twice = twice.drop("count").union(there)
        found = twice.head()
        if found is None:
            return None
        shown = ", ".join(f"{name} {found[name]}" for name in self.columns)
        return f"more than one row has {shown}"
