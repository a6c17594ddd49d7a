"""The number as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from core.features.affine import Affine
from core.features.column import ColumnMoments
from core.features.sql import double, number_in, when_finite


@dataclass(frozen=True, slots=True)
class Identity(Affine):
    """The number itself, and the option ``fill`` (0.0) where it is missing."""

    kind = "identity"
    defaults = {"fill": 0.0}

    @classmethod
    def fit(cls, column: ColumnMoments, options: Mapping[str, Any]) -> Self:
        """Nothing is learnt."""
        return cls(column.dtype, center=0.0, scale=1.0, offset=0.0, fill=options["fill"])

    def sql(self, column: str) -> tuple[str, ...]:
        """No arithmetic."""
        number = number_in(column)
        return (when_finite(number, number, double(self.fill)),)
