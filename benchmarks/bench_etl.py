"""The rule engine against hand-written Spark SQL that makes the same tables: typed rows, and quarantine with reasons.

Two inputs: an operations log (a regular expression) and JSON weather records, as raw tables in Parquet. The SQL is written for
each with care, one match a line and one parse a record, in two ways for the log; the faster is the peer. The log is also read
by a Python function, pickled (an ordinary UDF) and over Arrow. Answers are compared row by row first; then the sides take
turns, each writing its whole result to Spark's ``noop`` sink. Ratios of CPU time are what a busy machine can tell.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from pyspark.sql import DataFrame, SparkSession

from benchmarks.bench_etl_sql import JSON_SQL, LOG_BY_GROUP_SQL, LOG_BY_SPLIT_SQL
from benchmarks.bench_etl_udf import log_by_udf
from core.config import load
from core.spark import build_session
from etl.rules.compile import classify
from etl.rules.config import RuleFile, read_rules

TARGET = 1.05
TARGET_UDF = 3.0
ROOT = Path(__file__).parents[1]
RULES = Path(__file__).with_name("bench_etl.yaml")
RAW = "_source string, _offset long, _batch long, _ingested_at timestamp, _header binary, value binary"
START = datetime(2013, 1, 1, 5, 17, tzinfo=UTC)
DAMAGED = 0.005


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of wall clock, and of CPU in the JVM and its children."""

    wall: float
    cpu: float


def log_line(rng: random.Random, i: int) -> bytes:
    at = (START + timedelta(seconds=50 * i)).strftime("%Y-%m-%dT%H:%M:%S-05:00")
    airport, carrier = rng.choice(["EWR", "JFK", "LGA"]), rng.choice(["UA", "AA", "B6", "DL", "9E"])
    tail = f"N{rng.randrange(10_000, 99_999)}" if rng.random() > 0.01 else "-"
    event = rng.choice(["DEPARTED", "ARRIVED", "BOARDING"])
    line = f"{at} {airport} {carrier}{rng.randrange(1, 9999)} {tail} {event} {rng.randrange(-30, 400):+d}".encode()
    return damage(rng, line) if rng.random() < DAMAGED else line


