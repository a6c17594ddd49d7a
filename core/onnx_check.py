"""A look into an ONNX file before it is opened: a walk over its protobuf wire format, without a protobuf library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from core.errors import ModelError

# Message → field number → the message that it holds; the numbers are those of onnx.proto3 (ONNX IR version 10).
_NESTED: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def refuse_external_data(onnx: bytes) -> None:
    """Raise ModelError when a tensor's values lie in another file (at a path of its author's choice), or it is no protobuf."""
    view = memoryview(onnx)
    pending = [("model", 0, len(onnx))]
    while pending:
        message, start, end = pending.pop()
        nested = _NESTED[message]
        for field, wire, value, length in _fields(view, start, end):
            if message == "tensor" and (field == _EXTERNAL_DATA or (field == _DATA_LOCATION and value)):
                raise ModelError("the ONNX file keeps weights in another file: export it with its weights inside")
            if wire == _BYTES and field in nested:
                pending.append((nested[field], value, value + length))


def _fields(view: memoryview, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Field number, wire type, value (for bytes: where they start) and length of each field between ``at`` and ``end``."""
    while at < end:
        key, at = _varint(view, at, end)
        wire = key & 7
        value, length = at, 0
        if wire == _VARINT:
            value, at = _varint(view, at, end)
        elif wire == _BYTES:
            length, value = _varint(view, at, end)
            at = value + length
        elif wire in (_FIXED64, _FIXED32):
            at += 8 if wire == _FIXED64 else 4
        else:
            raise _damaged(at)
        if at > end:
            raise _damaged(at)
        yield key >> 3, wire, value, length


def _varint(view: memoryview, at: int, end: int) -> tuple[int, int]:
    result = shift = 0
    while at < end and shift < 70:  # noqa: PLR2004 — a varint has at most ten bytes of seven bits
        byte = view[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 — the last byte of a varint has its high bit clear
            return result, at
        shift += 7
    raise _damaged(at)


def _damaged(at: int) -> ModelError:
    return ModelError(f"not an ONNX file: no protobuf at byte {at}")
