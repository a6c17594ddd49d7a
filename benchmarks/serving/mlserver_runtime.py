"""MLServer's custom runtime over the same ONNX file, as its documentation shows it. MLServer loads this file."""

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Mlp(MLModel):
    """The MLP."""

    async def load(self) -> bool:
        """Open the ONNX file that ``parameters.uri`` names."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(self.settings.parameters.uri, options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer one request of the Open Inference Protocol."""
        matrix = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32)
        answer = self._session.run(None, {"features": matrix})[0]
        return InferenceResponse(
            model_name=self.name, model_version=self.version, outputs=[NumpyCodec.encode_output("answer", answer[:, 0])]
        )
