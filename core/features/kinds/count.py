"""How frequent the category was."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from core.errors import ConfigError
from core.features.categories import by_value, look_up, most_frequent, text
from core.features.column import Array, ColumnMoments
from core.features.sql import double, string
from core.features.transform import CATEGORICAL, Need, Transform

_BUCKET = 8
"""Categories in a bucket of the SQL lookup: Spark searches a literal map from its beginning."""


@dataclass(frozen=True, slots=True)
class Count(Transform):
    """How often the row's category stood in the fitted rows; with ``log``, ``log(1 + count)``. Missing and unseen: 0.0.

    Of a column with more than ``max_categories`` (100,000) the most frequent are kept; the others count as unseen.
    """

    kind = "count"
    need = Need.CATEGORIES
    takes = CATEGORICAL
    defaults = {"log": False, "max_categories": 100_000}

    counts: dict[str, int]
    log: bool
    _values: dict[Any, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if any(type(count) is not int or count < 1 for count in self.counts.values()):
            raise ValueError("a count is not above 0")
        object.__setattr__(self, "_values", by_value(self.dtype, self._coded()))

    @classmethod
    def check(cls, options: Mapping[str, Any]) -> None:
        """At least one category."""
        if options["max_categories"] < 1:
            raise ConfigError(f"count: option 'max_categories' is {options['max_categories']}, expected 1 or more")

    @classmethod
    def fit(cls, column: ColumnMoments, options: Mapping[str, Any]) -> Self:
        """From the counts of the categories."""
        kept = most_frequent(column.categories, options["max_categories"])
        return cls(column.dtype, {category: column.categories[category] for category in kept}, options["log"])

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The kind alone."""
        return ("count",)

    def write(self, values: Array, out: Array) -> None:
        """A dictionary finds each row's value."""
        out[:, 0] = look_up(self._values, values, 0.0)

    def cells(self, value: Any) -> Sequence[float]:
        """One look-up."""
        return (self._values.get(value, 0.0),)

    def sql(self, column: str) -> tuple[str, ...]:
        """A small map of the bucket that the category's CRC-32 (as in zlib and in Spark) names."""
        if not self.counts:
            return ("0.0D",)
        category = text(column, self.dtype)
        buckets: list[list[str]] = [[] for _ in range(-(-len(self.counts) // _BUCKET))]
        for known, value in sorted(self._coded().items()):
            place = zlib.crc32(known.encode()) % len(buckets)
            buckets[place].append(f"{string(known)}, {double(value)}")
        maps = ", ".join(f"map({', '.join(bucket)})" if bucket else "NULL" for bucket in buckets)
        place_in = f"CAST(crc32(CAST({category} AS BINARY)) % {len(buckets)} AS INT)"
        return (f"coalesce(element_at(get(array({maps}), {place_in}), {category}), 0.0D)",)

    def _coded(self) -> dict[str, float]:
        return {category: math.log1p(count) if self.log else float(count) for category, count in self.counts.items()}
