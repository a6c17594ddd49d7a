"""A value must lie between two bounds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Literal, Self

from pydantic import model_validator
from pyspark.sql import Column
from pyspark.sql import functions as F

from core.errors import RuleError
from etl.rules.checks.check import CheckSpec
from etl.rules.fields import FieldType

Bound = int | float | date | None

_NUMBERS = (FieldType.INT, FieldType.LONG, FieldType.DOUBLE)


class Range(CheckSpec):
    """Fails below ``min``, above ``max``, and for NaN, which is in no range. Bounds are included."""

    kind: Literal["range"]
    column: str
    min: Bound = None
    max: Bound = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a range needs min, max or both")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The field that it looks at."""
        return (self.column,)

    def verify(self, where: str, types: Mapping[str, FieldType]) -> None:
        """Raise RuleError when it cannot run."""
        kind = types[self.column]
        wanted: tuple[type, ...] = (date,) if kind is FieldType.DATE else (int, float) if kind in _NUMBERS else ()
        if any(bound is not None and type(bound) not in wanted for bound in (self.min, self.max)):
            raise RuleError(f"{where}: {self.column} is a {kind}: a range has numbers for a number, dates for a date")

    def fails(self) -> Column:
        """Whether the row fails."""
        value = F.col(self.column)
        low = F.lit(False) if self.min is None else value < F.lit(self.min)
        # Spark holds NaN for the greatest number: where there is no maximum, it has to be asked for
        high = value.cast("string") == "NaN" if self.max is None else value > F.lit(self.max)
        return low | high

    def message(self) -> Column:
        """One line about a row that fails."""
        low = "…" if self.min is None else str(self.min)
        high = "…" if self.max is None else str(self.max)
        return F.concat(F.lit(f"{self.column} is "), F.col(self.column).cast("string"), F.lit(f", outside {low} to {high}"))
