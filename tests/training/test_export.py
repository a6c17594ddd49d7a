"""What is published says what was trained."""

import subprocess
import sys

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from core.errors import PublishRefused
from training.export import TOLERANCE, check_parity, export_onnx
from training.spec import MlpConfig, TaskConfig
from training.tasks.binary import Answering, make_task

WIDTH = 7


def make_model(config: MlpConfig, seed: int = 0) -> Answering:
    torch.manual_seed(seed)
    task = make_task(TaskConfig(model=config))
    return Answering(task.build(WIDTH), task)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((500, WIDTH)).astype(np.float32)


@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "tanh"])
def test_torch_and_onnx_runtime_agree_on_real_and_edge_rows(activation: str, rows: np.ndarray) -> None:
    model = make_model(MlpConfig.model_validate({"hidden": [16, 8], "activation": activation}))

    assert check_parity(model, export_onnx(model, WIDTH), rows) <= TOLERANCE


def test_the_graph_is_one_small_file_that_takes_any_number_of_rows(rows: np.ndarray) -> None:
    document = export_onnx(make_model(MlpConfig()), WIDTH)

    graph = onnx.load_from_string(document).graph
    session = ort.InferenceSession(document)
    assert [(i.name, i.shape, i.type) for i in session.get_inputs()] == [("features", ["batch", WIDTH], "tensor(float)")]
    assert [(o.name, o.shape, o.type) for o in session.get_outputs()] == [("probability", ["batch"], "tensor(float)")]
    assert {node.op_type for node in graph.node} <= {"Gemm", "Relu", "Squeeze", "Reshape", "Sigmoid"}
    assert not any(tensor.external_data for tensor in graph.initializer)
    for count in (0, 1, 500):
        assert session.run(None, {"features": rows[:count]})[0].shape == (count,)


def test_the_file_holds_no_path_of_the_machine_that_made_it() -> None:
    document = export_onnx(make_model(MlpConfig()), WIDTH)

    assert b"site-packages" not in document
    assert b".py" not in document


def test_another_models_graph_is_refused_with_the_difference(rows: np.ndarray) -> None:
    document = export_onnx(make_model(MlpConfig(), seed=1), WIDTH)

    with pytest.raises(PublishRefused, match=r"differ by 0\.\d+ on row \d+ of 520") as refusal:
        check_parity(make_model(MlpConfig(), seed=2), document, rows)

    assert refusal.value.facts["parity"] > TOLERANCE


def test_a_model_that_answers_nan_is_refused(rows: np.ndarray) -> None:
    model = make_model(MlpConfig())
    with torch.no_grad():
        next(iter(model.parameters())).fill_(float("nan"))

    with pytest.raises(PublishRefused):
        check_parity(model, export_onnx(model, WIDTH), rows)


def test_the_way_in_to_training_loads_no_torch_spark_or_mlflow() -> None:
    program = (
        "import sys, training.run; print([m for m in ('torch', 'pyspark', 'mlflow', 'petastorm', 'sklearn') if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert done.stdout == "[]\n"
    assert done.stderr == ""
