"""Distance from the mean in standard deviations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from core.features.affine import Affine
from core.features.column import ColumnMoments
from core.features.transform import Need


@dataclass(frozen=True, slots=True)
class ZScore(Affine):
    """``(x - mean) / standard deviation`` of the population. Missing, a constant column and an empty table give 0.0."""

    kind = "zscore"
    need = Need.NUMBERS

    @classmethod
    def fit(cls, column: ColumnMoments, options: Mapping[str, Any]) -> Self:  # noqa: ARG003
        """From the mean and the deviation."""
        numbers = column.numbers
        scale = 1.0 / numbers.deviation if numbers.deviation else 0.0
        return cls(column.dtype, center=numbers.mean, scale=scale, offset=0.0, fill=0.0)
