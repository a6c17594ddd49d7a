"""Moments of one column: what a kind is fitted from. They are gathered batch by batch and merged.

Means and variances follow Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample
Variances" (1979). The mean is kept as an unevaluated sum of two doubles (Knuth's two-sum), so that the error of both is
relative to the spread and not to the magnitude: a split of the data into other batches changes them by about 1e-15.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from core.contracts import Dtype
from core.errors import TableError

Array = npt.NDArray[Any]

LARGEST = 1e150
"""The square of a larger number overflows: fitting refuses it."""
SMALLEST = 1e-150
"""A smaller spread counts as none: its square underflows."""


@dataclass(slots=True)
class Numbers:
    """Count, mean, spread and range of the finite numbers of a column. The mean is ``mean + rest``."""

    count: int = 0
    mean: float = 0.0
    rest: float = 0.0
    squares: float = 0.0
    """Sum of squared deviations from the mean."""
    low: float = math.inf
    high: float = -math.inf

    @classmethod
    def of(cls, values: Array) -> Self:
        """The moments of a float64 array; NaN and infinities are left out. Raises TableError above 1e150."""
        values = values[np.isfinite(values)]
        count = len(values)
        if not count:
            return cls()
        low, high = float(values.min()), float(values.max())
        if max(-low, high) > LARGEST:
            raise TableError(f"holds {max(low, high, key=abs)!r}: numbers beyond ±{LARGEST:g} cannot be standardized")
        mean = float(values.mean())
        with np.errstate(under="ignore"):
            away = values - mean
            rest = float(away.mean())
            squares = max(float(away @ away) - count * rest * rest, 0.0)
        return cls(count, *_two_sum(mean, rest), squares, low, high)

    def merge(self, other: Numbers) -> None:
        """Take in the moments of more rows."""
        if not other.count:
            return
        count = self.count + other.count
        if self.count:
            apart = (other.mean - self.mean) + (other.rest - self.rest)
            mean, shift = _two_sum(self.mean, apart * (other.count / count))
            self.mean, self.rest = _two_sum(mean, shift + self.rest)
            self.squares += other.squares + apart * apart * (self.count * other.count / count)
        else:
            self.mean, self.rest, self.squares = other.mean, other.rest, other.squares
        self.count = count
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)

    @property
    def deviation(self) -> float:
        """Standard deviation of the population; 0.0 for a constant column and for none."""
        if not self.count or self.high - self.low <= SMALLEST:
            return 0.0
        deviation = math.sqrt(self.squares / self.count)
        return deviation if deviation > SMALLEST else 0.0

    @property
    def range(self) -> float:
        """Largest less smallest; 0.0 for a constant column and for none."""
        width = self.high - self.low if self.count else 0.0
        return width if width > SMALLEST else 0.0

    def to_json(self) -> list[float]:
        """The numbers in order; empty moments are an empty list."""
        return [self.count, self.mean, self.rest, self.squares, self.low, self.high] if self.count else []

    @classmethod
    def from_json(cls, document: list[Any]) -> Self:
        """Read what ``to_json`` wrote."""
        return cls(*document)


@dataclass(slots=True)
class ColumnMoments:
    """What is known of one column. ``categories`` counts each one exactly, as text."""

    dtype: Dtype
    numbers: Numbers = field(default_factory=Numbers)
    categories: dict[str, int] = field(default_factory=dict)

    def count(self, categories: Mapping[str, int]) -> None:
        """Take in counts of categories."""
        known = self.categories
        for category, times in categories.items():
            known[category] = known.get(category, 0) + times

    def merge(self, other: ColumnMoments) -> None:
        """Take in the moments of more rows."""
        self.numbers.merge(other.numbers)
        self.count(other.categories)


def _two_sum(a: float, b: float) -> tuple[float, float]:
    total = a + b
    back = total - a
    return total, (a - (total - back)) + (b - back)
