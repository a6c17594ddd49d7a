"""A signature compiled once: JSON values in, typed columns out, or an error that names column, row and value."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.contracts import Column, Dtype, Signature
from core.errors import InputError

Values = Sequence[Any]
Columns = Mapping[str, NDArray[Any]]

_NULL = type(None)
_NUMBERS = frozenset({int, float})
_AT_ONCE = 4096
"""More rows are converted column by column, so that the interpreter's lock is free in between."""

_TYPES: Mapping[Dtype, frozenset[type]] = {
    Dtype.BOOLEAN: frozenset({bool}),
    Dtype.INTEGER: frozenset({int, float}),  # 1.0 is an integer in JSON (RFC 8259 has one kind of number)
    Dtype.LONG: frozenset({int, float}),
    Dtype.FLOAT: frozenset({int, float}),
    Dtype.DOUBLE: frozenset({int, float}),
    Dtype.STRING: frozenset({str}),
}
_RANGE: Mapping[Dtype, tuple[int, int]] = {Dtype.INTEGER: (-(2**31), 2**31 - 1), Dtype.LONG: (-(2**63), 2**63 - 1)}
_KIND: Mapping[type, str] = {
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
    _NULL: "null",
}


class Reader:
    """Reads records of one signature. Numbers and booleans become float64 with NaN for null, strings object arrays.

    Every method raises InputError for values that do not fit, with facts ``column`` and ``row`` (from 0) where they are known;
    more than ``max_rows`` rows raise it with the fact ``limit``.
    """

    __slots__ = ("_by_name", "_groups", "_inputs", "_names", "_one", "_order", "_required", "_uniform", "max_rows", "width")

    def __init__(self, signature: Signature, max_rows: int) -> None:
        self._inputs = signature.inputs
        self.max_rows = max_rows
        self.width = len(self._inputs)
        self._order = [column.name for column in self._inputs]
        self._names = frozenset(self._order)
        self._required = frozenset(column.name for column in self._inputs if column.required)
        self._by_name = {column.name: column for column in self._inputs}
        self._groups = _groups(self._inputs)
        dtypes = {column.dtype for column in self._inputs}
        self._uniform = dtypes.pop() if len(dtypes) == 1 and dtypes <= {Dtype.FLOAT, Dtype.DOUBLE} else None
        # one row of numbers goes through C in one call; a null in it takes the longer way
        self._one = struct.Struct(f"={self.width}{'f' if self._uniform is Dtype.FLOAT else 'd'}")

    @property
    def numeric(self) -> bool:
        """Whether no column is a string, so that a two-dimensional tensor can hold a batch."""
        return all(column.dtype is not Dtype.STRING for column in self._inputs)

    @property
    def single(self) -> str | None:
        """The name of the only column, if there is just one."""
        return self._order[0] if self.width == 1 else None

    def column(self, name: str) -> Column | None:
        """The column of that name, if there is one."""
        return self._by_name.get(name)

    def block(self, rows: list[Any]) -> NDArray[Any] | None:
        """Rows in signature order as one array [n, width], when all columns are of one floating type and nothing is amiss.

        float32 for ``float`` columns, float64 for ``double`` ones. None means: read them with ``rows``, which explains.
        """
        if self._uniform is None or len(rows) != 1:
            return None
        row = rows[0]
        if type(row) is not list or len(row) != self.width or not _NUMBERS.issuperset(map(type, row)):
            return None
        try:
            packed = self._one.pack(*row)
        except (OverflowError, struct.error):
            return None
        return np.frombuffer(packed, np.float32 if self._uniform is Dtype.FLOAT else np.float64).reshape(1, self.width)

    def rows(self, rows: Values, names: list[Any] | None = None) -> Columns:
        """Columns of rows in the order of ``names``, by default the signature's."""
        self._count(rows)
        positions = None if names is None or names == self._order else self._positions(names)
        width = self.width if positions is None else len(names or ())
        if not rows:
            return self._convert(dict.fromkeys(self._order, ()), 0)
        if not {list}.issuperset(map(type, rows)) or set(map(len, rows)) != {width}:
            raise _not_rectangular(rows, width)
        columns = list(zip(*rows, strict=True))
        if positions is None:
            return self._convert(dict(zip(self._order, columns, strict=True)), len(rows))
        return self._convert({name: columns[at] for name, at in positions.items()}, len(rows))

    def records(self, records: Values) -> Columns:
        """Columns of a list of objects, each with the columns as its keys."""
        self._count(records)
        for number, record in enumerate(records):
            if type(record) is not dict:
                raise InputError(f"row {number}: is {kind(record)}, expected an object with the columns as keys", row=number)
            if record.keys() != self._names:
                self._check_names(record.keys(), f"row {number}: ")
        if self.width > 1 and all(len(record) == self.width for record in records):
            pick: Callable[[Any], Any] = itemgetter(*self._order)
            columns = zip(*map(pick, records), strict=True)
            found = dict(zip(self._order, columns, strict=True)) if records else dict.fromkeys(self._order, ())
            return self._convert(found, len(records))
        return self._convert({name: [record.get(name) for record in records] for name in self._order}, len(records))

    def columns(self, columns: Mapping[str, Any]) -> Columns:
        """Columns of an object with a list of values for each column."""
        self._check_names(columns.keys(), "")
        count = -1
        for name, values in columns.items():
            if type(values) is not list:
                raise InputError(f"column {name!r}: is {kind(values)}, expected a list of values", column=name)
            if count < 0:
                count = len(values)
                self._count(values)
            if len(values) != count:
                raise InputError(f"column {name!r}: has {len(values)} values, the columns before it have {count}", column=name)
        return self._convert(columns, max(count, 0))

    def _count(self, rows: Values) -> None:
        if len(rows) > self.max_rows:
            raise InputError(f"{len(rows)} rows are more than the {self.max_rows} that one request may hold", limit=self.max_rows)

    def _positions(self, names: list[Any]) -> dict[str, int]:
        for name in names:
            if type(name) is not str:
                raise InputError(f"columns: holds {kind(name)}, expected names")
        if len(set(names)) != len(names):
            double = next(name for at, name in enumerate(names) if name in names[:at])
            raise InputError(f"columns: {_short(double)} stands twice", column=double[:80])
        self._check_names(names, "")
        return {name: at for at, name in enumerate(names)}

    def _check_names(self, names: Collection[str], where: str) -> None:
        given = set(names)
        if missing := [name for name in self._order if name in self._required and name not in given]:
            extra = sorted(given - self._names)
            hint = f"; not in the signature: {_short(extra[0])}" if extra else ""
            raise InputError(f"{where}column {missing[0]!r} is missing ({len(missing)} in all){hint}", column=missing[0])
        if extra := sorted(given - self._names):
            raise InputError(f"{where}column {_short(extra[0])} is not in the signature", column=extra[0][:80])

    def _convert(self, columns: Mapping[str, Values], count: int) -> Columns:
        result: dict[str, NDArray[Any]] = {}
        for group in self._groups:
            values = [_given(columns, column, count) for column in group]
            block = _block(group, values) if count <= _AT_ONCE else None
            if block is not None:
                result.update(zip((column.name for column in group), block, strict=True))
                continue
            for column, cells in zip(group, values, strict=True):
                if not _allowed(column).issuperset(map(type, cells)):
                    raise _misfit(column, cells)
                result[column.name] = _array(column, cells)
        return result