def weather_line(rng: random.Random, i: int) -> bytes:
    at = (START + timedelta(hours=i // 3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    wind = {"speed": rng.randrange(0, 400) / 10, "direction": rng.randrange(0, 36) * 10}
    if rng.random() < 0.2:
        wind["gust"] = rng.randrange(100, 600) / 10
    air = {"temperature": rng.randrange(100, 900) / 10, "humidity": rng.randrange(200, 1000) / 10, "dew_point": 21.92}
    record = {"station": rng.choice(["EWR", "JFK", "LGA"]), "time": at, "air": air, "wind": wind, "visibility": 10.0}
    line = json.dumps(record).encode()
    return damage(rng, line) if rng.random() < DAMAGED else line


def damage(rng: random.Random, line: bytes) -> bytes:
    at = rng.randrange(len(line))
    return rng.choice([line[:at], line[:at] + b"\xff" + line[at:], line[:at] + b"?" + line[at + 1 :], line + line, b"-" * 40])


def write_raw(spark: SparkSession, place: str, make: Callable[[random.Random, int], bytes], rows: int) -> None:
    rng = random.Random(7)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for part in range(0, rows, 100_000):
        records = [("2013.log", 60 * i, 1, now, None, make(rng, i)) for i in range(part, min(part + 100_000, rows))]
        spark.createDataFrame(records, RAW).coalesce(1).write.mode("append").parquet(place)


def cost(jvm: psutil.Process, df: DataFrame) -> Cost:
    before, start = cpu_seconds(jvm), time.perf_counter()
    df.write.format("noop").mode("overwrite").save()
    return Cost(time.perf_counter() - start, cpu_seconds(jvm) - before)


def cpu_seconds(process: psutil.Process) -> float:
    return sum(p.cpu_times().user + p.cpu_times().system for p in [process, *process.children(recursive=True)])


def compare(ours: DataFrame, peer: DataFrame, name: str) -> None:
    names = [c for c in ours.columns if c in peer.columns]
    columns = [
        *(f"`{c}`" for c in names if c not in ("_problem", "_rule_set")),
        "_problem.reason AS reason",
        "_problem.message AS message",
    ]
    left, right = ours.selectExpr(*columns), peer.selectExpr(*columns)
    if set(ours.columns) != set(names):
        raise SystemExit(f"{name}: the peer lacks columns")
    first = left.exceptAll(right).head() or right.exceptAll(left).head()
    if first is not None:
        raise SystemExit(f"{name}: the answers differ, for example in {first}")


def measure(jvm: psutil.Process, sides: dict[str, DataFrame], rounds: int) -> dict[str, Cost]:
    """The median cost of each side, taken in turns after one round to warm up."""
    found: dict[str, list[Cost]] = {name: [] for name in sides}
    for turn in range(rounds + 2):
        for name, df in sides.items() if turn % 2 else reversed(sides.items()):
            taken = cost(jvm, df)
            if turn > 1:
                found[name].append(taken)
    return {
        name: Cost(statistics.median(c.wall for c in costs), statistics.median(c.cpu for c in costs))
        for name, costs in found.items()
    }


def show(name: str, costs: dict[str, Cost]) -> None:
    ours = costs["ours"]
    for side, c in costs.items():
        ratios = f"{ours.wall / c.wall:>9.3f}{ours.cpu / c.cpu:>9.3f}"
        print(f"{name:<12}{side:<12}{c.wall:>9.2f}{c.cpu:>9.2f}{ratios}", flush=True)


def run(spark: SparkSession, folder: str, rows: dict[str, int], rounds: int) -> dict[str, dict[str, Cost]]:
    """The costs of each side, by input."""
    jvm = psutil.Process(spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid())  # noqa: SLF001
    rules = {table.into.name: table for table in read_rules("bench_etl", load(RULES, RuleFile), str(RULES)).tables}
    peers = {"operations": {"split": LOG_BY_SPLIT_SQL, "groups": LOG_BY_GROUP_SQL}, "weather": {"from_json": JSON_SQL}}
    costs = {}
    for name, make in (("operations", log_line), ("weather", weather_line)):
        write_raw(spark, f"{folder}/{name}", make, rows[name])
        raw = spark.read.parquet(f"{folder}/{name}")
        raw.createOrReplaceTempView("raw")
        sides = {"ours": classify(raw, rules[name])} | {side: spark.sql(sql) for side, sql in peers[name].items()}
        if name == "operations":
            sides |= {"python": log_by_udf(raw, arrow=False), "arrow": log_by_udf(raw, arrow=True)}
        for side in [*sides][1:]:
            compare(sides["ours"], sides[side], f"{name} {side}")
        costs[name] = measure(jvm, sides, rounds)
        show(name, costs[name])
    return costs


def total(costs: dict[str, dict[str, Cost]], choose: Callable[[dict[str, Cost]], Cost]) -> Cost:
    chosen = [choose(sides) for sides in costs.values()]
    return Cost(sum(c.wall for c in chosen), sum(c.cpu for c in chosen))


def best_sql(sides: dict[str, Cost]) -> Cost:
    return min((c for side, c in sides.items() if side not in ("ours", "python", "arrow")), key=lambda c: c.cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000, help="lines of the log")
    parser.add_argument("--weather", type=int, default=600_000, help="JSON records")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    spark = build_session("bench-etl", jars=ROOT / "jars" / "spark")
    print(
        f"{'input':<12}{'side':<12}{'wall s':>9}{'cpu s':>9}{'wall x':>9}{'cpu x':>9}   (ours/side; target {TARGET})", flush=True
    )
    with tempfile.TemporaryDirectory() as folder:
        costs = run(spark, folder, {"operations": options.rows, "weather": options.weather}, options.rounds)
    spark.stop()
    ours, sql = total(costs, lambda sides: sides["ours"]), total(costs, best_sql)
    log, udf, arrow = (costs["operations"][side] for side in ("ours", "python", "arrow"))
    log_sql = best_sql(costs["operations"])
    print(
        f"bench-etl ratio_sql={ours.wall / sql.wall:.3f} ratio_cpu={ours.cpu / sql.cpu:.3f} "
        f"log_ratio_cpu={log.cpu / log_sql.cpu:.3f} "
        f"udf_speedup={udf.wall / log.wall:.2f} udf_speedup_cpu={udf.cpu / log.cpu:.2f} udf_target={TARGET_UDF:g} "
        f"arrow_speedup={arrow.wall / log.wall:.2f} arrow_speedup_cpu={arrow.cpu / log.cpu:.2f} "
        f"ours_s={ours.wall:.2f} sql_s={sql.wall:.2f} ours_cpu_s={ours.cpu:.2f} sql_cpu_s={sql.cpu:.2f} "
        f"rows={options.rows + options.weather}"
    )


if __name__ == "__main__":
    main()
