"""A number that comes round again: hours, weekdays, degrees."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from core.errors import ConfigError
from core.features.column import Array, ColumnMoments
from core.features.sql import double, number_in, when_finite
from core.features.transform import Transform

_LONGEST = 1e100


@dataclass(frozen=True, slots=True)
class Cyclical(Transform):
    """Sine and cosine of ``2π x / period`` (option, required); 0.0 and 0.0 where x is missing: the middle of the circle.

    x is first reduced by an exact remainder, so that x and x + period give the same values for integers.
    """

    kind = "cyclical"
    defaults = {"period": float}

    period: float

    def __post_init__(self) -> None:
        if type(self.period) is not float or not math.isfinite(self.period) or self.period <= 0:
            raise ValueError(f"period {self.period!r} is not above 0")

    @classmethod
    def check(cls, options: Mapping[str, Any]) -> None:
        """A period is a length."""
        if not 0.0 < options["period"] <= _LONGEST:
            raise ConfigError(f"cyclical: option 'period' is {options['period']}, expected a number above 0, up to {_LONGEST:g}")

    @classmethod
    def fit(cls, column: ColumnMoments, options: Mapping[str, Any]) -> Self:
        """Nothing is learnt."""
        return cls(column.dtype, options["period"])

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Two outputs."""
        return ("cyclical__sin", "cyclical__cos")

    def write(self, values: Array, out: Array) -> None:
        """NumPy's sine and Java's differ by at most a few units in the last place."""
        known = np.isfinite(values)
        angles = np.fmod(np.where(known, values, 0.0), self.period) * (2 * math.pi / self.period)
        np.multiply(np.sin(angles), known, out=out[:, 0])
        np.multiply(np.cos(angles), known, out=out[:, 1])

    def cells(self, value: Any) -> Sequence[float]:
        """NumPy's own sine, not the C library's: the same bits as in a column."""
        if not math.isfinite(value):
            return (0.0, 0.0)
        angle = math.fmod(value, self.period) * (2 * math.pi / self.period)
        return (np.sin(angle), np.cos(angle))

    def sql(self, column: str) -> tuple[str, ...]:
        """``%`` on doubles is the exact remainder with the sign of x, as C's fmod."""
        number = number_in(column)
        angle = f"({number} % {double(self.period)}) * {double(2 * math.pi / self.period)}"
        return tuple(when_finite(number, f"{function}({angle})", "0.0D") for function in ("sin", "cos"))
