"""A fitted state compiled for NumPy: a few rows cell by cell, many by vector operations, with the same results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from core.errors import InputError
from core.features.affine import Affine
from core.features.column import Array
from core.features.transform import Transform

Place: TypeAlias = "slice | Array"
Step: TypeAlias = tuple[str, Transform, slice]

_FEW = 8
"""Up to so many rows, what a vector operation costs at least is more than what it saves."""
_LARGEST = {dtype: float(np.finfo(dtype).max) for dtype in (np.float32, np.float64)}
"""What is beyond becomes infinite, as in an array, but without NumPy's warning."""
_BLOCK = 2048
"""Rows worked on at once: their columns stay in the processor's cache."""


class Program:
    """Column arrays → matrix. Values equal those of each transform's own ``write``."""

    def __init__(self, steps: Sequence[Step], width: int) -> None:
        """Each step is a column, its transform and the outputs that this one fills; ``width`` counts all outputs."""
        self._names = list(dict.fromkeys(name for name, _, _ in steps))
        self._few = _Few(steps, self._names, width)
        self._many = _Many(steps, width)

    def run(self, columns: Mapping[str, Array], dtype: Any) -> Array:
        """A C-contiguous matrix [n, outputs]; raises InputError for an absent column or columns of unequal length."""
        try:
            count = len(columns[self._names[0]])
            if 0 < count <= _FEW:
                return self._few.run([columns[name] for name in self._names], dtype)
            return self._many.run(columns, count, dtype)
        except KeyError as error:
            raise InputError(f"no column {error}: the model's transforms read it", column=error.args[0]) from None
        except ValueError as error:
            lengths = ", ".join(f"{name} {len(values)}" for name, values in columns.items())
            raise InputError(f"columns do not fit each other: {error}; rows: {lengths}") from error


class _Few:
    """Row by row in plain Python."""

    def __init__(self, steps: Sequence[Step], names: list[str], width: int) -> None:
        places = [(names.index(name), transform, outputs) for name, transform, outputs in steps]
        self._blank = [0.0] * width
        self._lines = [(at, o.start, t.center, t.scale, t.offset, t.fill) for at, t, o in places if isinstance(t, Affine)]
        self._others = [(at, o, t.cells) for at, t, o in places if not isinstance(t, Affine)]

    def run(self, columns: list[Array], dtype: Any) -> Array:
        largest = _LARGEST[dtype]
        rows = zip(*[column.tolist() for column in columns], strict=True)
        return np.array([self._cells(row, largest) for row in rows], dtype)

    def _cells(self, row: tuple[Any, ...], largest: float) -> list[float]:
        cells = self._blank.copy()
        for at, place, center, scale, offset, fill in self._lines:
            x = row[at]
            cell = (x - center) * scale + offset if x - x == 0.0 else fill  # 0.0 only for finite x
            cells[place] = cell if -largest <= cell <= largest else math.copysign(math.inf, cell)
        for at, outputs, cells_of in self._others:
            cells[outputs] = cells_of(row[at])
        return cells


class _Many:
    """Straight lines in one vector operation, the others one by one."""

    def __init__(self, steps: Sequence[Step], width: int) -> None:
        self._width = width
        lines = [(name, transform, outputs.start) for name, transform, outputs in steps if isinstance(transform, Affine)]
        self._others = [step for step in steps if not isinstance(step[1], Affine)]
        self._names = [name for name, _, _ in lines]
        self._place = _place([place for _, _, place in lines])
        self._center, self._scale, self._offset, self._fill = (
            np.array([[getattr(t, part)] for _, t, _ in lines], np.float64) for part in ("center", "scale", "offset", "fill")
        )
        self._plain = not (self._center.any() or self._offset.any() or (self._scale != 1.0).any())

    def run(self, columns: Mapping[str, Array], count: int, dtype: Any) -> Array:
        out = np.empty((count, self._width), dtype)
        with np.errstate(over="ignore"):
            if self._names:
                self._write_lines([columns[name] for name in self._names], out)
            for name, transform, outputs in self._others:
                transform.write(columns[name], out[:, outputs])
        return out

    def _write_lines(self, columns: list[Array], out: Array) -> None:
        for start in range(0, len(out), _BLOCK):
            part = [column[start : start + _BLOCK] for column in columns]
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
