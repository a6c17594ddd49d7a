import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pytest
from onnx import TensorProto, helper, numpy_helper
from pyspark.sql import DataFrame, SparkSession

from core.bundle import open_bundle, write_bundle
from core.contracts import Column, Dtype, Signature
from core.errors import CorruptFile, InputError
from core.features import arrow
from core.features.moments import Moments
from core.features.plan import TransformPlan
from core.predictor import Predictor
from serving.batch import score

INPUTS = (
    Column("distance", Dtype.DOUBLE),
    Column("dep.delay", Dtype.FLOAT, required=False),
    Column("origin", Dtype.STRING, required=False),
    Column("carrier", Dtype.STRING, required=False),
    Column("hour", Dtype.LONG, required=False),
)
PLAN = (
    TransformPlan(kind="zscore", columns=["distance", "dep.delay"]),
    TransformPlan(kind="onehot", columns=["origin"]),
    TransformPlan(kind="count", columns=["carrier"]),
    TransformPlan(kind="cyclical", columns=["hour"], options={"period": 24}),
    TransformPlan(kind="missing", columns=["origin"]),
)


def table(rows: int = 500) -> pa.Table:
    random = np.random.default_rng(1)
    return pa.table(
        {
            "id": pa.array(range(rows), pa.int64()),
            "distance": pa.array(random.normal(1000, 300, rows)),
            "dep.delay": pa.array(random.normal(size=rows).astype(np.float32), mask=random.random(rows) < 0.1),
            "origin": pa.array(random.choice(["EWR", "JFK", "LGA"], rows), mask=random.random(rows) < 0.1),
            "carrier": pa.array(random.choice(["UA", "B6", "é"], rows)),
            "hour": pa.array(random.integers(0, 24, rows).astype(np.int32), mask=random.random(rows) < 0.1),
            "late": pa.array(random.random(rows) < 0.3),
        }
    )


def graph(width: int, outputs: int, seed: int) -> bytes:
    """A linear model: features [batch, width] → [batch, outputs]."""
    weights = np.random.default_rng(seed).normal(size=(width, outputs)).astype(np.float32)
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("MatMul", ["features", "weights"], ["answer"])],
            "linear",
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", width])],
            [helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["batch", outputs])],
            [numpy_helper.from_array(weights, "weights")],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    buffer = io.BytesIO()
    onnx.save(model, buffer)
    return buffer.getvalue()


def bundle(folder: Path, *, seed: int = 0, outputs: tuple[Column, ...] = (Column("risk", Dtype.DOUBLE),)) -> Path:
    moments = Moments(PLAN, INPUTS)
    moments.add(arrow.arrays(table().combine_chunks().to_batches()[0], INPUTS))
    features = moments.finish()
    model = graph(len(features.outputs), len(outputs), seed)
    write_bundle(folder, name="delay", onnx=model, features=features, signature=Signature(INPUTS, outputs), facts={})
    return folder


