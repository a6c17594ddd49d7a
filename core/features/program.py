"""A fitted state compiled for NumPy: straight lines in one vector operation, the others one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from core.errors import InputError
from core.features.affine import Affine
from core.features.column import Array
from core.features.transform import Transform

Place: TypeAlias = "slice | Array"

_BLOCK = 2048
"""Rows worked on at once: their columns stay in the processor's cache."""


class Program:
    """Column arrays → matrix. Values equal those of each transform's own ``write``."""

    def __init__(self, steps: Sequence[tuple[str, Transform, slice]], width: int) -> None:
        """Each step is a column, its transform and the outputs that this one fills; ``width`` counts all outputs."""
        self._width = width
        lines = [(name, t, place.start) for name, t, place in steps if isinstance(t, Affine)]
        self._others = [(name, t, place) for name, t, place in steps if not isinstance(t, Affine)]
        self._names = [name for name, _, _ in lines]
        self._first = steps[0][0]
        self._place = _place([place for _, _, place in lines])
        self._center, self._scale, self._offset, self._fill = (
            np.array([[getattr(t, part)] for _, t, _ in lines], np.float64) for part in ("center", "scale", "offset", "fill")
        )
        self._plain = not (self._center.any() or self._offset.any() or (self._scale != 1.0).any())

    def run(self, columns: Mapping[str, Array], dtype: Any) -> Array:
        """A C-contiguous matrix [n, outputs]; raises InputError for an absent column or columns of unequal length."""
        try:
            count = len(columns[self._first])
            out = np.empty((count, self._width), dtype)
            if self._names:
                self._lines([columns[name] for name in self._names], count, out)
            for name, transform, place in self._others:
                transform.write(columns[name], out[:, place])
        except KeyError as error:
            raise InputError(f"no column {error}: the model's transforms read it", column=error.args[0]) from None
        except ValueError as error:
            lengths = ", ".join(f"{name} {len(values)}" for name, values in columns.items())
            raise InputError(f"columns do not fit each other: {error}; rows: {lengths}") from error
        return out

    def _lines(self, columns: list[Array], count: int, out: Array) -> None:
        for start in range(0, count, _BLOCK):
            part = columns if count <= _BLOCK else [column[start : start + _BLOCK] for column in columns]
            out[start : start + _BLOCK, self._place] = self._line(part).T

    def _line(self, columns: list[Array]) -> Array:
        x = np.concatenate(columns, dtype=np.float64).reshape(len(columns), -1)
        known = np.isfinite(x)
        whole = known.all()
        if not whole:
            x = np.where(known, x, 0.0)
        if not self._plain:
            x = (x - self._center) * self._scale + self._offset
        return x if whole else np.where(known, x, self._fill)


def _place(places: list[int]) -> Place:
    if places and places == list(range(places[0], places[0] + len(places))):
        return slice(places[0], places[0] + len(places))
    return np.array(places, np.intp)
