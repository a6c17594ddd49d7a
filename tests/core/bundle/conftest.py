"""A small real bundle: two numbers and a text, one linear layer."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from core.bundle import write_bundle
from core.contracts import Column, Dtype, Signature
from core.features.moments import Moments
from core.features.plan import TransformPlan

INPUTS = (Column("distance", Dtype.DOUBLE), Column("hour", Dtype.LONG), Column("origin", Dtype.STRING, required=False))
COLUMNS = {
    "distance": np.array([100.0, 500.0, 900.0]),
    "hour": np.array([6.0, 12.0, 18.0]),
    "origin": np.array(["EWR", "JFK", None], dtype=object),
}


def fit():
    plans = (
        TransformPlan(kind="zscore", columns=["distance"]),
        TransformPlan(kind="identity", columns=["hour"]),
        TransformPlan(kind="onehot", columns=["origin"]),
    )
    moments = Moments(plans, INPUTS)
    moments.add(COLUMNS)
    return moments.finish()


def linear(width: int, outputs: int = 1, batch: str | int = "batch", seed: int = 0) -> helper.ModelProto:
    weights = np.random.default_rng(seed).normal(size=(width, outputs)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["features", "weights"], ["answer"])],
        "linear",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [batch, width])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, [batch, outputs])],
        [numpy_helper.from_array(weights, "weights")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture
def columns():
    return COLUMNS


@pytest.fixture
def features():
    return fit()


@pytest.fixture
def write(tmp_path, features):
    """Writes a bundle to a new folder; gives folder and digest."""

    def write(onnx: bytes | None = None, outputs: int = 1, name: str = "bundle") -> tuple[Path, str]:
        signature = Signature(INPUTS, tuple(Column(f"answer_{n}", Dtype.FLOAT) for n in range(outputs)))
        model = onnx if onnx is not None else linear(len(features.outputs), outputs).SerializeToString()
        folder = tmp_path / name
        digest = write_bundle(folder, name="flights", onnx=model, features=features, signature=signature, facts={"seed": 1})
        return folder, digest

    return write
