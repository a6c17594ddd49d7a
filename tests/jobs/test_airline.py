import random
import re
import sqlite3

import pandas as pd
import pytest

from jobs.airline import DAMAGED_SHARE, _package_data, damage, lay_out, operations, read_flights

LINE = re.compile(rb"^\S{25} [A-Z0-9]{3} [A-Z0-9]{2}\d+ (-|[A-Z0-9]+) (DEPARTED|ARRIVED|DIVERTED|CANCELLED) (-|[+-]\d+)$")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return lay_out(tmp_path_factory.mktemp("airline") / "flights")


def test_the_database_holds_every_flight_in_order_of_schedule(folder):
    with sqlite3.connect(f"file:{folder / 'flights.db'}?mode=ro", uri=True) as connection:
        rows, last, first_hour = connection.execute("SELECT count(*), max(flight_id), min(time_hour) FROM flights").fetchone()
        cancelled = connection.execute("SELECT count(*) FROM flights WHERE dep_time IS NULL").fetchone()[0]
    connection.close()
    assert (rows, last, first_hour, cancelled) == (336_776, 336_776, "2013-01-01 10:00:00", 8_255)


def test_the_log_holds_every_event_and_about_the_stated_share_of_damage(folder):
    lines = b"".join(path.read_bytes() for path in sorted((folder / "operations").iterdir())).split(b"\n")[:-1]
    damaged = sum(not LINE.match(line) for line in lines) / len(lines)
    assert len(lines) == 665_297
    # an impossible date keeps the form of a line, so somewhat fewer than all damaged lines fail it
    assert 0.7 * DAMAGED_SHARE < damaged < 1.1 * DAMAGED_SHARE


def test_a_damaged_line_never_reads_as_an_event():
    dice = random.Random(1)
    line = b"2013-01-01T05:17:00-05:00 EWR UA1545 N14228 DEPARTED +2"
    for _ in range(5_000):
        hurt = damage(line, dice)
        assert hurt != line
        assert b"\n" not in hurt
        assert not LINE.match(hurt) or b"13-45" in hurt


def test_arrivals_follow_from_local_clocks():
    flights = read_flights(_package_data())
    events = operations(flights, pd.read_csv(_package_data() / "airports.csv"))
    flight = flights[(flights.carrier == "UA") & (flights.flight == 1545)].iloc[0]
    arrived = events[(events.flight == "UA1545") & (events.event == "ARRIVED")].iloc[0]
    # 05:17 in New York is 04:17 in Houston; it landed there at 08:30
    assert (flight.scheduled + pd.Timedelta(minutes=flight.dep_delay)) == pd.Timestamp("2013-01-01T10:17Z")
    assert arrived["at"] == pd.Timestamp("2013-01-01T14:30Z")


def test_a_finished_layout_is_left_as_it_is(folder):
    before = (folder / "flights.db").stat().st_mtime_ns
    lay_out(folder)
    assert (folder / "flights.db").stat().st_mtime_ns == before
