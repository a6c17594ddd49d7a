"""``python -m benchmarks.cluster.growth LINES SUPERVISOR``: logs of 1, 4 and 16 times LINES lines, in one session.

Each is ingested and extracted, under the settings of the environment. SUPERVISOR is the process whose descendants (services,
executors) are watched beside this one; 0 for none. Prints one JSON object a size. A log of LINES lines goes first, to warm the
session up, and is not counted.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from pyspark.sql import functions as F

from benchmarks.bench_etl import RULES, log_line
from benchmarks.cluster.meter import Meter
from core.config import load
from core.contracts import TableName
from core.lake.catalog import Lake
from core.lake.tables import read_table
from core.settings import Settings, load_settings
from core.storage.local import LocalStorage
from etl.extract import extract
from etl.ingest import ingest
from etl.rules.config import RuleFile, TableRules, read_rules
from etl.sources.config import open_source
from etl.sources.file_config import LogConfig
from etl.sources.files import FileSource
from jobs.session import open_session

SIZES = (1, 4, 16)
_PIECE = 50_000


def lines(count: int) -> Iterator[bytes]:
    """The log's bytes, the same each time."""
    rng = random.Random(7)
    for start in range(0, count, _PIECE):
        yield b"".join(log_line(rng, i) + b"\n" for i in range(start, min(start + _PIECE, count)))


def write_log(settings: Settings, name: str, count: int) -> FileSource:
    source = open_source(LogConfig(kind="log", folder=Path(f"sources/{name}"), pattern="*.log"), settings)
    if not isinstance(source, FileSource):
        raise TypeError(source)
    storage = source.open_files() if source.open_files else LocalStorage(Path(source.folder))
    storage.write_atomic("operations.log", lines(count))
    return source


def rules_for(name: str) -> TableRules:
    text = load(RULES, RuleFile).model_dump_json(by_alias=True).replace("raw.operations", f"raw.{name}")
    file = RuleFile.model_validate_json(text.replace("extracted.operations", f"extracted.{name}"))
    return next(table for table in read_rules("bench", file, str(RULES)).tables if table.into.name == name)


def main() -> None:
    count, supervisor = int(sys.argv[1]), int(sys.argv[2])
    settings = load_settings()
    lake, spark = Lake.of(settings), open_session(settings, "bench-cluster")
    meter = Meter([os.getpid(), *([supervisor] if supervisor else [])])
    for turn, size in enumerate((SIZES[0], *SIZES)):
        name = f"log{turn}_{os.getpid()}"
        source, raw, rules = write_log(settings, name, size * count), TableName.parse(f"raw.{name}"), rules_for(name)
        with meter.measure() as ingested:
            ingest(lambda: spark, lake, source, raw, app="bench")
        with meter.measure() as extracted:
            done = extract(spark, lake, rules, app="bench")
        found = read_table(spark, lake, rules.into).select("time", "airport", "carrier", "number", "tail", "event", "minutes")
        digest = found.agg(F.sum(F.xxhash64(*found.columns).cast("decimal(38,0)"))).collect()[0][0]
        if turn:
            answer = {"rows": done.rows, "quarantined": done.quarantined, "digest": str(digest)}
            costs = {"ingest": [ingested.wall, ingested.cpu], "extract": [extracted.wall, extracted.cpu]}
            print(json.dumps({"size": size, "lines": size * count, **answer, **costs}), flush=True)
    spark.stop()


if __name__ == "__main__":
    main()
