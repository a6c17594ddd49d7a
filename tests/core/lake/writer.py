"""A process that appends to a table and notes each commit that it was told of: ROOT OPTIONS LOCKS ENGINE APP COMMITS NOTES."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from deltalake import CommitProperties, Transaction, write_deltalake

from core.contracts import TableName
from core.lake.catalog import Lake
from core.lake.lock import FileLocks
from core.lake.tables import append
from core.spark import build_session

JARS = Path(__file__).parents[3] / "jars" / "spark"
TABLE = TableName.parse("raw.shared")
PAUSE_S = 0.2


def spark_writer(lake: Lake, app: str) -> Callable[[int], None]:
    spark = build_session(app, master="local[1]", driver_memory="1g", jars=JARS)

    def write(number: int) -> None:
        rows = spark.range(3).selectExpr(f"'{app}' AS app", f"{number}L AS number", "id")
        append(lake, rows, TABLE, app=app, number=number, facts={})

    return write


def delta_rs_writer(lake: Lake, app: str) -> Callable[[int], None]:
    """Takes no lock. Waits for the other engine's first commit, so that both are at it together, and rests between its own."""
    while not lake.exists(TABLE):
        time.sleep(PAUSE_S)

    def write(number: int) -> None:
        rows = pa.table({"app": [app] * 3, "number": [number] * 3, "id": [0, 1, 2]})
        done = CommitProperties(app_transactions=[Transaction(app, number)])
        write_deltalake(lake.path(TABLE), rows, mode="append", commit_properties=done, storage_options=dict(lake.options))
        time.sleep(PAUSE_S)

    return write


ENGINES = {"spark": spark_writer, "delta-rs": delta_rs_writer}


def main(root: str, options: str, locks: str, engine: str, app: str, commits: str, notes: str) -> None:
    place = root if "://" in root else Path(root)
    write = ENGINES[engine](Lake(place, json.loads(options), FileLocks(Path(locks))), app)
    with Path(notes).open("a") as file:
        for number in range(1, int(commits) + 1):
            write(number)
            file.write(f"{number}\n")
            file.flush()
            os.fsync(file.fileno())


if __name__ == "__main__":
    main(*sys.argv[1:])
