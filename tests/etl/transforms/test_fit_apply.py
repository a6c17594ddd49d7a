import math

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from core.contracts import Dtype
from core.errors import ConfigError, TableError
from core.features import arrow
from core.features.moments import Moments
from core.features.plan import TransformPlan
from etl.transforms import apply, columns_of, fit

PLAN = (
    TransformPlan(kind="zscore", columns=["distance", "a.b `c`"]),
    TransformPlan(kind="minmax", columns=["distance"]),
    TransformPlan(kind="onehot", columns=["origin", "late"]),
    TransformPlan(kind="count", columns=["tail"], options={"log": True}),
    TransformPlan(kind="cyclical", columns=["hour"], options={"period": 24}),
    TransformPlan(kind="identity", columns=["hour"]),
    TransformPlan(kind="missing", columns=["distance"]),
)


def table(rows: int = 999) -> pa.Table:
    random = np.random.default_rng(0)
    distance = random.normal(1e9, 3.0, rows)
    distance[::11] = math.nan
    distance[5::50] = math.inf
    return pa.table(
        {
            "distance": pa.array(distance, mask=random.random(rows) < 0.1),
            "a.b `c`": pa.array(random.normal(size=rows).astype(np.float32)),
            "origin": pa.array(random.choice(["EWR", "JFK", "LGA"], rows), mask=random.random(rows) < 0.1),
            "late": pa.array(random.random(rows) < 0.3, mask=random.random(rows) < 0.1),
            "tail": pa.array([f"N{n}" for n in random.integers(0, 400, rows)]),
            "hour": pa.array(random.integers(0, 24, rows).astype(np.int16), mask=random.random(rows) < 0.1),
            "day": pa.array([0] * rows, pa.date32()),
        }
    )


@pytest.fixture(scope="module")
def frame(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(table())


def test_spark_fits_as_numpy_does_whatever_the_partitions(frame):
    moments = Moments(PLAN, columns_of(frame))
    for batch in table().combine_chunks().to_batches():
        moments.add(arrow.arrays(batch, moments.inputs))
    serial = moments.finish()

    for partitions in (1, 2, 7):
        fitted = fit(frame.repartition(partitions), PLAN)

        assert fitted.inputs == serial.inputs
        assert fitted.outputs == serial.outputs
        for ours, theirs in zip(fitted.to_json()["transforms"], serial.to_json()["transforms"], strict=True):
            if "scale" in ours["state"]:
                assert ours["state"] == pytest.approx(theirs["state"], rel=1e-12, abs=1e-12)
            else:
                assert ours == theirs


def test_types_are_recorded_and_columns_of_other_types_are_left_aside(frame):
    assert {column.name: column.dtype for column in columns_of(frame)} == {
        "distance": Dtype.DOUBLE,
        "a.b `c`": Dtype.FLOAT,
        "origin": Dtype.STRING,
        "late": Dtype.BOOLEAN,
        "tail": Dtype.STRING,
        "hour": Dtype.INTEGER,
    }


def test_apply_adds_one_float_column_an_output_with_the_values_of_numpy(frame):
    fitted = fit(frame, PLAN)

    applied = apply(frame, fitted).toArrow().combine_chunks()

    assert applied.column_names == [*frame.columns, *fitted.outputs]
    columns = arrow.arrays(applied.to_batches()[0], fitted.inputs)
    for place, output in enumerate(fitted.outputs):
        assert applied.schema.field(output).type == pa.float32()
        # Java's sine and NumPy's may differ in the last place before they are rounded to float32
        np.testing.assert_allclose(applied[output].to_numpy(), fitted.matrix(columns)[:, place], rtol=1.2e-7, err_msg=output)
    assert str(apply(frame, fitted, as_float=False).schema["distance__zscore"].dataType) == "DoubleType()"


def test_an_empty_table_fits_to_a_state_that_gives_zero(spark, frame):
    fitted = fit(frame.limit(0), PLAN)

    row = apply(frame.limit(1), fitted).first()

    assert [name for name in fitted.outputs if row[name] != 0.0 and "hour" not in name and "missing" not in name] == []
    assert apply(frame.limit(0), fitted).count() == 0


def test_a_plan_that_learns_nothing_runs_no_job(spark, frame):
    tracker = spark.sparkContext.statusTracker()
    spark.sparkContext.setJobGroup("fit-nothing", "")

    fit(frame, (TransformPlan(kind="identity", columns=["distance"]),))
    assert tracker.getJobIdsForGroup("fit-nothing") == []
    fit(frame, PLAN)

    assert len(tracker.getJobIdsForGroup("fit-nothing")) == 1
    spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)


def test_numbers_too_large_to_standardize_are_refused_with_their_column(frame):
    too_large = frame.selectExpr("1e200D AS distance")

    with pytest.raises(TableError, match="column 'distance' holds 1e\\+200"):
        fit(too_large, (TransformPlan(kind="zscore", columns=["distance"]),))


def test_a_column_of_a_type_that_no_transform_reads_is_refused(frame):
    with pytest.raises(ConfigError, match="no column 'day'"):
        fit(frame, (TransformPlan(kind="zscore", columns=["day"]),))


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("drop", "no column 'distance' \\(double\\)"),
        ("CAST(distance AS STRING)", "'distance' is string, the transforms were fitted to double"),
        ("clash", "distance__zscore"),
    ],
)
def test_a_table_that_does_not_fit_the_state_is_refused_by_column(frame, expression, message):
    fitted = fit(frame, PLAN)
    if expression == "drop":
        other = frame.drop("distance")
    elif expression == "clash":
        other = frame.selectExpr("*", "1 AS DISTANCE__zscore")
    else:
        other = frame.selectExpr("* EXCEPT (distance)", f"{expression} AS distance")

    with pytest.raises(TableError, match=message):
        apply(other, fitted)
