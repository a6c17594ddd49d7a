"""Bad requests get a 4xx with a JSON body that says what and where, at once."""

import json
import pickle
import zlib

import pytest

from .conftest import RECORD

JSON = {"content-type": "application/json"}
PATH = "/models/flights/invocations"
ROWS = '{"dataframe_split": {"columns": ["distance"], "data": [[1]'


def one(**change):
    return json.dumps({"inputs": [{**RECORD, **change}]})


def body(value):
    """One record with the literal ``value`` as its distance."""
    return one(distance=0.125).replace("0.125", value)


BODIES = {
    "empty": ("", "zero-length"),
    "truncated": ('{"inputs": [', "not JSON"),
    "trailing garbage": ('{"inputs": []} x', "not JSON"),
    "byte order mark": ("\ufeff{}", "byte order mark"),
    "UTF-16": (one().encode("utf-16"), "not JSON"),
    "invalid UTF-8": (b'{"inputs": "\xff\xfe"}', "not JSON"),
    "lone surrogate": (one(carrier="UA").replace("UA", "\\ud800"), "surrogate"),
    "NUL": ("\0", "not JSON"),
    "NaN": (body("NaN"), "line 1"),
    "Infinity": (body("Infinity"), "line 1"),
    "-Infinity": (body("-Infinity"), "not JSON"),
    "1e400": (body("1e400"), "infinity"),
    "a thousand digits": (body("9" * 1000), "infinity"),
    "leading zero": (body("01"), "not JSON"),
    "single quotes": ("{'inputs': []}", "not JSON"),
    "comment": ('{"inputs": [] /* none */}', "not JSON"),
    "depth of 100,000": ("[" * 100_000, "depth"),
    "depth within a value": ('{"inputs": ' + "[" * 1000 + "]" * 1000 + "}", "row 0"),
    "a list": ("[[1, 2]]", "is a list, expected an object"),
    "a number": ("7", "is a number, expected an object"),
    "null": ("null", "is null, expected an object"),
    "no key": ("{}", "exactly one of the keys"),
    "two keys": ('{"inputs": [], "instances": []}', "exactly one of the keys"),
    "an unknown key": ('{"data": []}', "found: 'data'"),
    "__proto__": ('{"__proto__": {}, "inputs": []}', "exactly one of the keys"),
    "a column __proto__": (one(__proto__=1), "'__proto__' is not in the signature"),
    "params": (json.dumps({"inputs": [RECORD], "params": {"temperature": 1}}), "params: this model takes none"),
    "100,000 keys": (json.dumps({"inputs": {f"k{n}": 1 for n in range(50_000)}}), "column 'distance' is missing"),
    "a string for all": ('{"inputs": "' + "x" * 500_000 + '"}', "inputs: is a string"),
    "ragged rows": ('{"inputs": [[1, 2], [1]]}', "row 0: has 2 values, expected 8"),
    "ragged columns": ('{"inputs": {"distance": [1, 2], "load": [1]}}', "is missing"),
    "a row that is no row": ('{"inputs": [[1,2,3,4,5,6,7,8], 3]}', "row 1: is a number, expected a list of 8 values"),
    "seven columns": (json.dumps({"inputs": [list(RECORD.values())[:-1]]}), "row 0: has 7 values, expected 8"),
    "nine columns": (json.dumps({"inputs": [[*RECORD.values(), 1]]}), "row 0: has 9 values, expected 8"),
    "columns named twice": ('{"dataframe_split": {"columns": ["hour", "hour"], "data": [[1, 1]]}}', "'hour' stands twice"),
    "columns that are no names": ('{"dataframe_split": {"columns": [1], "data": [[1]]}}', "holds a number, expected names"),
    "split without data": ('{"dataframe_split": {"columns": []}}', "dataframe_split: expected an object with data"),
    "split with more": ('{"dataframe_split": {"data": [], "dtype": 1}}', "dataframe_split: expected"),
    "split that is a list": ('{"dataframe_split": []}', "dataframe_split: expected"),
    "an index of another length": ('{"dataframe_split": {"data": [], "index": [0]}}', "dataframe_split.index"),
    "records that are an object": ('{"dataframe_records": {}}', "dataframe_records: is an object"),
    "a string for a number": (one(distance="1"), "column 'distance', row 0: is a string"),
    "a boolean for a number": (one(distance=True), "column 'distance', row 0: is a boolean"),
    "null where a value must be": (one(hour=None), "column 'hour', row 0: is null"),
    "a fraction for an integer": (one(hour=1.5), "column 'hour', row 0: 1.5 is not a whole number"),
    "2**63": (one(hour=2**63), "out of the range of long"),
    "a name of 100,000 characters": (one(**{"x" * 100_000: 1}), "is not in the signature"),
    "an infer request": ('{"inputs": [{"name": "distance", "shape": [1], "datatype": "FP64", "data": [1]}]}', "is missing"),
}


