"""The Open Inference Protocol, version 2, over REST (KServe's open-inference-protocol): tensors in JSON, one for each column.

Where no column is a string, one tensor of shape [rows, columns] in signature order does as well. Tensors in binary form (the
extension for binary data) are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from core.contracts import Dtype
from core.errors import InputError
from serving.server.forms import read_json
from serving.server.model import Model
from serving.server.reader import Reader, flatten, kind

_WHOLE = frozenset({"INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"})
_NUMERIC = _WHOLE | {"FP16", "FP32", "FP64", "BF16"}
_TAKES: Mapping[Dtype, frozenset[str]] = {
    Dtype.BOOLEAN: frozenset({"BOOL"}),
    Dtype.INTEGER: _WHOLE,
    Dtype.LONG: _WHOLE,
    Dtype.FLOAT: _NUMERIC,
    Dtype.DOUBLE: _NUMERIC,
    Dtype.STRING: frozenset({"BYTES"}),
}
_GIVES: Mapping[Dtype, str] = {
    Dtype.BOOLEAN: "BOOL",
    Dtype.INTEGER: "INT32",
    Dtype.LONG: "INT64",
    Dtype.FLOAT: "FP32",
    Dtype.DOUBLE: "FP64",
    Dtype.STRING: "BYTES",
}
_BINARY = "tensors in binary form are not taken here: send JSON, without binary_data"
_MATRIX = 2


def describe(model: Model) -> dict[str, Any]:
    """The model metadata of the protocol."""
    signature = model.bundle.signature
    return {
        "name": model.name,
        "versions": [str(model.version)],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": c.name, "datatype": _GIVES[c.dtype], "shape": [-1]} for c in signature.inputs],
        "outputs": [{"name": c.name, "datatype": "FP32", "shape": [-1]} for c in signature.outputs],
    }


def infer(model: Model, body: bytes) -> bytes:
    """The inference response to an inference request; raises InputError naming the tensor that does not fit."""
    request = read_json(body)
    if extra := sorted(request.keys() - {"id", "inputs", "outputs", "parameters"}):
        raise InputError(f"{extra[0][:40]!r} is no part of an inference request: id, inputs, outputs, parameters are")
    identity = request.get("id")
    if identity is not None and type(identity) is not str:
        raise InputError(f"id: is {kind(identity)}, expected a string")
    if _parameters(request, "parameters").get("binary_data_output"):
        raise InputError(_BINARY)
    names = [column.name for column in model.bundle.signature.outputs]
    wanted = _wanted(request.get("outputs"), names)
    answers = _answers(request.get("inputs"), model).reshape(-1, len(names))
    response: dict[str, Any] = {"model_name": model.name, "model_version": str(model.version)}
    if identity is not None:
        response["id"] = identity
    response["outputs"] = [_tensor(name, answers[:, names.index(name)]) for name in wanted]
    return orjson.dumps(response)


def _tensor(name: str, values: NDArray[np.float32]) -> dict[str, Any]:
    return {"name": name, "datatype": "FP32", "shape": [len(values)], "data": values.tolist()}


def _parameters(holder: Mapping[str, Any], where: str) -> dict[str, Any]:
    parameters = holder.get("parameters")
    if parameters is None:
        return {}
    if type(parameters) is not dict:
        raise InputError(f"{where}: is {kind(parameters)}, expected an object")
    return parameters


def _wanted(outputs: Any, names: list[str]) -> list[str]:
    if outputs is None or outputs == []:
        return names
    if type(outputs) is not list:
        raise InputError(f"outputs: is {kind(outputs)}, expected a list")
    wanted = []
    for output in outputs:
        name = output.get("name") if type(output) is dict else None
        if type(name) is not str or name not in names:
            raise InputError(f"outputs: {str(name)[:40]!r} is none of the model's outputs: {', '.join(names)}")
        if _parameters(output, f"outputs.{name}.parameters").get("binary_data"):
            raise InputError(_BINARY)
        wanted.append(name)
    return wanted


def _answers(inputs: Any, model: Model) -> NDArray[np.float32]:
    if type(inputs) is not list or not inputs or any(type(tensor) is not dict for tensor in inputs):
        raise InputError("inputs: expected a list of tensors, each with name, datatype, shape and data")
    reader = model.reader
    if len(inputs) == 1 and type(inputs[0].get("shape")) is list and len(inputs[0]["shape"]) == _MATRIX:
        shape, data = _elements(inputs[0])
        if reader.width > 1 or shape[1] != 1:
            return model.predict_rows(_rows(inputs[0], shape, data, reader))
    columns: dict[str, Any] = {}
    for tensor in inputs:
        shape, data = _elements(tensor)
        name = tensor["name"]
        if len(shape) > _MATRIX or (len(shape) == _MATRIX and shape[1] != 1) or not shape:
            raise InputError(f"tensor {name[:80]!r}: shape {shape[:4]}, expected [rows] or [rows, 1]", column=name[:80])
        if name in columns:
            raise InputError(f"tensor {name[:80]!r} stands twice", column=name[:80])
        column = reader.column(name)
        if column is not None and tensor["datatype"] not in _TAKES[column.dtype]:
            takes = ", ".join(sorted(_TAKES[column.dtype]))
            raise InputError(f"tensor {name!r}: datatype {tensor['datatype'][:20]!r}, expected one of {takes}", column=name)
        columns[name] = data
    return model.predict(reader.columns(columns))


def _rows(tensor: dict[str, Any], shape: list[int], data: list[Any], reader: Reader) -> list[Any]:
    if not reader.numeric or tensor["datatype"] not in _NUMERIC:
        raise InputError(f"tensor {tensor['name'][:80]!r}: one tensor for all columns must be numeric: send one for each column")
    if shape[1] != reader.width:
        raise InputError(f"tensor {tensor['name'][:80]!r}: shape {shape}, expected [rows, {reader.width}]")
    return [data[at : at + reader.width] for at in range(0, len(data), reader.width)]


def _elements(tensor: dict[str, Any]) -> tuple[list[int], list[Any]]:
    """Shape and elements in row-major order, from a flat list or a nested one."""
    name, datatype, shape, data = (tensor.get(key) for key in ("name", "datatype", "shape", "data"))
    if type(name) is not str or type(datatype) is not str:
        raise InputError("inputs: a tensor has a name and a datatype, both strings")
    parameters = _parameters(tensor, f"tensor {name[:80]!r}: parameters")
    if "binary_data_size" in parameters:
        raise InputError(_BINARY)
    if type(shape) is not list or not all(type(size) is int and 0 <= size <= 2**31 for size in shape):
        raise InputError(f"tensor {name[:80]!r}: shape is a list of sizes", column=name[:80])
    if type(data) is not list:
        raise InputError(f"tensor {name[:80]!r}: data is {kind(data)}, expected a list", column=name[:80])
    for size in shape[1:]:
        if data and all(type(part) is list for part in data):
            if any(len(part) != size for part in data):
                raise InputError(f"tensor {name[:80]!r}: data is ragged, shape says {shape[:4]}", column=name[:80])
            data = flatten(data)
    if len(data) != prod(shape):
        text = f"tensor {name[:80]!r}: data has {len(data)} elements, shape {shape[:4]} needs {prod(shape)}"
        raise InputError(text, column=name[:80])
    return shape, data
