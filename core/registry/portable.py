"""The loader that travels inside each model version: ``mlflow.pyfunc.load_model`` calls it where this project is not installed.

It reads the bundle that lies beside it, with no pickle, and needs NumPy and ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.bundle import open_bundle
from core.contracts import Column, Dtype
from core.errors import InputError
from core.features.column import Array
from core.predictor import Predictor


class PortableModel:
    """A model version behind MLflow's pyfunc interface."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._inputs = predictor.bundle.signature.inputs

    def predict(self, model_input: Any) -> Array:
        """Answers for raw records, float32: [n] for a model of one output, else [n, k].

        Takes a pandas DataFrame, a mapping of columns, or a sequence of records. Raises InputError naming the column.
        """
        given, rows = _columns(model_input)
        return self._predictor.predict({column.name: _array(column, given.get(column.name), rows) for column in self._inputs})


def _load_pyfunc(data_path: str) -> PortableModel:
    return PortableModel(Predictor(open_bundle(Path(data_path))))


def _columns(given: Any) -> tuple[Mapping[str, Array], int]:
    """Columns by name, and the number of rows."""
    if hasattr(given, "columns"):
        return {str(name): given[name].to_numpy() for name in given.columns}, len(given)
    if isinstance(given, Mapping):
        columns = {name: np.atleast_1d(_objects(values)) for name, values in given.items()}
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(f"columns are not of one length: {lengths}")
        return columns, next(iter(lengths.values()), 0)
    if isinstance(given, Sequence) and all(isinstance(record, Mapping) for record in given):
        names = {name for record in given for name in record}
        return {name: _objects([record.get(name) for record in given]) for name in names}, len(given)
    raise InputError(f"input is a {type(given).__name__}: give a DataFrame, a mapping of columns, or a list of records")


def _objects(values: Any) -> Array:
    return values if isinstance(values, np.ndarray) else np.array(values, dtype=object)


def _array(column: Column, values: Array | None, rows: int) -> Array:
    """``values`` as the predictor takes them: float64 with NaN for missing, or objects with None for missing."""
    if values is None:
        if column.required and rows:
            raise InputError(f"column {column.name!r} is missing", column=column.name)
        values = np.full(rows, None, dtype=object)
    if values.ndim != 1:
        raise InputError(f"column {column.name!r}: a record holds one value, not an array", column=column.name)
    numeric = values.dtype.kind in "fiub"
    if numeric and column.dtype is not Dtype.STRING:
        array = values.astype(np.float64)
        missing = np.isnan(array)
    else:
        missing = np.fromiter((_is_missing(value) for value in values), dtype=bool, count=rows)
        array = _text(column, values, missing) if column.dtype is Dtype.STRING else _numbers(column, values, missing)
    if column.required and missing.any():
        row = int(missing.argmax())
        raise InputError(f"column {column.name!r}, row {row}: no value, and one is required", column=column.name, row=row)
    return array


def _is_missing(value: Any) -> bool:
    return value is None or type(value).__name__ == "NAType" or (isinstance(value, float) and value != value)  # noqa: PLR0124


def _text(column: Column, values: Array, missing: Array) -> Array:
    array = values.astype(object)
    array[missing] = None
    for row, value in enumerate(array):
        if value is not None and not isinstance(value, str):
            raise InputError(f"column {column.name!r}, row {row}: {value!r:.80} is not a string", column=column.name, row=row)
    return array


def _numbers(column: Column, values: Array, missing: Array) -> Array:
    array = np.full(len(values), np.nan)
    for row in np.flatnonzero(~missing):
        value = values[row]
        if not isinstance(value, int | float | np.number | np.bool_):
            raise InputError(
                f"column {column.name!r}, row {row}: {value!r:.80} is not a number", column=column.name, row=int(row)
            )
        array[row] = value
    return array