@pytest.mark.parametrize(("sent", "says"), BODIES.values(), ids=BODIES)
def test_a_body_that_does_not_fit_gets_400_and_the_reason(client, sent, says):
    answer = client.post(PATH, content=sent, headers=JSON)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error_code"] == "BAD_REQUEST"
    assert says in answer.json()["message"]
    assert len(answer.content) < 1_000
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("value", ["-0", "-0.0", "1E2", "1e-400", "9007199254740993"])
def test_odd_but_valid_numbers_are_answered(client, value):
    assert client.post(PATH, content=body(value), headers=JSON).status_code == 200


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"content-type": "text/plain"}, "text/plain"),
        ({"content-type": "application/x-www-form-urlencoded"}, "send application/json"),
        ({"content-type": "application/octet-stream"}, "send application/json"),
        ({"content-type": "application/x-python-pickle"}, "send application/json"),
        ({"content-type": "multipart/form-data; boundary=" + "x" * 10_000}, "multipart/form-data"),
        ({"content-type": "application/json; charset=utf-16"}, "utf-16"),
        ({"content-type": "text/csv"}, "send application/json"),
        ({"content-type": "application/json", "content-encoding": "gzip"}, "compressed"),
        ({"content-type": "application/json", "content-encoding": "deflate"}, "compressed"),
    ],
)
def test_another_type_or_encoding_gets_415(client, headers, says):
    answer = client.post(PATH, content=zlib.compress(pickle.dumps(RECORD)), headers=headers)
    assert answer.status_code == 415
    assert says in answer.json()["message"]


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON"])
def test_json_by_another_spelling_is_taken(client, kind):
    assert client.post(PATH, content=one(), headers={"content-type": kind}).status_code == 200


def test_too_many_rows_get_413(client):
    answer = client.post(PATH, json={"dataframe_split": {"data": [[]] * 1001}})
    assert (answer.status_code, answer.json()["error_code"]) == (413, "REQUEST_TOO_LARGE")
    assert "1001 rows" in answer.json()["message"]


def test_a_body_over_the_limit_gets_413_by_its_length_and_by_its_chunks(client):
    big = b" " * (2 << 20)
    for content in (big, iter([big[:100_000]] * 30)):
        answer = client.post(PATH, content=content, headers=JSON)
        assert answer.status_code == 413
        assert "larger than 1048576 bytes" in answer.json()["message"]
    assert client.post(PATH, content=one(), headers=JSON).status_code == 200


def test_a_body_in_chunks_is_answered_as_a_whole_one(client):
    text = one().encode()
    whole = client.post(PATH, content=text, headers=JSON).json()
    assert client.post(PATH, content=(text[at : at + 1] for at in range(len(text))), headers=JSON).json() == whole


PATHS = [
    "/nothing",
    "/",
    "//ping",
    "/ping/",
    "/models/",
    "/models//invocations",
    "/models/nothing/invocations",
    "/models/flights:99/invocations",
    "/models/flights:0/invocations",
    "/models/flights@nobody/invocations",
    "/models/flights@active:1/invocations",
    "/models/..%2F..%2Fetc/invocations",
    "/models/%2e%2e/invocations",
    "/models/%252e%252e/invocations",
    "/models/..%5C..%5Cetc/invocations",
    "/models/flights%00/invocations",
    "/models/flights%2Finvocations",
    "/models/" + "x" * 5_000 + "/invocations",
    "/models/fl%F0%9F%98%80ghts/invocations",
    "/models/%E2%80%AEflights/invocations",
    "/models/models:%2Fflights%2F1/invocations",
    "/models/file:%2F%2F%2Fetc%2Fpasswd/invocations",
    "/models/flights/invocations/more",
    "/v2/models/nothing/infer",
    "/v2/models/flights/versions/99/infer",
    "/v2/models/flights/versions/x/infer",
    "/v2/models/flights@champion/versions/1/infer",
    "/v2/models/flights/versions",
    "/invocations",
]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_names_nothing_gets_404_in_json(client, path):
    answer = client.post(path, content=one(), headers=JSON)
    assert answer.status_code == 404, answer.text
    message = answer.json()["error" if path.startswith("/v2") else "message"]
    assert message
    assert len(message) < 300
    assert "/tmp" not in message


def test_a_path_that_is_not_utf8_gets_400(client):
    assert client.get("/models/%FF%FE").status_code == 400


@pytest.mark.parametrize(
    "path", ["/models/%66lights/invocations", "/models/flights%40active/invocations", "/models/flights%3A2/invocations"]
)
def test_a_uid_is_percent_decoded_once(client, path):
    assert client.post(path, content=one(), headers=JSON).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", PATH, "POST"),
        ("DELETE", PATH, "POST"),
        ("OPTIONS", PATH, "POST"),
        ("POST", "/ping", "GET, HEAD"),
        ("PUT", "/models/flights", "GET, HEAD"),
        ("DELETE", "/models", "GET, HEAD"),
        ("GET", "/v2/models/flights/infer", "POST"),
        ("PATCH", "/metrics", "GET, HEAD"),
    ],
)
def test_another_method_gets_405_and_the_right_ones(client, method, path, allowed):
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert allowed in answer.text


def test_head_is_get_without_a_body(client):
    for path in ("/ping", "/health", "/models", "/models/flights"):
        head, get = client.head(path), client.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(get.content))


def test_a_request_id_is_the_clients_own_when_it_is_sane(client):
    def given(request_id):
        return client.get("/ping", headers={"x-request-id": request_id}).headers["x-request-id"]

    assert given("order-7:a/b.c_d@e=+") == "order-7:a/b.c_d@e=+"
    for bad in ("", "x" * 129, "a b", 'a"b', "a;b", "<script>"):
        assert given(bad) != bad
    first, second = (client.get("/ping").headers["x-request-id"] for _ in range(2))
    assert first != second
