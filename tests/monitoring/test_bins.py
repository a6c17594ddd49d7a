import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.contracts import Dtype
from core.stability import psi
from monitoring.bins import CategoryBins, NumberBins, fit


def test_the_index_is_what_it_is_by_hand():
    # shares 0.5, 0.5 and 0.25, 0.75: (0.25 - 0.5) ln 0.5 + (0.75 - 0.5) ln 1.5
    assert psi([10, 10], [25, 75]) == pytest.approx(0.25 * math.log(2) + 0.25 * math.log(1.5))
    assert psi([10, 10], [25, 75]) == pytest.approx(0.2747, abs=1e-4)
    assert psi([3, 5, 2], [30, 50, 20]) == 0
    assert psi([100, 0], [90, 10]) == pytest.approx(-0.1 * math.log(0.9) + (0.1 - 1e-4) * math.log(1000))


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1))
def test_the_index_is_never_negative_and_the_same_both_ways(pairs):
    one, other = np.array([(1, 1), *pairs]).T
    assert psi(one, other) >= 0
    assert psi(one, other) == pytest.approx(psi(other, one))


def test_numbers_fall_into_tenths_of_the_reference():
    bins = NumberBins.fit(np.arange(1, 101, dtype=float))
    assert bins.edges.tolist() == [10, 20, 30, 40, 50, 60, 70, 80, 90]
    values = np.array([-math.inf, 10, 10.5, 20, 91, 1e300, math.inf, math.nan])
    assert bins.count(values).tolist() == [2, 2, 0, 0, 0, 0, 0, 0, 0, 3, 1]


def test_a_value_that_is_most_of_all_has_a_bin_of_its_own():
    bins = NumberBins.fit(np.array([0.0] * 95 + [1, 2, 3, 4, 5]))
    assert bins.count(np.array([-1, -1, 0, 0, 0, 5])).tolist() == [2, 3, 1, 0]
    constant = NumberBins.fit(np.full(50, 7.0))
    assert constant.count(np.array([6, 7, 7, 8, math.nan])).tolist() == [1, 2, 1, 1]


def test_what_is_missing_everywhere_can_appear():
    assert NumberBins.fit(np.full(9, math.nan)).count(np.array([1.0, 2.0, math.nan])).tolist() == [2, 1]
    assert CategoryBins.fit(np.full(9, None)).count(np.array(["a", None], object)).tolist() == [1, 1]


def test_texts_are_counted_by_the_most_frequent_and_others():
    values = np.array([f"{chr(97 + n)}" for n in range(22) for _ in range(30 - n)] + [None] * 5, object)
    bins = fit(values, Dtype.STRING)
    assert bins.names == tuple("abcdefghijklmnopqrst")
    assert bins.count(np.array(["a", "a", "u", "never seen", "", None], object)).tolist() == [2, *[0] * 19, 3, 1]
    assert CategoryBins.fit(np.array(["b", "a", None], object)).names == ("a", "b")


@given(st.lists(st.floats(), max_size=50), st.lists(st.floats(), max_size=50))
def test_every_number_is_counted_once(reference, values):
    counts = fit(np.array(reference, float), Dtype.DOUBLE).count(np.array(values, float))
    assert counts.sum() == len(values)
    assert counts[-1] == np.isnan(np.array(values, float)).sum()
