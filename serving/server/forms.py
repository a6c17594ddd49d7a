"""MLflow's four request forms (its scoring protocol 2.0) read into columns.

::

    {"inputs": …} and {"instances": …}     {"a": [1, 2]} | {"a": 1} (one row) | [{"a": 1}] | [[1], [2]] | [1, 2] (one column)
    {"dataframe_split": …}                 {"columns": ["a"], "data": [[1], [2]]}; "index" is checked and not used
    {"dataframe_records": …}               [{"a": 1}, {"a": 2}]

Two differences, both towards refusing: a column that the signature does not know is an error (MLflow drops it), and no type is
converted but whole numbers to floating ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from core.errors import InputError
from serving.server.reader import Columns, Reader, kind

_PLACE = "https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/"


def read_json(body: bytes) -> dict[str, Any]:
    """The JSON object in ``body``; raises InputError that says where it is not one."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InputError(f"the body is not JSON: {error}") from None
    if type(document) is not dict:
        raise InputError(f"the body is {kind(document)}, expected an object")
    return document


def positional(document: Mapping[str, Any], order: list[str]) -> list[Any] | None:
    """The rows of a document that holds nothing but rows in signature order; else None: read it with ``read_form``."""
    if len(document) != 1:
        return None
    split = document.get("dataframe_split")
    if split is None:
        rows = document.get("inputs")
        if rows is None:
            rows = document.get("instances")
    else:
        rows = split.get("data") if type(split) is dict and len(split) == 2 and split.get("columns") == order else None  # noqa: PLR2004
    return rows if type(rows) is list else None


def read_form(document: dict[str, Any], reader: Reader) -> Columns:
    """The columns in a request of any of the four forms; raises InputError naming what does not fit and where."""
    params = document.pop("params", None)
    if params:
        raise InputError("params: this model takes none")
    if len(document) != 1 or (form := next(iter(document))) not in _FORMS:
        given = ", ".join(repr(key[:40]) for key in list(document)[:5]) or "none"
        raise InputError(f"the body has exactly one of the keys {', '.join(_FORMS)}; found: {given} (see {_PLACE})")
    return _FORMS[form](document[form], reader)


def _tensors(data: Any, reader: Reader) -> Columns:
    if type(data) is dict:
        if data and not any(type(values) in (list, dict) for values in data.values()):
            return reader.records([data])
        return reader.columns(data)
    if type(data) is not list:
        raise InputError(f"inputs: is {kind(data)}, expected an object of columns, a list of records or a list of rows")
    if data and type(data[0]) is dict:
        return reader.records(data)
    if reader.single and data and type(data[0]) is not list:
        return reader.columns({reader.single: data})
    return reader.rows(data)


def _split(data: Any, reader: Reader) -> Columns:
    if type(data) is not dict or "data" not in data or data.keys() - {"columns", "data", "index"}:
        raise InputError("dataframe_split: expected an object with data, columns and, if at all, index")
    rows, names, index = data["data"], data.get("columns"), data.get("index")
    if type(rows) is not list:
        raise InputError(f"dataframe_split.data: is {kind(rows)}, expected a list of rows")
    if names is not None and type(names) is not list:
        raise InputError(f"dataframe_split.columns: is {kind(names)}, expected a list of names")
    if index is not None and (type(index) is not list or len(index) != len(rows)):
        raise InputError(f"dataframe_split.index: expected a list as long as data, which has {len(rows)} rows")
    return reader.rows(rows, names)


def _records(data: Any, reader: Reader) -> Columns:
    if type(data) is not list:
        raise InputError(f"dataframe_records: is {kind(data)}, expected a list of records")
    return reader.records(data)


_FORMS: Mapping[str, Callable[[Any, Reader], Columns]] = {
    "inputs": _tensors,
    "instances": _tensors,
    "dataframe_split": _split,
    "dataframe_records": _records,
}