def kind(value: Any) -> str:
    """What a JSON value is, in words that show nothing of its content."""
    return _KIND.get(type(value), type(value).__name__)


def _groups(columns: Sequence[Column]) -> list[list[Column]]:
    """Columns of one type and requiredness together, to be converted at once."""
    found: dict[tuple[Dtype, bool], list[Column]] = {}
    for column in columns:
        found.setdefault((column.dtype, column.required), []).append(column)
    return list(found.values())


def _given(columns: Mapping[str, Values], column: Column, count: int) -> Values:
    found = columns.get(column.name)
    return [None] * count if found is None else found


def _block(group: list[Column], values: list[Values]) -> NDArray[np.float64] | None:
    """The values of a group of number columns, [columns, rows]; None when one does not fit, or they are no numbers."""
    first = group[0]
    if first.dtype is Dtype.STRING or not _allowed(first).issuperset(map(type, chain.from_iterable(values))):
        return None
    block = np.array(values, np.float64)  # None becomes NaN
    if first.dtype is Dtype.FLOAT:
        with np.errstate(over="ignore"):
            block = block.astype(np.float32).astype(np.float64)
        return None if np.isinf(block).any() else block
    if first.dtype in _RANGE:
        low, high = _RANGE[first.dtype]
        known = block[~np.isnan(block)]
        fits = (known == np.floor(known)) & (known >= low) & (known < float(high))
        return block if fits.all() else None
    return block


