"""torch → ONNX, and the proof that both say the same."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import torch

from core.errors import PublishRefused
from training.tasks.binary import Answering

TOLERANCE = 1e-5
"""The largest difference between torch and ONNX Runtime that is let through."""

Floats = npt.NDArray[np.float32]


def export_onnx(model: Answering, width: int) -> bytes:
    """One ONNX file, weights inside: input ``features`` float32 [batch, width], output ``probability`` [batch], any ``batch``."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter calls what torch itself has deprecated
        program: Any = torch.onnx.export(
            model,
            (torch.zeros(2, width),),
            dynamo=True,
            input_names=["features"],
            output_names=["probability"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    onnx: bytes = _without_traces(program.model_proto).SerializeToString()
    return onnx


def _without_traces(model: Any) -> Any:
    """The model without the exporter's notes: they hold stack traces, with paths of this machine."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer, *graph.value_info):
        del part.metadata_props[:]
        part.doc_string = ""
    del graph.value_info[:]
    return model


def check_parity(model: Answering, onnx: bytes, rows: Floats) -> float:
    """The largest absolute difference between torch and ONNX Runtime over ``rows`` [n, d] and edge rows.

    Raises PublishRefused when it is above ``TOLERANCE``, or one of them gives a number that is not finite.
    """
    rows = np.concatenate([rows, edge_rows(rows.shape[1])])
    session = ort.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    (theirs,) = session.run(None, {"features": rows})
    with torch.inference_mode():
        ours = model(torch.from_numpy(rows)).numpy()
    difference = float(np.abs(ours.astype(np.float64) - theirs).max())
    if not difference <= TOLERANCE:
        worst = int(np.abs(ours - theirs).argmax())
        raise PublishRefused(
            f"ONNX Runtime and torch differ by {difference:g} on row {worst} of {len(rows)}: at most {TOLERANCE:g} passes",
            parity=difference,
        )
    return difference


def edge_rows(width: int) -> Floats:
    """Rows [k, width] that real data may come near: zeros, all large of either sign, tiny ones, one large value at a time."""
    whole = [np.full((1, width), value, np.float32) for value in (0, 1, -1, 1e-30, 1e3, -1e3)]
    single = np.eye(width, dtype=np.float32)
    return np.concatenate([*whole, single * 1e3, single * -1e3])
