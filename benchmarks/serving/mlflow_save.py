"""Save the ONNX file as MLflow models, without and with a signature. ``python mlflow_save.py MODEL FOLDER``."""

import sys
from pathlib import Path

import mlflow.onnx
import onnx
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

model, folder = onnx.load(sys.argv[1]), Path(sys.argv[2])
options = {
    "onnx_execution_providers": ["CPUExecutionProvider"],
    "pip_requirements": ["onnxruntime"],
    "save_as_external_data": False,
}
sessions = {"onnx_session_options": {"intra_op_num_threads": 1}}
columns = Schema([ColSpec("float", f"column_{n}") for n in range(32)])
mlflow.onnx.save_model(model, str(folder / "plain"), **options, **sessions)
mlflow.onnx.save_model(
    model, str(folder / "signed"), signature=ModelSignature(columns, Schema([ColSpec("float", "answer")])), **options, **sessions
)
