"""Runs about intervals: each row of its time once, in whatever order the intervals come."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from core.contracts import Interval
from core.errors import ConfigError, SourceError
from etl.sources import spans
from etl.sources.database import DatabaseSource
from etl.sources.source import Plan, Position

Build = Callable[[str, list[tuple[object, ...]]], str]
START = datetime(2013, 1, 1, tzinfo=UTC)
KEYED = "CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME)"


def days(first: int, last: int) -> Interval:
    return Interval(START + timedelta(days=first - 1), START + timedelta(days=last))


INTERVALS = st.builds(lambda start, length: Interval(START + timedelta(hours=start), START + timedelta(hours=start + length)),
                      st.integers(0, 40), st.integers(1, 15))  # fmt: skip


def hours(parts: tuple[Interval, ...]) -> list[int]:
    return [
        (one.start - START) // timedelta(hours=1) + n for one in parts for n in range((one.end - one.start) // timedelta(hours=1))
    ]


@given(INTERVALS, st.lists(INTERVALS, max_size=6))
def test_what_is_left_and_what_is_covered_make_the_whole(span: Interval, covered: list[Interval]):
    union, left = spans.merge(covered), spans.subtract(span, covered)
    assert set(hours(left)) == set(hours((span,))) - set(hours(union))
    assert sorted(hours((*left, *union))) == sorted(set(hours((*left, *union))))  # no hour twice
    assert all(one.end < two.start for one, two in pairwise(union))
    assert spans.from_json(json.loads(json.dumps(spans.to_json(union)))) == union


@pytest.fixture
def flights(database: Build) -> DatabaseSource:
    forms = ("2013-01-0{} 00:00:00", "2013-01-0{}T12:00:00Z", "2013-01-0{}T20:59:59.999-03:00")
    rows: list[tuple[object, ...]] = [(10 * day + n, form.format(day)) for day in range(1, 6) for n, form in enumerate(forms)]
    return DatabaseSource(database(KEYED, rows), "t", "id", interval="at")


def read(spark: SparkSession, source: DatabaseSource, plan: Plan) -> list[int]:
    return sorted(row._offset for row in source.read(spark, plan).collect())


def take(spark: SparkSession, source: DatabaseSource, *intervals: Interval) -> tuple[list[int], Position | None]:
    """What runs about ``intervals``, one after the other, read all together; and the last position."""
    found: list[int] = []
    position: Position | None = None
    for interval in intervals:
        plan = source.plan(lambda: spark, position, interval)
        if plan.ranges:
            found += read(spark, source, plan)
            position = json.loads(json.dumps(plan.position))
    return sorted(found), position


def test_single_days_in_any_order_equal_one_run_over_all(spark: SparkSession, flights: DatabaseSource):
    whole, position = take(spark, flights, days(1, 3))
    assert whole == [10, 11, 12, 20, 21, 22, 30, 31, 32]
    assert take(spark, flights, days(3, 3), days(1, 1), days(2, 2)) == (whole, position)
    assert position == {"intervals": [["2013-01-01T00:00:00Z", "2013-01-04T00:00:00Z"]]}


def test_an_interval_again_is_nothing_and_an_overlapping_one_its_rest(spark: SparkSession, flights: DatabaseSource):
    _, position = take(spark, flights, days(2, 3))
    assert flights.plan(lambda: spark, position, days(2, 2)).ranges == ()
    plan = flights.plan(lambda: spark, position, days(1, 4))
    assert read(spark, flights, plan) == [10, 11, 12, 40, 41, 42]
    assert plan.position == {"intervals": [["2013-01-01T00:00:00Z", "2013-01-05T00:00:00Z"]]}


def test_an_interval_without_rows_is_asked_again(spark: SparkSession, flights: DatabaseSource, database: Build):
    assert flights.plan(lambda: spark, None, days(20, 20)).ranges == ()
    database("SELECT 1", [(99, "2013-01-20 10:00:00")])
    assert take(spark, flights, days(20, 20))[0] == [99]


def test_intervals_and_watermarks_do_not_mix(spark: SparkSession, flights: DatabaseSource):
    by_watermark = flights.plan(lambda: spark, None).position
    with pytest.raises(ConfigError, match=r"read so far up to watermark 52, .*run without --from"):
        flights.plan(lambda: spark, by_watermark, days(1, 1))
    _, by_intervals = take(spark, flights, days(1, 1))
    with pytest.raises(ConfigError, match=r"so far by intervals 2013-01-01T00:00:00Z/2013-01-02T00:00:00Z.*with --from and --to"):
        flights.plan(lambda: spark, by_intervals)


def test_a_source_without_an_interval_column_reads_on_whatever_the_interval(spark: SparkSession, database: Build):
    source = DatabaseSource(database(KEYED, [(1, "2013-01-01"), (2, "2013-02-01")]), "t", "id")
    assert read(spark, source, source.plan(lambda: spark, None, days(1, 1))) == [1, 2]


@pytest.mark.parametrize("value", [None, "yesterday", b"\xff"])
def test_a_row_without_a_time_is_not_left_behind_in_silence(spark: SparkSession, database: Build, value: object):
    source = DatabaseSource(database(KEYED, [(1, "2013-01-01"), (2, value)]), "t", "id", interval="at")
    with pytest.raises(SourceError, match="interval column 'at' of table 't' holds no time in 1 rows"):
        source.plan(lambda: spark, None, days(1, 1))


def test_a_missing_interval_column_is_named(spark: SparkSession, flights: DatabaseSource):
    source = DatabaseSource(flights.url, "t", "id", interval="att")
    with pytest.raises(ConfigError, match="no column 'att': did you mean 'at'"):
        source.plan(lambda: spark, None, days(1, 1))
