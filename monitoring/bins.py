"""A column's values counted by bins that a reference decides: numbers by its quantiles, texts by its most frequent values."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from core.contracts import Dtype
from core.features.column import Array

QUANTILES = 10
CATEGORIES = 20
"""More categories than these count as one: 'other'."""

Counts = npt.NDArray[np.int64]


class Bins(Protocol):
    """A partition of all values that a column may have; what is missing has a bin of its own, the last."""

    def count(self, values: Array) -> Counts:
        """How many of ``values`` each bin takes."""
        ...


@dataclass(frozen=True, slots=True)
class NumberBins:
    """Bins ``(-∞, e₁], (e₁, e₂], …, (eₙ, ∞)``, then NaN."""

    edges: Array

    @classmethod
    def fit(cls, values: Array) -> Self:
        """Edges at the inner deciles of ``values``. A value that is a tenth of all, or more, has a bin for itself alone."""
        known = values[~np.isnan(values)]
        if not known.size:
            return cls(np.empty(0))
        inner = np.quantile(known, np.arange(1, QUANTILES) / QUANTILES, method="inverted_cdf")
        repeated = inner[1:][inner[1:] == inner[:-1]]
        with np.errstate(over="ignore"):  # below the least number comes -∞
            below = np.nextafter(repeated, -np.inf)
        return cls(np.unique([*inner, *below]))

    def count(self, values: Array) -> Counts:
        """See Bins.count."""
        missing = np.isnan(values)
        places = np.searchsorted(self.edges, values[~missing], side="left")
        return np.append(np.bincount(places, minlength=len(self.edges) + 1), missing.sum())


@dataclass(frozen=True, slots=True)
class CategoryBins:
    """A bin for each of ``names``, one for all others, then None."""

    names: tuple[str, ...]

    @classmethod
    def fit(cls, values: Array) -> Self:
        """The 20 most frequent of ``values``; of equally frequent ones the first by name."""
        found = Counter(value for value in values.tolist() if value is not None)
        return cls(tuple(sorted(found, key=lambda name: (-found[name], name))[:CATEGORIES]))

    def count(self, values: Array) -> Counts:
        """See Bins.count."""
        found = Counter(values.tolist())
        missing = found.pop(None, 0)
        named = [found.pop(name, 0) for name in self.names]
        return np.array([*named, found.total(), missing], np.int64)


def fit(values: Array, dtype: Dtype) -> Bins:
    """The bins of a column: as ``core.features.arrow.array`` gives its values, float64 with NaN, or ``str | None``."""
    return CategoryBins.fit(values) if dtype is Dtype.STRING else NumberBins.fit(values)
