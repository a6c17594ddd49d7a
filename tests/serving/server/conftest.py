"""A folder of real bundles, and real server processes over it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from core.bundle import write_bundle
from core.contracts import Column, Dtype, Signature
from core.features.moments import Moments
from core.features.plan import TransformPlan

FLIGHTS = (
    Column("distance", Dtype.DOUBLE),
    Column("load", Dtype.FLOAT),
    Column("hour", Dtype.LONG),
    Column("seats", Dtype.INTEGER),
    Column("weekend", Dtype.BOOLEAN),
    Column("carrier", Dtype.STRING),
    Column("wind", Dtype.DOUBLE, required=False),
    Column("origin", Dtype.STRING, required=False),
)
NUMBERS = tuple(Column(f"x{n}", Dtype.FLOAT) for n in range(4))
RECORD = {
    "distance": 1400.0,
    "load": 0.75,
    "hour": 17,
    "seats": 180,
    "weekend": False,
    "carrier": "UA",
    "wind": 9.5,
    "origin": "EWR",
}


def fit(inputs, rng):
    texts = [column.name for column in inputs if column.dtype is Dtype.STRING]
    numbers = [column.name for column in inputs if column.dtype is not Dtype.STRING]
    plans = [TransformPlan(kind="zscore" if texts else "identity", columns=numbers)]
    if texts:
        plans.append(TransformPlan(kind="onehot", columns=texts))
    columns = {name: rng.normal(10, 5, 200) for name in numbers} | {
        name: rng.choice(np.array(["EWR", "JFK", "UA", None], dtype=object), 200) for name in texts
    }
    moments = Moments(tuple(plans), inputs)
    moments.add(columns)
    return moments.finish()


def graph(width, outputs, rng):
    weights = numpy_helper.from_array((rng.normal(size=(width, outputs)) * 0.2).astype(np.float32), "weights")
    nodes = [helper.make_node("MatMul", ["features", "weights"], ["z"]), helper.make_node("Sigmoid", ["z"], ["answer"])]
    shape = [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", width])]
    answer = [helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["batch", outputs])]
    return helper.make_model(
        helper.make_graph(nodes, "g", shape, answer, [weights]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()


@dataclass
class Bundles:
    """A bundle cache as the registry leaves it."""

    folder: Path

    def add(self, name="flights", version=1, *, inputs=FLIGHTS, outputs=1, **aliases):
        """Writes a version whose answers are its own; ``active=1`` and the like move aliases."""
        rng = np.random.default_rng(version)
        features = fit(inputs, rng)
        digest = write_bundle(
            self.folder / name / str(version),
            name=name,
            onnx=graph(len(features.outputs), outputs, rng),
            features=features,
            signature=Signature(inputs, tuple(Column(f"answer_{n}", Dtype.FLOAT) for n in range(outputs))),
            facts={"version": version},
        )
        index = self.index()
        entry = index["models"].setdefault(name, {"aliases": {}, "versions": {}})
        entry["versions"][str(version)] = {"sha256": digest}
        entry["aliases"].update(aliases)
        self.write(index)
        return self

    def alias(self, name, **aliases):
        index = self.index()
        index["models"][name]["aliases"].update(aliases)
        self.write(index)

    def index(self):
        file = self.folder / "index.json"
        return json.loads(file.read_text()) if file.exists() else {"models": {}}

    def write(self, index):
        part = self.folder / ".index"
        part.write_text(json.dumps(index))
        part.rename(self.folder / "index.json")


@dataclass
class Running:
    """A server process."""

    process: subprocess.Popen
    port: int
    log: Path

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(20)


def command(bundles, *options):
    return [sys.executable, "-m", "serving.server", "--bundles", str(bundles), "--port", "0", *options]


@contextmanager
def running(bundles, log, *options, python=()):
    """A server over ``bundles`` that answers; its log is in ``log``."""
    arguments = command(bundles, *options)
    with log.open("wb") as errors:
        process = subprocess.Popen([arguments[0], *python, *arguments[1:]], stdout=subprocess.PIPE, stderr=errors, env=os.environ)
        try:
            line = process.stdout.readline()
            assert line, log.read_text()
            yield Running(process, json.loads(line)["port"], log)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


@pytest.fixture
def bundles(tmp_path):
    (tmp_path / "bundles").mkdir()
    return Bundles(tmp_path / "bundles")


@pytest.fixture(scope="session")
def shared_bundles(tmp_path_factory):
    """``flights`` (versions 1 and 2, 2 active, 1 champion) and ``numbers``. Read only."""
    folder = tmp_path_factory.mktemp("bundles")
    made = Bundles(folder).add(version=1, champion=1).add(version=2, active=2)
    made.add("numbers", inputs=NUMBERS, active=1)
    yield made
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def server(shared_bundles, tmp_path_factory):
    """One process for all tests that do not change it: at most 1 MB and 1,000 rows."""
    options = ("--max-body-mb", "1", "--max-rows", "1000")
    with running(shared_bundles.folder, tmp_path_factory.mktemp("server") / "log", *options) as started:
        yield started


@pytest.fixture
def client(server):
    with httpx.Client(base_url=server.url, timeout=10) as opened:
        yield opened
