"""No two rows of a table may have the same key."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pyspark.sql import DataFrame

from etl.rules.checks.check import CheckSpec


class Unique(CheckSpec):
    """Stops the step when a key stands twice among the new rows or, with ``scope: table``, is in the table already.

    ``scope: table`` reads the key columns of the whole table each time; ``scope: batch`` costs what the new rows cost. Keys
    with a null are not compared, as in SQL.
    """

    kind: Literal["unique"]
    columns: tuple[str, ...] = Field(min_length=1)
    scope: Literal["table", "batch"] = "table"

    def problem(self, rows: DataFrame, present: DataFrame | None) -> str | None:
        """What is wrong with the new ``rows``, given those ``present``; None when nothing is."""
        keys = rows.select(*self.columns).dropna()
        twice = keys.groupBy(*self.columns).count().where("count > 1").limit(1)
        if present is not None and self.scope == "table":
            there = present.select(*self.columns).join(keys, list(self.columns), "left_semi").limit(1)
            twice = twice.drop("count").union(there)
        found = twice.head()
        if found is None:
            return None
        shown = ", ".join(f"{name} {found[name]}" for name in self.columns)
        return f"more than one row has {shown}"
