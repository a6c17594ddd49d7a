import json
import math
import pickle
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.contracts import Column, Dtype
from core.errors import InputError, ModelError
from core.features import names
from core.features.column import Numbers
from core.features.fitted import FittedFeatures
from core.features.moments import Moments
from core.features.plan import TransformPlan

COLUMNS = (Column("x", Dtype.DOUBLE), Column("y", Dtype.FLOAT), Column("tail", Dtype.STRING), Column("hour", Dtype.INTEGER))
PLAN = (
    TransformPlan(kind="zscore", columns=["x", "y"]),
    TransformPlan(kind="onehot", columns=["tail"]),
    TransformPlan(kind="minmax", columns=["x"], options={"low": -1}),
    TransformPlan(kind="count", columns=["tail", "hour"]),
    TransformPlan(kind="cyclical", columns=["hour"], options={"period": 24}),
    TransformPlan(kind="missing", columns=["y"]),
    TransformPlan(kind="identity", columns=["y"]),
)


def rows(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    x = random.normal(1e6, 1.0, count)
    x[::7] = math.nan
    tails = np.array([f"N{n}" if n else None for n in random.integers(0, 9, count)], object)
    return {"x": x, "y": random.normal(size=count), "tail": tails, "hour": random.integers(0, 24, count).astype(float)}


def fit(columns: dict[str, np.ndarray]) -> FittedFeatures:
    moments = Moments(PLAN, COLUMNS)
    moments.add(columns)
    return moments.finish()


def test_the_matrix_has_the_values_of_each_transform_alone_at_any_number_of_rows():
    fitted = fit(rows(500))

    for count in (0, 1, 8, 9, 5000):
        columns = rows(count, seed=1)
        expected = np.full((count, len(fitted.outputs)), np.nan)
        start = 0
        for item in fitted.transforms:
            end = start + len(item.transform.suffixes)
            item.transform.write(columns[item.column], expected[:, start:end])
            start = end
        np.testing.assert_array_equal(fitted.values(columns), expected)
        matrix = fitted.matrix(columns)
        assert matrix.dtype == np.float32
        assert matrix.flags.c_contiguous
        np.testing.assert_array_equal(matrix, expected.astype(np.float32))


def test_a_row_alone_has_the_same_bits_as_among_many():
    fitted = fit(rows(500))
    columns = rows(300)
    columns["x"][:3] = [1e300, -math.inf, 5e-324]

    together = fitted.matrix(columns)

    for row in range(300):
        alone = fitted.matrix({name: values[row : row + 1] for name, values in columns.items()})
        np.testing.assert_array_equal(alone[0], together[row])


def test_columns_that_are_strided_views_give_the_same_matrix():
    fitted = fit(rows(500))
    columns = rows(300)
    table = np.stack([columns["x"], columns["y"], columns["hour"]], axis=1)

    views = {"x": table[:, 0], "y": table[:, 1], "hour": table[:, 2], "tail": columns["tail"]}

    np.testing.assert_array_equal(fitted.values(views), fitted.values(columns))


def test_an_absent_column_and_columns_of_unequal_length_are_named():
    fitted = fit(rows(50))
    columns = rows(5)

    with pytest.raises(InputError, match="'tail'"):
        fitted.matrix({name: values for name, values in columns.items() if name != "tail"})
    with pytest.raises(InputError, match="x 5, y 4"):
        fitted.matrix({**columns, "y": columns["y"][:4]})
    with pytest.raises(InputError, match="tail 6"):
        fitted.matrix({**columns, "tail": np.array(["a"] * 6, object)})


def test_the_json_form_reads_back_equal_and_a_pickle_too():
    fitted = fit(rows(200))

    again = FittedFeatures.from_json(json.loads(json.dumps(fitted.to_json())))

    assert again == fitted
    assert again.digest == fitted.digest
    np.testing.assert_array_equal(again.matrix(rows(20)), fitted.matrix(rows(20)))
    assert pickle.loads(pickle.dumps(fitted)) == fitted


def test_the_digest_is_the_same_in_another_process():
    fitted = fit(rows(200))
    code = (
        "import sys, json; from core.features.fitted import FittedFeatures as F; print(F.from_json(json.load(sys.stdin)).digest)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(fitted.to_json()),
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )

    assert done.stdout.strip() == fitted.digest


def test_applying_imports_neither_pydantic_nor_anything_heavier():
    code = "import sys, core.features.fitted; print([m for m in sys.argv[1:] if m in sys.modules])"

    done = subprocess.run(
        [sys.executable, "-c", code, "pydantic", "yaml", "pandas", "pyarrow", "pyspark", "torch", "mlflow"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )

    assert done.stdout.strip() == "[]"


def damaged(**changes: object) -> dict:
    document = json.loads(json.dumps(fit(rows(50)).to_json()))
    return {**document, **changes}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "format None"),
        ([], "format 'list'"),
        (damaged(format="maas-features/9"), "maas-features/9"),
        (damaged(outputs=["a"]), "1 output names"),
        (damaged(outputs=3), "damaged"),
        (damaged(transforms=[]), "damaged"),
        (damaged(inputs=[]), "damaged"),
        (damaged(transforms=[{"kind": "zscor", "column": "x", "state": {}}]), "did you mean 'zscore'"),
        (damaged(transforms=[{"kind": "zscore", "column": "x", "state": {}}]), "expected \\['center'"),
        (damaged(transforms=[{"kind": "cyclical", "column": "hour", "state": {"period": 0.0}}]), "period"),
        (damaged(transforms=[{"kind": "count", "column": "tail", "state": {"counts": [], "log": False}}]), "damaged"),
        (damaged(transforms=[{"kind": "onehot", "column": "hour", "state": {"categories": ["x"]}}]), "damaged"),
        (
            damaged(
                transforms=[{"kind": "zscore", "column": "x", "state": {"center": "0", "scale": 1.0, "offset": 0.0, "fill": 0.0}}]
            ),
            "no finite number",
        ),
    ],
)
def test_a_damaged_state_is_refused(document, message):
    with pytest.raises(ModelError, match=message):
        FittedFeatures.from_json(document)


