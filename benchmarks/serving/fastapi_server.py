"""Plain FastAPI as its documentation shows it, over the same ONNX file. ``python fastapi_server.py PORT MODEL``."""

import sys

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[2], options, providers=["CPUExecutionProvider"])
app = FastAPI()


class Request(BaseModel):
    """Rows of numbers."""

    inputs: list[list[float]]


class Answer(BaseModel):
    """One prediction for each row."""

    predictions: list[float]


@app.post("/invocations")
async def invocations(request: Request) -> Answer:
    """Predict."""
    answer = session.run(None, {"features": np.array(request.inputs, np.float32)})[0]
    return Answer(predictions=answer[:, 0].tolist())


uvicorn.run(app, port=int(sys.argv[1]), http="httptools", loop="uvloop", access_log=False, log_level="error")
