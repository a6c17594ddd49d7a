"""Backfill and retraining by Airflow's own scheduler, held against single runs in another home."""

from collections.abc import Iterator

import pytest

DAYS = ("2013-01-06", "2013-01-07", "2013-01-08")
LAYERS = ("raw", "extracted", "quarantine", "features")

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def single(loaded):
    """Each day by one command, and the features once, at the end."""
    platform = loaded.copy("single")
    for day in DAYS:
        steps = ("--step", "ingest", "--step", "extract", *(("--step", "standardize") if day == DAYS[-1] else ()))
        platform.good("maas", "run", "flights", *steps, "--from", day)
    return platform


@pytest.fixture(scope="module")
def backfilled(loaded) -> Iterator:
    """The same days by a backfill, and what it set off."""
    platform = loaded.copy("backfilled")
    platform.schedule(retrain=True, retries=1, retry_delay="5s", timeout="20m", end=DAYS[-1])
    platform.change("local/settings.yaml", airflow={"port": 0})
    platform.plan_backfill(DAYS[0], DAYS[-1])
    platform.good("maas", "airflow", "up")
    try:
        platform.finish_backfill(before_retraining=2)  # once is enough: test_scheduler has them all
        yield platform
    finally:
        platform.run("maas", "airflow", "down")


def test_a_backfill_of_three_days_equals_three_single_runs(backfilled, single):
    tables = [table for table in single.tables() if table.partition(".")[0] in LAYERS]
    assert len(tables) >= 13
    assert [table for table in backfilled.tables() if table.partition(".")[0] in LAYERS] == tables
    for table in tables:
        assert backfilled.rows(table) == single.rows(table), table
    assert backfilled.ended("flights") == ["success"] * len(DAYS)
    flights = [row["flight_id"] for row in backfilled.read("extracted.flights")]
    assert sorted(flights) == backfilled.flights("2013-01-09")


def test_new_features_are_trained_published_and_scored(backfilled):
    assert set(backfilled.ended("flights_retrain")) == {"success"}
    assert backfilled.journal("score")[-1] == ("done", "")
    assert len(backfilled.read("scored.flights")) == len(backfilled.read("features.flights")) > 1000
