"""Every form of a valid request gets the Predictor's own answer."""

import contextlib
import json
import math

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.bundle import open_bundle
from core.contracts import Dtype
from core.errors import InputError
from core.predictor import Predictor
from serving.server import inference
from serving.server.model import Model

from .conftest import FLIGHTS, NUMBERS, RECORD

NAMES = [column.name for column in FLIGHTS]
DATATYPES = {
    Dtype.DOUBLE: "FP64",
    Dtype.FLOAT: "FP32",
    Dtype.LONG: "INT64",
    Dtype.INTEGER: "INT32",
    Dtype.BOOLEAN: "BOOL",
    Dtype.STRING: "BYTES",
}


@pytest.fixture(scope="module")
def model(shared_bundles):
    return Model("flights", 2, open_bundle(shared_bundles.folder / "flights" / "2"), threads=1, max_rows=1000)


@pytest.fixture(scope="module")
def numbers(shared_bundles):
    return Model("numbers", 1, open_bundle(shared_bundles.folder / "numbers" / "1"), threads=1, max_rows=1000)


def answer(model, document):
    return orjson.loads(model.answer(orjson.dumps(document)))["predictions"]


def columns_of(records, inputs=FLIGHTS):
    """The arrays that the contract between the parts asks for, made without the server's reader."""
    arrays = {}
    for column in inputs:
        values = [record.get(column.name) for record in records]
        if column.dtype is Dtype.STRING:
            arrays[column.name] = np.array([*values, None], dtype=object)[:-1]
        else:
            array = np.array([math.nan if value is None else float(value) for value in values])
            arrays[column.name] = array.astype(np.float32).astype(np.float64) if column.dtype is Dtype.FLOAT else array
    return arrays


def expected(model, records, inputs=FLIGHTS):
    return Predictor(model.bundle).predict(columns_of(records, inputs)).tolist()


def forms(records, names=NAMES):
    rows = [[record.get(name) for name in names] for record in records]
    columns = {name: [record.get(name) for record in records] for name in names}
    backwards = names[::-1]
    given = {"inputs": [columns, records, rows], "instances": [columns, records, rows]}
    yield from ({form: data} for form, several in given.items() for data in several)
    yield {"dataframe_records": records}
    yield {"dataframe_split": {"columns": names, "data": rows}}
    yield {"dataframe_split": {"data": rows, "index": list(range(len(rows)))}}
    yield {"dataframe_split": {"columns": backwards, "data": [row[::-1] for row in rows]}}
    yield {"dataframe_records": [dict(reversed(record.items())) for record in records], "params": {}}


def tensors(records, nested=False):
    shape = [len(records), 1] if nested else [len(records)]
    return {
        "inputs": [
            {
                "name": column.name,
                "datatype": DATATYPES[column.dtype],
                "shape": shape,
                "data": [[record.get(column.name)] if nested else record.get(column.name) for record in records],
            }
            for column in FLIGHTS
        ]
    }


def v2_answer(model, request):
    response = orjson.loads(inference.infer(model, orjson.dumps(request)))
    return response["outputs"][0]["data"]


finite = st.floats(-1e30, 1e30) | st.integers(-(2**53), 2**53)
names = st.sampled_from(["EWR", "JFK", "UA", "", "Zürich", "\u202eABC", "😀"])
record = st.fixed_dictionaries(
    {
        "distance": finite,
        "load": finite,
        "hour": st.integers(-(2**53), 2**53),
        "seats": st.integers(-(2**31), 2**31 - 1) | st.sampled_from([1.0, -3.0]),
        "weekend": st.booleans(),
        "carrier": names,
    },
    optional={"wind": st.none() | finite, "origin": st.none() | names},
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=st.lists(record, min_size=1, max_size=6))
def test_random_records_get_the_predictors_answer_in_every_form(model, records):
    want = expected(model, records)
    for document in forms(records):
        assert answer(model, document) == want, document
    assert v2_answer(model, tensors(records)) == want
    assert v2_answer(model, tensors(records, nested=True)) == want


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.lists(finite, min_size=4, max_size=4), min_size=1, max_size=5))
def test_rows_of_plain_numbers_get_the_predictors_answer_in_every_form(numbers, rows):
    order = [column.name for column in NUMBERS]
    records = [dict(zip(order, row, strict=True)) for row in rows]
    want = expected(numbers, records, NUMBERS)
    for document in forms(records, order):
        # one row and several take different ways through ONNX Runtime's kernels
        np.testing.assert_allclose(answer(numbers, document), want, rtol=1e-6)
    shape = [len(rows), 4]
    flat = [value for row in rows for value in row]
    for data in (rows, flat):
        request = {"inputs": [{"name": "any", "datatype": "FP64", "shape": shape, "data": data}]}
        np.testing.assert_allclose(v2_answer(numbers, request), want, rtol=1e-6)


def test_one_record_as_an_object_of_scalars_is_one_row(model):
    assert answer(model, {"inputs": RECORD}) == expected(model, [RECORD])


@pytest.mark.parametrize(
    "document",
    [
        {"inputs": []},
        {"instances": []},
        {"dataframe_records": []},
        {"dataframe_split": {"columns": NAMES, "data": []}},
        {"dataframe_split": {"data": []}},
        {"inputs": {name: [] for name in NAMES}},
    ],
)
def test_no_rows_have_no_predictions(model, document):
    assert answer(model, document) == []


