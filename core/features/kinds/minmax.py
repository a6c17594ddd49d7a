"""The fitted range, drawn onto another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from core.errors import ConfigError
from core.features.affine import Affine
from core.features.column import ColumnMoments
from core.features.transform import Need


@dataclass(frozen=True, slots=True)
class MinMax(Affine):
    """The smallest fitted value becomes ``low``, the largest ``high``; others lie on the same line, outside it too.

    Missing is what the mean becomes. A constant column and an empty table give 0.0 throughout.
    """

    kind = "minmax"
    need = Need.NUMBERS
    defaults = {"low": 0.0, "high": 1.0}

    @classmethod
    def check(cls, options: Mapping[str, Any]) -> None:
        """The range must not be empty."""
        if not options["low"] < options["high"]:
            raise ConfigError(f"minmax: low ({options['low']}) must be less than high ({options['high']})")

    @classmethod
    def fit(cls, column: ColumnMoments, options: Mapping[str, Any]) -> Self:
        """From the range and the mean."""
        numbers = column.numbers
        if not numbers.range:
            return cls(column.dtype, center=0.0, scale=0.0, offset=0.0, fill=0.0)
        low = options["low"]
        scale = (options["high"] - low) / numbers.range
        fill = (numbers.mean - numbers.low) * scale + low
        return cls(column.dtype, center=numbers.low, scale=scale, offset=low, fill=fill)
