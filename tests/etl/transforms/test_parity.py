"""NumPy and Spark give the same values for the same state, whatever the plan and the data."""

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql.functions import expr

from core.contracts import Column, Dtype
from core.features import arrow
from core.features.fitted import FittedFeatures
from core.features.moments import Moments
from core.features.plan import TransformPlan
from core.features.transform import CATEGORICAL, NUMERIC

ARROW = {
    Dtype.DOUBLE: pa.float64(),
    Dtype.FLOAT: pa.float32(),
    Dtype.LONG: pa.int64(),
    Dtype.INTEGER: pa.int32(),
    Dtype.BOOLEAN: pa.bool_(),
    Dtype.STRING: pa.string(),
}
COLUMNS = tuple(Column(f"{dtype} `col.{dtype}`", dtype, required=False) for dtype in ARROW)
DISCRETE = ("onehot", "count", "missing")

odd_doubles = st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 0.1, 5e-324, 1e150, -1e150, 1e-150, 24.0])
odd_text = st.sampled_from(
    ["", "'", "\\", "\\'", "a\nb\r\t", "${env:PATH}", "\x00", "\\u0041", "%_\\%", '"`', "é", "e\u0301", "日本", "🛫"]
)
VALUES = {
    Dtype.DOUBLE: st.one_of(odd_doubles, st.floats(-1e150, 1e150), st.floats(-100, 100)),
    Dtype.FLOAT: st.one_of(st.floats(width=32), st.floats(-100, 100, width=32)),
    Dtype.LONG: st.one_of(st.integers(-5, 5), st.integers(-(2**63), 2**63 - 1), st.sampled_from([2**53, 2**53 + 1, 2**53 - 1])),
    Dtype.INTEGER: st.one_of(st.integers(-5, 5), st.integers(-(2**31), 2**31 - 1)),
    Dtype.BOOLEAN: st.booleans(),
    Dtype.STRING: st.one_of(odd_text, st.sampled_from("abc"), st.text(st.characters(exclude_categories=["Cs"]), max_size=5)),
}


def tables(size: int) -> st.SearchStrategy[pa.RecordBatch]:
    """Record batches of 0 to ``size`` rows; in some, columns are constant or null throughout."""

    def column(dtype: Dtype, rows: int) -> st.SearchStrategy[pa.Array]:
        free = st.lists(st.one_of(st.none(), VALUES[dtype]), min_size=rows, max_size=rows)
        constant = st.one_of(st.none(), VALUES[dtype]).map(lambda value: [value] * rows)
        return st.one_of(free, constant).map(lambda values: pa.array(values, ARROW[dtype], from_pandas=False))

    def batch(rows: int) -> st.SearchStrategy[pa.RecordBatch]:
        names = [c.name for c in COLUMNS]
        return st.tuples(*(column(c.dtype, rows) for c in COLUMNS)).map(
            lambda a: pa.RecordBatch.from_arrays(list(a), names=names)
        )

    return st.integers(0, size).flatmap(batch)


def of_type(dtypes: frozenset[Dtype]) -> st.SearchStrategy[list[str]]:
    names = [column.name for column in COLUMNS if column.dtype in dtypes]
    return st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True)


def plan(kind: str, dtypes: frozenset[Dtype], **options: st.SearchStrategy) -> st.SearchStrategy[TransformPlan]:
    return st.builds(
        TransformPlan, kind=st.just(kind), columns=of_type(dtypes), options=st.fixed_dictionaries({}, optional=options)
    )


PLANS = st.lists(
    st.one_of(
        plan("zscore", NUMERIC),
        plan("minmax", NUMERIC, low=st.floats(-5, 0), high=st.floats(0.5, 5)),
        plan("identity", NUMERIC, fill=st.floats(-5, 5)),
        plan("missing", frozenset(Dtype)),
        plan("onehot", CATEGORICAL, max_categories=st.integers(1, 5)),
        plan("count", CATEGORICAL, log=st.booleans(), max_categories=st.integers(1, 50)),
        st.builds(
            TransformPlan,
            kind=st.just("cyclical"),
            columns=of_type(NUMERIC),
            options=st.fixed_dictionaries({"period": st.floats(0.5, 1000)}),
        ),
    ),
    min_size=1,
    max_size=4,
).map(tuple)


@dataclass(frozen=True)
class Case:
    """A plan, the rows that it is fitted to, and others that it is applied to."""

    plan: tuple[TransformPlan, ...]
    seen: pa.RecordBatch
    more: pa.RecordBatch

    def fit(self) -> FittedFeatures:
        moments = Moments(self.plan, COLUMNS)
        moments.add(arrow.arrays(self.seen, COLUMNS))
        return FittedFeatures.from_json(moments.finish().to_json())


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    phases=[Phase.explicit, Phase.generate],  # to shrink a failure takes hundreds of jobs
)
@given(cases=st.lists(st.builds(Case, PLANS, tables(8), tables(6)), min_size=4, max_size=6))
def test_numpy_and_spark_agree(spark: SparkSession, cases: list[Case]):
    """Every state is applied to the rows of every case: one job for an example. Numbers up to 1e150, as fitting takes."""
    rows = pa.Table.from_batches([batch for case in cases for batch in (case.seen, case.more)]).combine_chunks()
    fits = [case.fit() for case in cases]
    expressions = [expr(text).alias(f"c{n}__{out}") for n, f in enumerate(fits) for out, text in f.sql().items()]

    answers = spark.createDataFrame(rows).coalesce(1).select(*expressions).toArrow() if expressions else pa.table({})

    columns = arrow.arrays(rows.to_batches()[0], COLUMNS) if len(rows) else {c.name: np.empty(0) for c in COLUMNS}
    for number, fitted in enumerate(fits):
        values = fitted.values(columns)
        for place, output in enumerate(fitted.outputs):
            spark_values = answers[f"c{number}__{output}"]
            assert spark_values.null_count == 0
            compare(output, values[:, place], spark_values.to_numpy())


def compare(output: str, ours: np.ndarray, theirs: np.ndarray) -> None:
    if any(f"__{kind}" in output for kind in DISCRETE):
        np.testing.assert_array_equal(ours, theirs, err_msg=output)
    else:
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=0, err_msg=output)


def test_a_count_over_many_categories_is_found_by_bucket(spark: SparkSession):
    tails = [f"N{n}é" for n in range(5000)] + [None, "", "N1'", "N2\\"]
    moments = Moments((TransformPlan(kind="count", columns=["tail"]),), [Column("tail", Dtype.STRING)])
    moments.add({"tail": np.array(tails[:-1] + tails[::3], object)})
    fitted = moments.finish()

    frame = spark.createDataFrame(pa.table({"tail": tails})).coalesce(1)
    answers = frame.selectExpr(f"{fitted.sql()['tail__count']} AS n").toArrow()["n"].to_numpy()

    np.testing.assert_array_equal(answers, fitted.values({"tail": np.array(tails, object)})[:, 0])
    assert answers[-1] == 0.0
