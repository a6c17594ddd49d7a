import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from core.contracts import Column, Dtype
from core.errors import ConfigError, TableError
from core.features.column import ColumnMoments
from core.features.fitted import FittedFeatures
from core.features.moments import Moments
from core.features.plan import TransformPlan
from core.features.registry import KINDS, register
from core.features.transform import Transform

COLUMNS = (
    Column("x", Dtype.DOUBLE),
    Column("hour", Dtype.INTEGER),
    Column("late", Dtype.BOOLEAN),
    Column("origin", Dtype.STRING),
)


def fit(kind: str, column: str, values: list[Any], **options: Any) -> FittedFeatures:
    moments = Moments((TransformPlan(kind=kind, columns=[column], options=options),), COLUMNS)
    moments.add({column: array(values)})
    return moments.finish()


def array(values: list[Any]) -> np.ndarray:
    if any(isinstance(v, str) for v in values):
        return np.array(values, object)
    return np.array([math.nan if v is None else v for v in values], np.float64)


def applied(fitted: FittedFeatures, column: str, values: list[Any]) -> list[list[float]]:
    return fitted.values({column: array(values)}).tolist()


def test_a_zscore_measures_in_population_deviations_and_leaves_missing_at_the_mean():
    fitted = fit("zscore", "x", [1.0, 3.0, None, math.inf])

    assert applied(fitted, "x", [1.0, 2.0, 5.0, None, -math.inf]) == [[-1.0], [0.0], [3.0], [0.0], [0.0]]


def test_minmax_draws_the_fitted_range_onto_the_wanted_one_and_missing_onto_the_mean():
    fitted = fit("minmax", "x", [0.0, 2.0, 10.0], low=-1, high=1.0)

    assert applied(fitted, "x", [0.0, 10.0, 5.0, 20.0, None]) == [[-1.0], [1.0], [0.0], [3.0], pytest.approx([-0.2])]


@pytest.mark.parametrize("kind", ["zscore", "minmax"])
@pytest.mark.parametrize("seen", [[], [None], [0.1] * 7, [1e9 + 0.1] * 3, [-5.0]])
def test_a_constant_column_and_an_empty_table_give_zero_for_whatever_comes(kind, seen):
    fitted = fit(kind, "x", seen)

    assert applied(fitted, "x", [0.1, -3.0, 1e300, None]) == [[0.0]] * 4


def test_one_hot_keeps_the_most_frequent_and_of_equals_the_first_by_name():
    fitted = fit("onehot", "origin", ["LGA", "EWR", "JFK", "LGA", None, "EWR", "ABC"], max_categories=3)

    assert fitted.outputs == ("origin__onehot__ABC", "origin__onehot__EWR", "origin__onehot__LGA")
    assert applied(fitted, "origin", ["LGA", "JFK", None, "new"]) == [[0, 0, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_one_hot_of_an_empty_table_has_no_output():
    assert fit("onehot", "origin", []).outputs == ()


def test_counts_are_those_of_the_fitted_rows():
    seen = ["a", "b", "a", None]

    assert applied(fit("count", "origin", seen), "origin", ["a", "b", "c", None]) == [[2.0], [1.0], [0.0], [0.0]]
    assert applied(fit("count", "origin", seen, log=True), "origin", ["a", "c"]) == [[math.log1p(2)], [0.0]]


def test_integers_and_booleans_are_categories_too():
    hours = fit("onehot", "hour", [5, 17, 17, None])

    assert hours.outputs == ("hour__onehot__17", "hour__onehot__5")
    assert applied(hours, "hour", [17, 5, 6, None, 17.5]) == [[1, 0], [0, 1], [0, 0], [0, 0], [0, 0]]
    assert fit("onehot", "late", [True, False, None]).outputs == ("late__onehot__false", "late__onehot__true")


def test_an_hour_comes_round_again():
    fitted = fit("cyclical", "hour", [], period=24)

    rows = fitted.values({"hour": array([0, 6, 24, -18, None])})

    assert fitted.outputs == ("hour__cyclical__sin", "hour__cyclical__cos")
    np.testing.assert_allclose(rows, [[0, 1], [1, 0], [0, 1], [1, 0], [0, 0]], atol=1e-15)


def test_identity_keeps_the_number_and_fills_what_is_missing():
    assert applied(fit("identity", "x", [], fill=-1), "x", [2.5, None, math.inf]) == [[2.5], [-1.0], [-1.0]]


def test_missing_marks_null_nan_and_infinity():
    assert applied(fit("missing", "x", []), "x", [0.0, None, math.inf]) == [[0.0], [1.0], [1.0]]
    assert applied(fit("missing", "origin", []), "origin", ["", None]) == [[0.0], [1.0]]


@pytest.mark.parametrize(
    ("kind", "column", "options", "message"),
    [
        ("zscor", "x", {}, "did you mean 'zscore'"),
        ("onehot", "origin", {"max_category": 3}, "did you mean 'max_categories'"),
        ("onehot", "origin", {"max_categories": True}, "expected a int"),
        ("onehot", "origin", {"max_categories": 0}, "expected 1 to 1000"),
        ("cyclical", "hour", {}, "option 'period' is missing"),
        ("cyclical", "hour", {"period": -24}, "above 0"),
        ("minmax", "x", {"low": 1, "high": 1}, "less than"),
        ("identity", "x", {"fill": math.nan}, "expected a float"),
    ],
)
def test_a_wrong_kind_or_option_is_refused_when_the_plan_is_read(kind, column, options, message):
    with pytest.raises(ValueError, match=message):
        TransformPlan(kind=kind, columns=[column], options=options)


@pytest.mark.parametrize(
    ("kind", "column", "message"),
    [("zscore", "orign", "did you mean 'origin'"), ("zscore", "origin", "takes boolean, "), ("onehot", "x", "'x' is double")],
)
def test_a_column_that_is_absent_or_of_a_wrong_type_is_refused_by_name(kind, column, message):
    with pytest.raises(ConfigError, match=message):
        Moments((TransformPlan(kind=kind, columns=[column]),), COLUMNS)


def test_a_plan_without_transforms_is_refused():
    with pytest.raises(ConfigError, match="no transform"):
        Moments((), COLUMNS)


def test_numbers_whose_square_overflows_are_refused_with_their_column():
    with pytest.raises(TableError, match="column 'x' holds 1e\\+200"):
        fit("zscore", "x", [1.0, 1e200])


def test_a_kind_of_ones_own_is_one_class():
    @dataclass(frozen=True, slots=True)
    class Sign(Transform):
        kind = "sign"

        @classmethod
        def fit(cls, column: ColumnMoments, options: Mapping[str, Any]) -> "Sign":
            return cls(column.dtype)

        @property
        def suffixes(self) -> tuple[str, ...]:
            return ("sign",)

        def write(self, values: np.ndarray, out: np.ndarray) -> None:
            out[:, 0] = np.sign(np.nan_to_num(values))

        def sql(self, column: str) -> tuple[str, ...]:
            return (f"coalesce(signum(nanvl(CAST(`{column}` AS DOUBLE), 0.0D)), 0.0D)",)

    register(Sign)
    try:
        fitted = fit("sign", "x", [])
        assert applied(fitted, "x", [-3.0, 4.0, None]) == [[-1.0], [1.0], [0.0]]
        assert FittedFeatures.from_json(fitted.to_json()) == fitted
        with pytest.raises(ConfigError, match="already"):
            register(type("Other", (Sign,), {}))
    finally:
        del KINDS["sign"]
