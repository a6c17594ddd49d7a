"""A batch must have at least so many rows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from etl.rules.checks.check import CheckSpec


class Volume(CheckSpec):
    """Stops the step when fewer than ``min`` of the new raw rows became rows."""

    kind: Literal["volume"]
    min: int = Field(ge=1)

    def problem(self, rows: int) -> str | None:
        """What is wrong with that many rows; None when nothing is."""
        return None if rows >= self.min else f"{rows:,} rows, fewer than {self.min:,}"
