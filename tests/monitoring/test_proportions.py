"""Shares that rise, and shares that do not; alerts."""

from __future__ import annotations

import json
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.alerts import write_alert
from monitoring.proportions import risen


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12), st.integers(0, 12))
def test_the_probability_is_that_of_a_deal_of_cards(cases_before, others_before, cases, others):
    before, now = (cases_before, cases_before + others_before), (cases, cases + others)
    total, found = before[1] + now[1], cases_before + cases
    dealt = sum(comb(found, i) * comb(total - found, now[1] - i) for i in range(cases, min(found, now[1]) + 1))

    assert risen(before, now) == pytest.approx(dealt / comb(total, now[1]))


@pytest.mark.parametrize(
    ("before", "now", "low", "high"),
    [
        ((0, 1_000_000), (3, 1000), 0, 1e-6),
        ((10_000, 1_000_000), (1_000, 100_000), 0.4, 0.6),
        ((10_000, 1_000_000), (1_200, 100_000), 0, 1e-8),
        ((10_000, 1_000_000), (800, 100_000), 0.99, 1),
        ((0, 10), (0, 10), 1, 1),
        ((0, 0), (5, 10), 1, 1),
        ((5, 10_000_000), (5_000_000, 10_000_000), 0, 1e-9),
    ],
)
def test_a_rise_is_told_from_chance(before, now, low, high):
    assert low <= risen(before, now) <= high + 1e-9


def test_alerts_are_lines_of_the_days_file(tmp_path):
    for i in range(2):
        file = write_alert(tmp_path / "logs", "test", f"it is {i}\nand more", table="raw.a")

    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [line["message"] for line in lines] == ["it is 0\nand more", "it is 1\nand more"]
    assert (lines[0]["level"], lines[0]["table"], lines[0]["logger"]) == ("WARNING", "raw.a", "test")
    assert file.name.startswith("alerts-")
