"""An increment with 16 times the history: ten thousand new lines of a log, ingested and extracted.

Two lakes of one session, one with a batch of history, one with sixteen as large; they take turns with increments of their own,
of the same lines. Each must have all rows at the end. Ratios of CPU time are what a busy machine can tell.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from pyspark.sql import SparkSession

from benchmarks.bench_etl import RULES, Cost, cpu_seconds, log_line
from core.config import load
from core.contracts import TableName
from core.lake.catalog import Lake
from core.spark import build_session
from etl.extract import extract
from etl.ingest import ingest
from etl.rules.config import RuleFile, TableRules, read_rules
from etl.sources.files import FileSource
from etl.sources.records import Format

TARGET = 1.2
MORE = 16
ROOT = Path(__file__).parents[1]
APP = "bench/operations"


@dataclass(slots=True)
class Platform:
    """A lake, and a folder whose log files it has read."""

    spark: SparkSession
    folder: Path
    rules: TableRules
    lines: int = 0
    costs: list[Cost] = field(default_factory=list)

    @property
    def lake(self) -> Lake:
        """Its tables."""
        return Lake(self.folder / "lake")

    def write(self, count: int) -> None:
        """Add a file of so many lines."""
        rng = random.Random(self.lines)
        files = self.folder / "in"
        files.mkdir(parents=True, exist_ok=True)
        data = b"".join(log_line(rng, self.lines + i) + b"\n" for i in range(count))
        (files / f"{self.lines:012}.log").write_bytes(data)
        self.lines += count

    def take(self) -> None:
        """Ingest and extract what is new."""
        ingest(lambda: self.spark, self.lake, FileSource(self.folder / "in", "*.log", Format.LOG), self.rules.source, app=APP)
        extract(self.spark, self.lake, self.rules, app=APP)

    def whole(self) -> bool:
        """Whether each line is a row or in quarantine."""
        rows = sum(self.lake.info(table).rows for table in (self.rules.into, self.rules.quarantine))
        return rows == self.lake.info(self.rules.source).rows == self.lines


def measured(jvm: psutil.Process, work: Callable[[], None]) -> Cost:
    """What the work costs the JVM, its workers and this process."""
    me = psutil.Process()
    begun, before = time.perf_counter(), cpu_seconds(jvm) + me.cpu_times().user
    work()
    return Cost(time.perf_counter() - begun, cpu_seconds(jvm) + me.cpu_times().user - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--history", type=int, default=100_000, help="lines of the smaller history, one batch")
    parser.add_argument("--lines", type=int, default=10_000, help="lines of an increment")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    (rules,) = (
        table
        for table in read_rules("bench_etl", load(RULES, RuleFile), str(RULES)).tables
        if table.into == TableName.parse("extracted.operations")
    )
    with tempfile.TemporaryDirectory() as folder:
        spark = build_session("bench-increment", jars=ROOT / "jars" / "spark", options={"spark.local.dir": folder})
        jvm = psutil.Process(spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid())  # type: ignore[union-attr]  # noqa: SLF001
        small, large = (Platform(spark, Path(folder) / name, rules) for name in ("small", "large"))
        for platform, batches in ((large, MORE), (small, 1)):
            for _ in range(batches):
                platform.write(options.history)
                platform.take()
        for turn in range(options.rounds + 2):
            for platform in (small, large) if turn % 2 else (large, small):
                platform.write(options.lines)
                cost = measured(jvm, platform.take)
                if turn > 1:
                    platform.costs.append(cost)
        if not (small.whole() and large.whole()):
            raise SystemExit("rows and quarantined records are not as many as lines")
        spark.stop()
    (wall, cpu), (more_wall, more_cpu) = (
        (statistics.median(c.wall for c in one.costs), statistics.median(c.cpu for c in one.costs)) for one in (small, large)
    )
    print(f"{'history':>12}{'wall s':>9}{'cpu s':>9}   (an increment of {options.lines:,} lines)")
    print(f"{options.history:>12,}{wall:>9.2f}{cpu:>9.2f}")
    print(f"{options.history * MORE:>12,}{more_wall:>9.2f}{more_cpu:>9.2f}")
    print(
        f"bench-increment ratio={more_wall / wall:.3f} ratio_cpu={more_cpu / cpu:.3f} target={TARGET:g} "
        f"wall_s={more_wall:.2f} cpu_s={more_cpu:.2f} history={options.history * MORE}"
    )


if __name__ == "__main__":
    main()
