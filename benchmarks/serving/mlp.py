"""The model of the benchmark: an MLP of 32 float columns, 32 → 64 → 32 → 1, and what it must answer."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from core.bundle import write_bundle
from core.contracts import Column, Dtype, Signature
from core.features.moments import Moments
from core.features.plan import TransformPlan

WIDTHS = (32, 64, 32, 1)
COLUMNS = [f"column_{n}" for n in range(WIDTHS[0])]


def weights() -> list[np.ndarray]:
    """Matrix and offset of each layer, the same in every run."""
    rng = np.random.default_rng(7)
    shapes = [shape for a, b in pairwise(WIDTHS) for shape in ((a, b), (b,))]
    return [(rng.normal(size=shape) * 0.3).astype(np.float32) for shape in shapes]


def rows(count: int) -> np.ndarray:
    """Requests: float32 values whose decimal text is short, as clients send them."""
    return np.round(np.random.default_rng(11).normal(size=(count, WIDTHS[0])), 4)


def answers(matrix: np.ndarray) -> np.ndarray:
    """By hand, in NumPy."""
    w = weights()
    hidden = np.maximum(matrix.astype(np.float32) @ w[0] + w[1], 0)
    hidden = np.maximum(hidden @ w[2] + w[3], 0)
    return (1 / (1 + np.exp(-(hidden @ w[4] + w[5]))))[:, 0]


def write(folder: Path) -> None:
    """``mlp.onnx``, ``weights.npz``, and ``bundles`` as a model server takes them."""
    parts = [numpy_helper.from_array(value, f"w{n}") for n, value in enumerate(weights())]
    nodes = [
        helper.make_node("Gemm", ["features", "w0", "w1"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Gemm", ["b", "w2", "w3"], ["c"]),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("Gemm", ["d", "w4", "w5"], ["e"]),
        helper.make_node("Sigmoid", ["e"], ["answer"]),
    ]
    given = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", WIDTHS[0]])
    gives = helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["batch", 1])
    graph = helper.make_graph(nodes, "mlp", [given], [gives], parts)
    onnx = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    (folder / "mlp.onnx").write_bytes(onnx)
    np.savez(folder / "weights.npz", *weights())
    _bundle(folder / "bundles", onnx)


def _bundle(folder: Path, onnx: bytes) -> None:
    inputs = tuple(Column(name, Dtype.FLOAT) for name in COLUMNS)
    moments = Moments((TransformPlan(kind="identity", columns=COLUMNS),), inputs)
    moments.add(dict(zip(COLUMNS, rows(100).T, strict=True)))
    signature = Signature(inputs, (Column("answer", Dtype.FLOAT),))
    digest = write_bundle(folder / "mlp" / "1", name="mlp", onnx=onnx, features=moments.finish(), signature=signature, facts={})
    index = {"models": {"mlp": {"aliases": {"active": 1}, "versions": {"1": {"sha256": digest}}}}}
    (folder / "index.json").write_text(json.dumps(index))
