"""Whether there is a value at all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from core.contracts import Dtype
from core.features.column import Array, ColumnMoments
from core.features.sql import finite, name, number_in
from core.features.transform import Transform


@dataclass(frozen=True, slots=True)
class Missing(Transform):
    """1.0 where the value is null, NaN or infinite, else 0.0."""

    kind = "missing"
    takes = frozenset(Dtype)

    @classmethod
    def fit(cls, column: ColumnMoments, options: Mapping[str, Any]) -> Self:  # noqa: ARG003
        """Nothing is learnt."""
        return cls(column.dtype)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The kind alone."""
        return ("missing",)

    def write(self, values: Array, out: Array) -> None:
        """Text is missing where it is None."""
        out[:, 0] = [value is None for value in values] if self.dtype is Dtype.STRING else ~np.isfinite(values)

    def cells(self, value: Any) -> Sequence[float]:
        """One comparison."""
        known = value is not None if self.dtype is Dtype.STRING else math.isfinite(value)
        return (0.0 if known else 1.0,)

    def sql(self, column: str) -> tuple[str, ...]:
        """One case."""
        known = f"{name(column)} IS NOT NULL" if self.dtype is Dtype.STRING else finite(number_in(column))
        return (f"CASE WHEN {known} THEN 0.0D ELSE 1.0D END",)
