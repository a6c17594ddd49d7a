"""A bundle that answers: raw columns → transforms → ONNX Runtime. The same in a server and in a Spark worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from core.bundle import Bundle
from core.errors import ModelError
from core.onnx_check import refuse_external_data

_INPUT = "features"
_FATAL = 4


class Predictor:
    """One loaded model version. Safe to call from several threads.

    Raises ModelError when the ONNX file cannot be opened, keeps weights elsewhere, or does not fit the bundle's features and
    signature.
    """

    __slots__ = ("_features", "_output", "_outputs", "_run", "_single", "_width", "bundle")

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        refuse_external_data(bundle.onnx)
        session = _open_session(bundle, threads)
        self.bundle = bundle
        self._features = bundle.features
        self._width = len(bundle.features.outputs)
        self._outputs = len(bundle.signature.outputs)
        self._single = self._outputs == 1
        self._output = [_check_graph(bundle, session, self._width)]
        # InferenceSession.run wraps this call and costs as much again as a small model
        self._run = session._sess.run  # noqa: SLF001
        self._try_once()

    @property
    def takes_rows(self) -> bool:
        """Whether a row of the signature's numbers, with none missing, is a row of the feature matrix as it stands."""
        read = [item.column for item in self._features.transforms if item.transform.kind == "identity"]
        inputs = [column.name for column in self.bundle.signature.inputs]
        return read == inputs and len(read) == len(self._features.transforms)

    def predict(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Answers for raw columns (numbers as float64 with NaN for missing, strings as objects): [n] or [n, k] float32."""
        return self.run(self._features.matrix(columns))

    def run(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Answers for a feature matrix, float32 [n, d]: [n] when the signature has one output, else [n, k]; float32."""
        if not len(matrix):
            return np.empty(0 if self._single else (0, self._outputs), np.float32)
        answer: NDArray[np.float32] = self._run(self._output, {_INPUT: matrix}, None)[0]
        return answer.reshape(-1) if self._single else answer

    def _try_once(self) -> None:
        """One run on two rows: what the graph says of its shapes may be left open, and what it does is what counts."""
        try:
            shape = self.run(np.zeros((2, self._width), np.float32)).shape
        except Exception as error:  # ONNX Runtime's exceptions have no common root of their own
            raise ModelError(
                f"model {self.bundle.name}: the ONNX graph fails on two rows of zeros: {_first_line(error)}"
            ) from error
        if shape != ((2,) if self._single else (2, self._outputs)):
            raise ModelError(
                f"model {self.bundle.name}: the ONNX graph answers two rows with shape {list(shape)}, "
                f"the signature has {self._outputs} output(s)"
            )


def _open_session(bundle: Bundle, threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _FATAL
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(bundle.onnx, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no common root of their own
        raise ModelError(f"model {bundle.name}: ONNX Runtime cannot open it: {_first_line(error)}") from error


def _check_graph(bundle: Bundle, session: Any, width: int) -> str:
    """The output's name; ModelError unless the graph takes ``features`` float32 [batch, width] and has one float output."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    found = ", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
    if len(inputs) != 1 or inputs[0].name != _INPUT or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 2:  # noqa: PLR2004
        raise ModelError(f"model {bundle.name}: the ONNX graph takes {found}; expected {_INPUT} tensor(float) [batch, {width}]")
    batch, columns = inputs[0].shape
    if isinstance(batch, int) or (isinstance(columns, int) and columns != width):
        raise ModelError(f"model {bundle.name}: the ONNX graph takes {found}; the features need [batch, {width}]")
    if len(outputs) != 1 or outputs[0].type != "tensor(float)":
        raise ModelError(f"model {bundle.name}: the ONNX graph has {len(outputs)} outputs; expected one of tensor(float)")
    return str(outputs[0].name)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