def test_a_value_is_rounded_to_the_type_of_its_column(model):
    # given a float column, 0.1 means the float nearest to 0.1, as in a table
    exact = {**RECORD, "load": float(np.float32(0.1))}
    assert answer(model, {"inputs": [{**RECORD, "load": 0.1}]}) == expected(model, [exact])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"distance": "1400"}, "column 'distance', row 1: is a string, expected a number (double)"),
        ({"distance": True}, "column 'distance', row 1: is a boolean, expected a number (double)"),
        ({"distance": None}, "column 'distance', row 1: is null, expected a number (double)"),
        ({"distance": [1]}, "column 'distance', row 1: is a list"),
        ({"distance": {}}, "column 'distance', row 1: is an object"),
        ({"hour": 1.5}, "column 'hour', row 1: 1.5 is not a whole number (long)"),
        ({"hour": 2**63}, "column 'hour', row 1: 9223372036854775808 is out of the range of long"),
        ({"hour": 1e300}, "out of the range of long"),
        ({"seats": 2**31}, "column 'seats', row 1: 2147483648 is out of the range of integer"),
        ({"seats": -(2**31) - 1}, "out of the range of integer"),
        ({"load": 1e39}, "column 'load', row 1: 1e+39 is out of the range of float"),
        ({"weekend": 0}, "column 'weekend', row 1: is a number, expected a boolean"),
        ({"weekend": "false"}, "expected a boolean"),
        ({"carrier": 7}, "column 'carrier', row 1: is a number, expected a string"),
        ({"carrier": None}, "column 'carrier', row 1: is null, expected a string"),
        ({"wind": "calm"}, "column 'wind', row 1: is a string, expected a number (double) or null"),
    ],
)
def test_a_value_that_does_not_fit_is_named_by_column_row_and_kind(model, change, says):
    records = [RECORD, {**RECORD, **change}]
    for document in forms(records):
        with pytest.raises(InputError) as raised:
            answer(model, document)
        assert says in raised.value.message, document


@pytest.mark.parametrize("edge", [2**63 - 1, -(2**63), 2**53 + 1, -0.0])
def test_the_ends_of_a_range_are_inside(model, edge):
    assert answer(model, {"inputs": [{**RECORD, "hour": edge}]}) == expected(model, [{**RECORD, "hour": edge}])
    assert len(answer(model, {"inputs": [{**RECORD, "seats": 2**31 - 1}]})) == 1


def test_a_missing_an_extra_and_a_renamed_column_are_named(model):
    without = {name: value for name, value in RECORD.items() if name != "hour"}
    for records, says in [
        ([RECORD, without], "column 'hour' is missing"),
        ([RECORD, {**RECORD, "Hour": 1}], "column 'Hour' is not in the signature"),
        ([RECORD, {**without, "Hour": 1}], "not in the signature: 'Hour'"),
    ]:
        with pytest.raises(InputError, match=says):
            answer(model, {"dataframe_records": records})
        with pytest.raises(InputError, match=says):
            answer(model, {"inputs": {name: [1] for name in records[1]}})


def test_a_column_that_may_be_missing_may_be_absent_or_null(model):
    bare = {name: value for name, value in RECORD.items() if name not in ("wind", "origin")}
    null = {**bare, "wind": None, "origin": None}
    assert answer(model, {"inputs": [bare]}) == answer(model, {"inputs": [null]}) == expected(model, [null])
    named = {"columns": list(bare), "data": [list(bare.values())]}
    assert answer(model, {"dataframe_split": named}) == expected(model, [null])


def test_more_rows_than_allowed_are_refused_with_the_limit(model):
    with pytest.raises(InputError, match="1001 rows are more than the 1000") as raised:
        answer(model, {"inputs": [RECORD] * 1001})
    assert raised.value.facts == {"limit": 1000}


def test_many_rows_are_each_answered(model):
    records = [{**RECORD, "distance": float(n)} for n in range(1000)]
    assert answer(model, {"inputs": records}) == expected(model, records)


def test_several_outputs_come_as_a_list_for_each_row(bundles):
    bundles.add("two", inputs=NUMBERS, outputs=2, active=1)
    two = Model("two", 1, open_bundle(bundles.folder / "two" / "1"), threads=1, max_rows=10)
    assert np.shape(answer(two, {"inputs": [[1, 2, 3, 4], [5, 6, 7, 8]]})) == (2, 2)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*NAMES, "columns", "data", "index"]), inner),
    max_leaves=12,
)
keys = st.sampled_from(["inputs", "instances", "dataframe_split", "dataframe_records", "params", "id", "outputs", "__proto__"])
tensor = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(NAMES) | json_values,
        "shape": st.lists(st.integers(-1, 4), max_size=3) | json_values,
        "datatype": st.sampled_from([*DATATYPES.values(), "FP16"]) | json_values,
        "data": json_values,
        "parameters": json_values,
    },
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=json_values | st.dictionaries(keys, json_values | st.lists(tensor, max_size=3), max_size=3))
def test_any_json_is_answered_or_refused_as_input(model, numbers, document):
    body = json.dumps(document).encode()
    for loaded in (model, numbers):
        for work in (Model.answer, inference.infer):
            with contextlib.suppress(InputError):
                assert orjson.loads(work(loaded, body))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=60))
def test_any_bytes_are_answered_or_refused_as_input(model, body):
    for work in (Model.answer, inference.infer):
        with pytest.raises(InputError):
            work(model, body)
