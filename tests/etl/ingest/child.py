"""Ingest a home's log in a process of its own, which may kill itself on the way: child.py HOME MOMENT."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from core.contracts import Interval, TableName
from core.lake.catalog import Lake
from core.spark import build_session
from etl.ingest import ingest
from etl.sources.files import FileSource
from etl.sources.records import Format
from etl.sources.source import RECORD, Plan, Position, Session

ROOT = Path(__file__).parents[3]
TABLE = TableName.parse("raw.ops")


def die(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


@dataclass(frozen=True)
class Deadly:
    """A source that kills the driver after planning, or in the middle of the data."""

    source: FileSource
    moment: str
    driver: int

    def plan(self, session: Session, position: Position | None, interval: Interval | None = None) -> Plan:
        return self.source.plan(session, position, interval)

    def read(self, spark: SparkSession, plan: Plan) -> DataFrame:
        if self.moment == "planned":
            die(self.driver)
        driver = self.driver

        def deadly(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for number, batch in enumerate(batches):
                if number == 1:
                    die(driver)
                yield batch

        rows = self.source.read(spark, plan)
        return rows.mapInArrow(deadly, RECORD) if self.moment == "reading" else rows


def moments(table: Path, before: set[Path]) -> dict[str, Callable[[], bool]]:
    """What can be seen on the disk at each moment, beside what was there before."""
    log = table / "_delta_log"
    return {
        "data": lambda: any(file not in before for file in table.glob("*.parquet")),
        "commit": lambda: any(file not in before for file in log.glob("*.json")),
        "checkpoint": lambda: any(file not in before for file in log.glob("*checkpoint*parquet*")),
    }


def watch(seen: Callable[[], bool]) -> None:
    while not seen():
        time.sleep(0.0005)
    die(os.getpid())


def main(home: Path, moment: str) -> None:
    lake, source = Lake(home / "lake"), FileSource(home / "in", "*.log", Format.LOG)
    spark = build_session(
        "child", jars=ROOT / "jars" / "spark", driver_memory="1g", options={"spark.local.dir": str(home / "tmp")}
    )
    spark.range(1).count()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    table = Path(lake.path(TABLE))
    on_disk = moments(table, set(table.rglob("*")))
    if moment in on_disk:
        threading.Thread(target=watch, args=(on_disk[moment],), daemon=True).start()
    done = ingest(lambda: spark, lake, Deadly(source, moment, os.getpid()), TABLE, app="ops")
    sys.stdout.write(f"{done.rows}\n")
    sys.stdout.flush()
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
