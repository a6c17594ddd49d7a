"""Both kinds of store, empty for each test, and a small real model: a bundle with an ONNX graph of one linear layer."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import numpy as np
import pytest
import sqlalchemy
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


@pytest.fixture(scope="session")
def write_model():
    """Writes the bundle of a model whose answers depend on ``scale`` to a folder."""

    def write(folder: Path, scale: float = 0.1, **facts) -> Path:
        features = build_features()
        model = build_onnx(len(features.outputs), scale)
        write_bundle(folder, name="flights", onnx=model, features=features, signature=SIGNATURE, facts=facts)
        return folder

    return write


@pytest.fixture
def make_bundle(tmp_path, write_model):
    """The same, to a folder of the test's own."""
    return lambda scale=0.1, **facts: write_model(tmp_path / f"bundle-{scale}-{len(list(tmp_path.iterdir()))}", scale, **facts)


class Folder:
    """The files of a folder of artifacts, by their paths in it."""

    def __init__(self, store: Store) -> None:
        self.root = Path(store.artifacts)

    def names(self) -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        (self.root / name).write_bytes(data)

    def delete(self, name: str) -> None:
        (self.root / name).unlink()
        for folder in (self.root / name).parents:
            if not any(folder.iterdir()):
                folder.rmdir()


class Bucket:
    """The same of a bucket."""

    def __init__(self, store: Store) -> None:
        keys = {"aws_access_key_id": store.s3.access_key, "aws_secret_access_key": store.s3.secret_key}
        secrets = {name: key.get_secret_value() for name, key in keys.items()}
        self.client = boto3.client("s3", endpoint_url=store.s3.endpoint, region_name=store.s3.region, **secrets)
        parts = urlsplit(store.artifacts)
        self.bucket, self.prefix = parts.netloc, parts.path.strip("/") + "/"

    def names(self) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
        return sorted(found["Key"].removeprefix(self.prefix) for page in pages for found in page.get("Contents", []))

    def read(self, name: str) -> bytes:
        return self.client.get_object(Bucket=self.bucket, Key=self.prefix + name)["Body"].read()

    def write(self, name: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=self.prefix + name, Body=data)

    def delete(self, name: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=self.prefix + name)


@pytest.fixture(scope="session")
def prepared_database(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("mlflow")
    Registry(Store(str(folder / "mlflow.db"), str(folder / "artifacts"))).models()
    return folder / "mlflow.db"


def local_store(folder, prepared_database) -> Store:
    with closing(sqlite3.connect(prepared_database)) as source, closing(sqlite3.connect(folder / "mlflow.db")) as copy:
        source.backup(copy)
    return Store(str(folder / "mlflow.db"), str(folder / "artifacts"))


@pytest.fixture(scope="session")
def cluster_store(cluster) -> Store:
    store = Store.of(cluster)
    with start_run(store, "first") as run:  # makes tables and bucket
        run.log_json({}, "empty.json")
    return store


def empty(store: Store) -> Store:
    """Without the rows of the test before, but for the one experiment that MLflow makes with its tables."""
    engine = sqlalchemy.create_engine(store.uri, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("SET FOREIGN_KEY_CHECKS=0"))
        for table in sqlalchemy.inspect(connection).get_table_names():
            if table not in ("alembic_version", "experiments", "workspaces"):
                connection.execute(sqlalchemy.text(f"DELETE FROM {table}"))  # noqa: S608 — a name that the database gave
    bucket = Bucket(store)
    for name in bucket.names():
        bucket.delete(name)
    return store


LOCAL_AND_CLUSTER = ["local", pytest.param("cluster", marks=pytest.mark.cluster)]


@pytest.fixture
def store(request, tmp_path, prepared_database) -> Store:
    """SQLite and a folder, or what the fixture is parametrized with (see LOCAL_AND_CLUSTER)."""
    if getattr(request, "param", "local") == "cluster":
        return empty(request.getfixturevalue("cluster_store"))
    return local_store(tmp_path, prepared_database)


@pytest.fixture
def files(store) -> Folder | Bucket:
    return Bucket(store) if store.artifacts.startswith("s3://") else Folder(store)


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
