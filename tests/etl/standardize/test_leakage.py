"""Nothing that is not known at a flight's scheduled departure may reach its features."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.config import read_yaml
from etl.standardize import FeaturesConfig, assemble

ROOT = Path(__file__).parents[3]
START = datetime(2013, 3, 9, 20, tzinfo=UTC)  # the night in which New York changes its clocks
FLIGHTS = (
    "flight_id long, flight_date date, scheduled_at timestamp, carrier string, flight_number string, tail_number string, "
    "origin string, dest string, hour double, minute_of_day double, weekday double, distance double, "
    "departure_delay int, arrival_delay int"
)
WEATHER = (
    "station string, observed_at timestamp, temperature double, dew_point double, humidity double, wind_direction double, "
    "wind_speed double, wind_gust double, precipitation double, pressure double, visibility double"
)
OPERATIONS = "time timestamp, airport string, carrier string, flight_number string, tail_number string, event string, minutes int"


@pytest.fixture(scope="module")
def config():
    return FeaturesConfig.model_validate(read_yaml(ROOT / "conf/pipelines/flights.yaml")["features"])


def day(dice):
    flights, operations = [], []
    for number in range(1, 241):
        at = START + timedelta(minutes=dice.randrange(0, 24 * 60, 5))
        origin, carrier, tail = dice.choice(["EWR", "JFK"]), dice.choice(["UA", "DL"]), f"N{dice.randrange(20)}"
        left, late = dice.randrange(-10, 90), dice.randrange(-20, 120)
        flights.append(
            (
                number,
                at.date(),
                at,
                carrier,
                f"{carrier}{number}",
                tail,
                origin,
                "LAX",
                at.hour + 0.0,
                0.0,
                0.0,
                2475.0,
                left,
                late,
            )
        )
        gone = at + timedelta(minutes=left)
        operations.append((gone, origin, carrier, f"{carrier}{number}", tail, "DEPARTED", left))
        operations.append((gone + timedelta(hours=2), "LAX", carrier, f"{carrier}{number}", tail, "ARRIVED", late))
    weather = [
        (station, START + timedelta(hours=hour), *(dice.uniform(0, 100) for _ in range(9)))
        for station in ("EWR", "JFK")
        for hour in range(-2, 28)
    ]
    return flights, weather, operations


def features(spark, config, flights, weather, operations):
    frames = {
        "flights": spark.createDataFrame(flights, FLIGHTS),
        "weather": spark.createDataFrame(weather, WEATHER),
        "operations": spark.createDataFrame(operations, OPERATIONS),
        "planes": spark.createDataFrame([("N1", 1999.0, 180.0)], "tail_number string, built double, seats double"),
        "airports": spark.createDataFrame(
            [("LAX", 33.9, -118.4, 126.0)], "airport string, latitude double, longitude double, altitude double"
        ),
    }
    return {row["flight_id"]: row.asDict() for row in assemble(spark, frames, config.sql).collect()}


def test_the_future_changes_no_feature_and_the_past_does(spark, config):
    dice = random.Random(5)
    flights, weather, operations = day(dice)
    cut = START + timedelta(hours=11)
    inputs = {column for plan in config.transforms for column in plan.columns}
    before = features(spark, config, flights, weather, operations)

    # given another future: every outcome, every event and every observation from the cut on is different
    other_flights = [(*row[:-2], row[-2] + 500, row[-1] + 500) for row in flights]
    other_weather = [row if row[1] < cut else (*row[:2], *(value + 1000 for value in row[2:])) for row in weather]
    other_operations = [row if row[0] < cut else (*row[:-1], row[-1] + 500) for row in operations]
    other_operations += [(cut, "EWR", "UA", "UA999", f"N{tail}", "DEPARTED", 999) for tail in range(20)]
    after = features(spark, config, other_flights, other_weather, other_operations)

    known = [before[row[0]] for row in flights if row[2] <= cut]
    assert len(known) > 80
    for row in known:
        assert {name: row[name] for name in inputs} == {name: after[row["flight_id"]][name] for name in inputs}

    # then the same change does reach flights that leave later: the test can fail
    late = [before[row[0]] for row in flights if row[2] > cut + timedelta(hours=3)]
    changed = [row for row in late if any(row[name] != after[row["flight_id"]][name] for name in inputs)]
    assert len(changed) > 80


def test_no_input_is_an_outcome(config):
    inputs = {column for plan in config.transforms for column in plan.columns}
    assert not inputs & {"departure_delay", "arrival_delay", "late", "dep_delay", "arr_delay"}


def test_the_features_are_those_of_a_plain_reading_of_the_log(spark, config):
    flights, weather, operations = day(random.Random(6))
    found = features(spark, config, flights, weather, operations)
    for row in flights[:60]:
        number, at, carrier, tail, origin = row[0], row[2], row[3], row[5], row[6]
        recent = [e for e in operations if e[5] == "DEPARTED" and e[1] == origin and at - timedelta(hours=2) <= e[0] < at]
        own = [e[6] for e in recent if e[2] == carrier]
        legs = [e for e in operations if e[5] == "ARRIVED" and e[4] == tail and at - timedelta(days=1) <= e[0] < at]
        assert found[number]["origin_departures"] == len(recent)
        assert found[number]["origin_delay"] == pytest.approx(mean([e[6] for e in recent]))
        assert found[number]["carrier_delay"] == pytest.approx(mean(own))
        newest = max((e[0] for e in legs), default=None)
        assert found[number]["aircraft_delay"] in ({e[6] for e in legs if e[0] == newest} or {None})


def mean(values):
    return sum(values) / len(values) if values else None
