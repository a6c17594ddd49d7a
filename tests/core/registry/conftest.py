"""One prepared database, copied for each test, and a small real model: a bundle with an ONNX graph of one linear layer."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from core.bundle import write_bundle
from core.contracts import Column, Dtype, Signature
from core.features.moments import Moments
from core.features.plan import TransformPlan
from core.registry.bundles import BundleCache
from core.registry.store import Store
from core.registry.tracking import start_run
from core.registry.versions import Registry

SIGNATURE = Signature(
    (
        Column("distance", Dtype.DOUBLE),
        Column("hour", Dtype.LONG),
        Column("wind", Dtype.DOUBLE, required=False),
        Column("origin", Dtype.STRING, required=False),
    ),
    (Column("probability", Dtype.FLOAT),),
)
COLUMNS = {
    "distance": np.array([100.0, 500.0, 900.0]),
    "hour": np.array([6.0, 12.0, 18.0]),
    "wind": np.array([1.0, np.nan, 3.0]),
    "origin": np.array(["EWR", "JFK", None], dtype=object),
}


def build_features():
    plans = (
        TransformPlan(kind="zscore", columns=["distance", "wind"]),
        TransformPlan(kind="identity", columns=["hour"]),
        TransformPlan(kind="onehot", columns=["origin"]),
    )
    moments = Moments(plans, SIGNATURE.inputs)
    moments.add(COLUMNS)
    return moments.finish()


def build_onnx(width: int, scale: float) -> bytes:
    weights = numpy_helper.from_array(np.full((width, 1), scale, np.float32), "weights")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["features", "weights"], ["logit"]), helper.make_node("Sigmoid", ["logit"], ["answer"])],
        "linear",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", width])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["batch", 1])],
        [weights],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


@pytest.fixture
def raw_columns():
    return COLUMNS


@pytest.fixture
def make_bundle(tmp_path):
    """Writes the bundle of a model whose answers depend on ``scale``."""

    def write(scale: float = 0.1, **facts) -> Path:
        folder = tmp_path / f"bundle-{scale}-{len(list(tmp_path.iterdir()))}"
        features = build_features()
        model = build_onnx(len(features.outputs), scale)
        write_bundle(folder, name="flights", onnx=model, features=features, signature=SIGNATURE, facts=facts)
        return folder

    return write


@pytest.fixture(scope="session")
def prepared_database(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("mlflow")
    Registry(Store(folder / "mlflow.db", folder / "artifacts")).models()
    return folder / "mlflow.db"


@pytest.fixture
def store(tmp_path, prepared_database) -> Store:
    with closing(sqlite3.connect(prepared_database)) as source, closing(sqlite3.connect(tmp_path / "mlflow.db")) as copy:
        source.backup(copy)
    return Store(tmp_path / "mlflow.db", tmp_path / "artifacts")


@pytest.fixture
def registry(store) -> Registry:
    return Registry(store)


@pytest.fixture
def cache(registry, tmp_path) -> BundleCache:
    return BundleCache(registry, tmp_path / "bundles")


@pytest.fixture
def publish(registry, make_bundle):
    """Publishes a new version of ``name``."""

    def register(scale: float = 0.1, name: str = "flights", **options):
        with start_run(registry.store, "flights") as run:
            return registry.publish(make_bundle(scale, dataset="features.flights@4"), name=name, run_id=run.id, **options)

    return register