@pytest.fixture(scope="module")
def frame(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(table()).repartition(3)


def expected(folder: Path, rows: pa.Table) -> np.ndarray:
    return Predictor(open_bundle(folder)).predict(arrow.arrays(rows.combine_chunks().to_batches()[0], INPUTS))


def test_answers_are_the_predictors_row_by_row_under_keys_model_and_version(spark, frame, tmp_path):
    folder = bundle(tmp_path / "1")

    scored = score(spark, frame, folder, keys=["id"], model="delay", version=7)

    assert [(f.name, f.dataType.simpleString()) for f in scored.schema] == [
        ("id", "bigint"),
        ("risk", "double"),
        ("model", "string"),
        ("version", "int"),
    ]
    rows = scored.orderBy("id").toArrow()
    assert rows["id"].to_pylist() == list(range(500))
    assert set(rows["model"].to_pylist()) == {"delay"}
    assert set(rows["version"].to_pylist()) == {7}
    np.testing.assert_allclose(rows["risk"].to_numpy(), expected(folder, table()), rtol=1e-6, atol=1e-6)


def test_several_outputs_and_several_keys_keep_their_names_and_types(spark, frame, tmp_path):
    outputs = (Column("low", Dtype.FLOAT), Column("high", Dtype.DOUBLE))
    folder = bundle(tmp_path / "1", outputs=outputs)

    scored = score(spark, frame, folder, keys=["hour", "id"], model="delay", version=1)

    assert scored.dtypes[:4] == [("hour", "int"), ("id", "bigint"), ("low", "float"), ("high", "double")]
    rows = scored.orderBy("id").toArrow()
    assert rows["hour"].to_pylist() == table()["hour"].to_pylist()
    answers = np.stack([rows["low"].to_numpy(), rows["high"].to_numpy()], axis=1)
    np.testing.assert_allclose(answers, expected(folder, table()), rtol=1e-6, atol=1e-6)


def test_a_worker_that_has_served_one_version_serves_the_next_and_the_first_again(spark, frame, tmp_path):
    first, second = bundle(tmp_path / "1", seed=1), bundle(tmp_path / "2", seed=2)

    for folder in (first, second, first):
        rows = score(spark, frame, folder, keys=["id"], model="delay", version=1).orderBy("id").toArrow()
        np.testing.assert_allclose(rows["risk"].to_numpy(), expected(folder, table()), rtol=1e-6, atol=1e-6)


def test_zero_rows_and_an_absent_optional_column_are_fine(spark, frame, tmp_path):
    folder = bundle(tmp_path / "1")

    assert score(spark, frame.limit(0), folder, keys=["id"], model="delay", version=1).count() == 0
    rows = score(spark, frame.drop("hour", "origin"), folder, keys=["id"], model="m", version=1).orderBy("id").toArrow()

    without = table()
    for name in ("hour", "origin"):
        nulls = pa.nulls(len(without), without.schema.field(name).type)
        without = without.set_column(without.column_names.index(name), name, nulls)
    np.testing.assert_allclose(rows["risk"].to_numpy(), expected(folder, without), rtol=1e-6, atol=1e-6)


def test_a_row_that_lacks_a_required_value_has_a_null_answer_and_no_other_has(spark, frame, tmp_path):
    holes = frame.selectExpr("* EXCEPT (distance)", "CASE WHEN id % 100 = 3 THEN NULL ELSE distance END AS distance")

    scored = score(spark, holes, bundle(tmp_path / "1"), keys=["id"], model="delay", version=1)

    assert [row.id for row in scored.where("risk IS NULL").orderBy("id").collect()] == [3, 103, 203, 303, 403]


@pytest.mark.parametrize(
    ("columns", "key", "messages"),
    [
        (["id", "carrier"], "id", ["'distance' is missing, expected double"]),
        (
            ["id", "'far' AS distance", "1.5D AS hour"],
            ["id"],
            ["'distance' is string, expected double", "'hour' is double, expected long"],
        ),
        (["id", "distance", "distance AS Distance"], "id", ["'distance' stands twice"]),
        (["distance"], "id", ["no column id, named as key"]),
        (["distance", "id AS version"], "version", ["version twice"]),
        (["distance", "id AS Risk"], "Risk", ["risk twice"]),
    ],
)
def test_a_table_that_does_not_fit_is_refused_before_any_job(frame, tmp_path, columns, key, messages):
    folder = bundle(tmp_path / "1")

    with pytest.raises(InputError) as caught:
        score(frame.sparkSession, frame.selectExpr(*columns), folder, keys=[key], model="delay", version=1)

    assert all(message in caught.value.message for message in messages), caught.value.message


def test_a_bundle_that_was_changed_is_refused_before_any_job(spark, frame, tmp_path):
    folder = bundle(tmp_path / "1")
    (folder / "model.onnx").write_bytes(b"other")

    with pytest.raises(CorruptFile):
        score(spark, frame, folder, keys=["id"], model="delay", version=1)


def test_the_online_server_does_not_reach_spark():
    code = "import sys, serving, core.predictor; print([m for m in ('pyspark', 'serving.batch', 'pyarrow') if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])

    assert done.stdout.strip() == "[]"