def test_output_names_are_plain_and_unique_whatever_the_case():
    wanted = ["a b__onehot__x", "a-b__onehot__x", "A_B__onehot__X", "ü", "a" * 200]

    assert names.unique(wanted) == ("a_b__onehot__x", "a_b__onehot__x_2", "A_B__onehot__X_3", "_", "a" * 120)


@given(st.lists(st.text(max_size=6), max_size=30))
def test_output_names_never_collide(wanted):
    given_names = [name.lower() for name in names.unique(wanted)]

    assert len(set(given_names)) == len(wanted)


def close(a: float, b: float, scale: float) -> bool:
    return abs(a - b) <= 1e-12 * scale


@given(
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=60),
    st.sampled_from([0.0, 1e6, 1e15, -1e12]),
    st.sampled_from([1.0, 1e-100, 1e100]),
    st.lists(st.integers(0, 60), max_size=5),
)
def test_moments_do_not_depend_on_how_the_rows_are_split(values, offset, factor, cuts):
    array = (np.array(values) + offset) * factor
    whole = Numbers.of(array)
    parts = Numbers()
    edges = [0, *sorted(cuts), len(array)]
    for start, end in pairwise(edges):
        parts.merge(Numbers.of(array[start:end]))

    assert (parts.count, parts.low, parts.high) == (whole.count, whole.low, whole.high)
    assert close(parts.mean, whole.mean, max(abs(whole.mean), whole.deviation))
    assert close(parts.deviation, whole.deviation, whole.deviation)


def test_the_deviation_of_large_numbers_close_together_is_exact():
    array = 1e9 + np.array([4.0, 7.0, 13.0, 16.0])

    assert Numbers.of(array).deviation == math.sqrt(22.5)


def test_merging_is_associative():
    a, b, c = (Moments(PLAN, COLUMNS) for _ in range(3))
    left, right = Moments(PLAN, COLUMNS), Moments(PLAN, COLUMNS)
    for moments, seed in ((a, 1), (b, 2), (c, 3)):
        moments.add(rows(100, seed))
    for moments in (a, b, c):
        left.merge(moments)
    bc = Moments(PLAN, COLUMNS)
    bc.merge(b)
    bc.merge(c)
    right.merge(a)
    right.add_json(json.loads(json.dumps(bc.to_json())))

    np.testing.assert_allclose(left.finish().values(rows(50)), right.finish().values(rows(50)), rtol=1e-9, atol=1e-12)
