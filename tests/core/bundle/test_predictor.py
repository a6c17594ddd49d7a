"""A predictor answers as the graph does by hand, or refuses to be made."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from onnx import TensorProto, external_data_helper, helper, numpy_helper

from core.bundle import open_bundle
from core.errors import ModelError
from core.onnx_check import refuse_external_data
from core.predictor import Predictor

from .conftest import linear


def _weights(model):
    return numpy_helper.to_array(model.graph.initializer[0])


def test_an_answer_is_the_graph_over_the_transformed_columns(write, features, columns):
    model = linear(len(features.outputs))
    predictor = Predictor(open_bundle(write(model.SerializeToString())[0]))
    answers = predictor.predict(columns)
    assert answers.shape == (3,)
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, (features.matrix(columns) @ _weights(model))[:, 0], rtol=1e-5)


def test_several_outputs_come_as_columns(write, columns):
    answers = Predictor(open_bundle(write(outputs=3)[0])).predict(columns)
    assert answers.shape == (3, 3)


@pytest.mark.parametrize(("outputs", "shape"), [(1, (0,)), (3, (0, 3))])
def test_no_rows_have_no_answers(write, columns, outputs, shape):
    predictor = Predictor(open_bundle(write(outputs=outputs)[0]))
    assert predictor.predict({name: values[:0] for name, values in columns.items()}).shape == shape


def test_threads_share_a_predictor(write, columns):
    predictor = Predictor(open_bundle(write()[0]), threads=2)
    expected = predictor.predict(columns)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: predictor.predict(columns), range(200)))
    assert all((answer == expected).all() for answer in answers)


@pytest.mark.parametrize("data", [b"", b"not onnx at all", b"\x08\x08", bytes(1000), b"\xff" * 1000])
def test_bytes_that_are_no_model_are_refused(write, data):
    with pytest.raises(ModelError):
        Predictor(open_bundle(write(data)[0]))


def test_every_cut_of_a_model_is_refused(write, features):
    whole = linear(len(features.outputs)).SerializeToString()
    for number, size in enumerate(range(1, len(whole), 23)):
        bundle = open_bundle(write(whole[:size], name=f"cut-{number}")[0])
        with pytest.raises(ModelError):
            Predictor(bundle)


@pytest.mark.parametrize("location", ["/etc/passwd", "../../secret", "weights.bin"])
def test_weights_in_another_file_are_refused_before_the_model_is_opened(write, features, location):
    model = linear(len(features.outputs))
    external_data_helper.set_external_data(model.graph.initializer[0], location)
    model.graph.initializer[0].ClearField("raw_data")
    with pytest.raises(ModelError, match="another file"):
        Predictor(open_bundle(write(model.SerializeToString())[0]))


def test_weights_elsewhere_are_found_in_attributes_subgraphs_and_functions():
    tensor = numpy_helper.from_array(np.zeros(3, np.float32), "w")
    external_data_helper.set_external_data(tensor, "elsewhere")
    constant = helper.make_node("Constant", [], ["c"], value=tensor)
    branch = helper.make_graph([constant], "branch", [], [helper.make_tensor_value_info("c", TensorProto.FLOAT, [3])])
    choice = helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
    function = helper.make_function("mine", "f", [], ["c"], [constant], [helper.make_opsetid("", 17)])
    empty = helper.make_graph([], "empty", [], [])
    models = [
        helper.make_model(helper.make_graph([constant], "plain", [], [])),
        helper.make_model(helper.make_graph([choice], "nested", [], [])),
        helper.make_model(empty, functions=[function]),
    ]
    for model in models:
        with pytest.raises(ModelError, match="another file"):
            refuse_external_data(model.SerializeToString())
    refuse_external_data(helper.make_model(empty).SerializeToString())


def test_a_graph_of_another_width_than_the_features_is_refused(write):
    with pytest.raises(ModelError, match="the features need"):
        Predictor(open_bundle(write(linear(99).SerializeToString())[0]))


def test_a_graph_that_takes_only_one_batch_size_is_refused(write, features):
    with pytest.raises(ModelError, match="the features need"):
        Predictor(open_bundle(write(linear(len(features.outputs), batch=1).SerializeToString())[0]))


def test_a_graph_with_another_count_of_outputs_than_the_signature_is_refused(write, features):
    with pytest.raises(ModelError, match="the signature has 1 output"):
        Predictor(open_bundle(write(linear(len(features.outputs), outputs=2).SerializeToString())[0]))


def test_an_operator_that_does_not_exist_is_refused(write, features):
    model = linear(len(features.outputs))
    model.graph.node[0].op_type = "OpenSocket"
    with pytest.raises(ModelError, match="ONNX Runtime cannot open it"):
        Predictor(open_bundle(write(model.SerializeToString())[0]))
