"""One output a category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from core.errors import ConfigError
from core.features.categories import by_value, look_up, most_frequent, text
from core.features.column import Array, ColumnMoments
from core.features.sql import string
from core.features.transform import CATEGORICAL, Need, Transform

_MOST = 1000


@dataclass(frozen=True, slots=True)
class OneHot(Transform):
    """1.0 in the output of the row's category. Missing, unseen, and rarer than the ``max_categories`` (64) kept: all 0.0.

    The outputs stand in the order of the categories' names. A column without categories has no output.
    """

    kind = "onehot"
    need = Need.CATEGORIES
    takes = CATEGORICAL
    defaults = {"max_categories": 64}

    categories: list[str]
    _places: dict[Any, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(set(self.categories)) < len(self.categories):
            raise ValueError("a category stands twice")
        places = {category: place for place, category in enumerate(self.categories)}
        object.__setattr__(self, "_places", by_value(self.dtype, places))

    @classmethod
    def check(cls, options: Mapping[str, Any]) -> None:
        """Each category is a column of the matrix."""
        if not 1 <= options["max_categories"] <= _MOST:
            raise ConfigError(f"onehot: option 'max_categories' is {options['max_categories']}, expected 1 to {_MOST}")

    @classmethod
    def fit(cls, column: ColumnMoments, options: Mapping[str, Any]) -> Self:
        """From the counts of the categories."""
        return cls(column.dtype, sorted(most_frequent(column.categories, options["max_categories"])))

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The category follows the kind."""
        return tuple(f"onehot__{category}" for category in self.categories)

    def write(self, values: Array, out: Array) -> None:
        """A dictionary finds each row's place."""
        places = np.array(look_up(self._places, values, -1), np.intp)
        rows = np.flatnonzero(places >= 0)
        out[...] = 0.0
        out[rows, places[rows]] = 1.0

    def cells(self, value: Any) -> Sequence[float]:
        """One look-up."""
        cells = [0.0] * len(self.categories)
        place = self._places.get(value)
        if place is not None:
            cells[place] = 1.0
        return cells

    def sql(self, column: str) -> tuple[str, ...]:
        """One null-safe comparison an output."""
        return tuple(f"CAST({text(column, self.dtype)} <=> {string(category)} AS DOUBLE)" for category in self.categories)
