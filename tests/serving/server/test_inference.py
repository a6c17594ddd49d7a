"""The Open Inference Protocol, by hand and by Triton's own client."""

import numpy as np
import pytest

from .conftest import FLIGHTS, RECORD
from .test_forms import DATATYPES, tensors

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:gevent.*", "ignore::DeprecationWarning:geventhttpclient.*")


def mlflow_answer(client, records, path="/models/flights/invocations"):
    return client.post(path, json={"inputs": records}).json()["predictions"]


def test_the_server_tells_of_itself_and_of_its_models(client):
    assert client.get("/v2").json()["name"] == "maas"
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").status_code == 200
    assert client.get("/v2/models/flights/ready").json()["ready"] is True
    for path in ("/v2/models/flights", "/v2/models/flights/versions/2", "/v2/models/flights:2"):
        told = client.get(path).json()
        assert (told["name"], told["versions"], told["platform"]) == ("flights", ["2"], "onnxruntime_onnx")
        assert told["inputs"] == [{"name": c.name, "datatype": DATATYPES[c.dtype], "shape": [-1]} for c in FLIGHTS]
        assert told["outputs"] == [{"name": "answer_0", "datatype": "FP32", "shape": [-1]}]


@pytest.mark.parametrize(
    ("path", "uid"),
    [("flights", "flights"), ("flights/versions/1", "flights:1"), ("flights@champion", "flights:1"), ("flights:2", "flights:2")],
)
def test_an_inference_is_the_answer_of_that_version(client, path, uid):
    request = {**tensors([RECORD, RECORD]), "id": "42", "parameters": {"priority": 1}, "outputs": [{"name": "answer_0"}]}
    answer = client.post(f"/v2/models/{path}/infer", json=request)
    told = answer.json()
    assert answer.headers["x-model-version"] == told["model_version"]
    assert (told["id"], told["model_name"]) == ("42", "flights")
    assert told["outputs"][0]["shape"] == [2]
    assert told["outputs"][0]["data"] == mlflow_answer(client, [RECORD, RECORD], f"/models/{uid}/invocations")


def change(number=0, **parts):
    request = tensors([RECORD])
    request["inputs"][number].update(parts)
    return request


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({}, "inputs: expected a list of tensors"),
        ({"inputs": []}, "inputs: expected a list of tensors"),
        ({"inputs": [1]}, "inputs: expected a list of tensors"),
        ({**tensors([RECORD]), "id": 7}, "id: is a number"),
        ({**tensors([RECORD]), "extra": 7}, "'extra' is no part"),
        ({**tensors([RECORD]), "outputs": [{"name": "other"}]}, "'other' is none of the model's outputs: answer_0"),
        ({**tensors([RECORD]), "outputs": {"name": "other"}}, "outputs: is an object"),
        ({**tensors([RECORD]), "outputs": [{"name": "answer_0", "parameters": {"binary_data": True}}]}, "binary"),
        ({**tensors([RECORD]), "parameters": {"binary_data_output": True}}, "binary"),
        ({**tensors([RECORD]), "parameters": 3}, "parameters: is a number"),
        (change(parameters={"binary_data_size": 8}), "binary"),
        (change(name=3), "a tensor has a name"),
        (change(datatype="BYTES"), "tensor 'distance': datatype 'BYTES', expected one of"),
        (change(2, datatype="FP64"), "tensor 'hour': datatype 'FP64'"),
        (change(shape=[2]), "data has 1 elements, shape [2] needs 2"),
        (change(shape=[-1]), "shape is a list of sizes"),
        (change(shape=[1.0]), "shape is a list of sizes"),
        (change(shape="1"), "shape is a list of sizes"),
        (change(shape=[]), "expected [rows]"),
        (change(shape=[1, 1, 1]), "expected [rows]"),
        (change(shape=[1, 10**30]), "shape is a list of sizes"),
        (change(data=3), "data is a number"),
        (change(data=["1"]), "column 'distance', row 0: is a string"),
        (change(data=[None]), "column 'distance', row 0: is null"),
        (change(name="other"), "column 'distance' is missing"),
        (change(name="load"), "stands twice"),
        (change(shape=[2], data=[1, 2]), "the columns before it have 2"),
        ({"inputs": [{"name": "all", "datatype": "FP64", "shape": [1, 8], "data": [[1] * 8]}]}, "send one for each column"),
    ],
)
def test_a_request_that_does_not_fit_gets_400_and_the_reason(client, request_, says):
    answer = client.post("/v2/models/flights/infer", json=request_)
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]
    assert says in answer.json()["error"]


@pytest.mark.parametrize(
    ("shape", "data", "says"),
    [
        ([2, 3], [[1, 2, 3]] * 2, "expected [rows, 4]"),
        ([2, 4], [[1, 2, 3, 4], [1]], "ragged"),
        ([1, 4], [1, 2, 3, True], "is a boolean"),
        ([2, 4], [1, 2, 3, 4], "needs 8"),
    ],
)
def test_a_matrix_that_does_not_fit_gets_400_and_the_reason(client, shape, data, says):
    request = {"inputs": [{"name": "x", "datatype": "FP32", "shape": shape, "data": data}]}
    answer = client.post("/v2/models/numbers/infer", json=request)
    assert (answer.status_code, says in answer.json()["error"]) == (400, True)


def test_tritons_client_is_answered(server, client):
    from tritonclient import http as triton

    def tensor(name, datatype, values):
        made = triton.InferInput(name, [len(values)], datatype)
        made.set_data_from_numpy(np.array(values, triton.triton_to_np_dtype(datatype)), binary_data=False)
        return made

    with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as opened:
        assert opened.is_server_live()
        assert opened.is_server_ready()
        assert opened.is_model_ready("flights", "2")
        assert opened.get_model_metadata("flights")["versions"] == ["2"]
        inputs = [tensor(c.name, DATATYPES[c.dtype], [RECORD[c.name]] * 3) for c in FLIGHTS]
        outputs = [triton.InferRequestedOutput("answer_0", binary_data=False)]
        result = opened.infer("flights", inputs, outputs=outputs, request_id="7")
        assert result.get_response()["id"] == "7"
        np.testing.assert_array_equal(result.as_numpy("answer_0"), np.float32(mlflow_answer(client, [RECORD] * 3)))
        # given the binary form, which is that client's default
        with pytest.raises(triton.InferenceServerException, match="binary"):
            opened.infer("flights", inputs)
