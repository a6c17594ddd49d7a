"""The transforms that are a straight line: many of them are computed together."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from core.features.column import Array
from core.features.sql import double, number_in, when_finite
from core.features.transform import Transform


@dataclasses.dataclass(frozen=True, slots=True)
class Affine(Transform):
    """``(x - center) * scale + offset`` in that order of operations, and ``fill`` where x is missing."""

    center: float
    scale: float
    offset: float
    fill: float

    def __post_init__(self) -> None:
        for value in (self.center, self.scale, self.offset, self.fill):
            if type(value) is not float or not math.isfinite(value):
                raise ValueError(f"{value!r} is no finite number")

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The kind alone."""
        return (self.kind,)

    def write(self, values: Array, out: Array) -> None:
        """One column."""
        known = np.isfinite(values)
        with np.errstate(over="ignore"):
            line = (np.where(known, values, 0.0) - self.center) * self.scale + self.offset
        out[:, 0] = np.where(known, line, self.fill)

    def sql(self, column: str) -> tuple[str, ...]:
        """The same operations in the same order: the same bits."""
        number = number_in(column)
        line = f"({number} - {double(self.center)}) * {double(self.scale)} + {double(self.offset)}"
        return (when_finite(number, line, double(self.fill)),)
