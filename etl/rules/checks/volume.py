"""A batch must have at least so many rows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from etl.rules.checks.batch import Batch, BatchSpec


class Volume(BatchSpec):
    """Fails when fewer than ``min`` of the new raw rows became rows."""

    kind: Literal["volume"]
    min: int = Field(ge=1)

    def problem(self, batch: Batch) -> str | None:
        """What is wrong with the new rows; None when nothing is."""
        return None if batch.size >= self.min else f"{batch.size:,} rows, fewer than {self.min:,}"