def _not_rectangular(rows: Values, width: int) -> InputError:
    number, row = next((at, row) for at, row in enumerate(rows) if type(row) is not list or len(row) != width)
    found = (
        f"has {len(row)} values, expected {width}" if type(row) is list else f"is {kind(row)}, expected a list of {width} values"
    )
    return InputError(f"row {number}: {found}", row=number)


def _allowed(column: Column) -> frozenset[type]:
    types = _TYPES[column.dtype]
    return types if column.required else types | {_NULL}


def _array(column: Column, values: Values) -> NDArray[Any]:
    if column.dtype is Dtype.STRING:
        strings = np.empty(len(values), object)
        strings[:] = values
        return strings
    numbers = np.array(values, np.float64)  # None becomes NaN
    if column.dtype is Dtype.FLOAT:
        with np.errstate(over="ignore"):
            numbers = numbers.astype(np.float32).astype(np.float64)
        if np.isinf(numbers).any():
            raise _out_of_range(column, values, int(np.isinf(numbers).argmax()))
    elif column.dtype in _RANGE:
        _check_integers(column, values, numbers)
    return numbers


def _check_integers(column: Column, values: Values, numbers: NDArray[np.float64]) -> None:
    fractional = numbers != np.floor(numbers)
    fractional &= ~np.isnan(numbers)
    if fractional.any():
        row = int(fractional.argmax())
        raise InputError(
            f"column {column.name!r}, row {row}: {values[row]!r} is not a whole number ({column.dtype})",
            column=column.name,
            row=row,
        )
    low, high = _RANGE[column.dtype]
    outside = (numbers < low) | (numbers > high)
    if column.dtype is Dtype.LONG:  # as float64, 2**63 - 1 and 2**63 are one number
        outside |= numbers == float(2**63)
        for row in np.flatnonzero(outside):
            outside[row] = not (type(values[row]) is int and low <= values[row] <= high)
    if outside.any():
        raise _out_of_range(column, values, int(outside.argmax()))


def _out_of_range(column: Column, values: Values, row: int) -> InputError:
    text = f"column {column.name!r}, row {row}: {str(values[row])[:40]} is out of the range of {column.dtype}"
    return InputError(text, column=column.name, row=row)


def _misfit(column: Column, values: Values) -> InputError:
    row = next(at for at, value in enumerate(values) if type(value) not in _allowed(column))
    needs = {Dtype.BOOLEAN: "a boolean", Dtype.STRING: "a string"}.get(column.dtype, f"a number ({column.dtype})")
    hint = "" if column.required else " or null"
    text = f"column {column.name!r}, row {row}: is {kind(values[row])}, expected {needs}{hint}"
    return InputError(text, column=column.name, row=row)


def _short(name: str) -> str:
    return repr(name if len(name) <= 80 else f"{name[:80]}…")  # noqa: PLR2004


def flatten(values: Values) -> list[Any]:
    """The elements of a list of lists, in order."""
    return list(chain.from_iterable(values))
