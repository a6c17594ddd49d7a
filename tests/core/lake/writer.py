"""A process that appends to a table and notes each commit that it was told of: ROOT OPTIONS LOCKS APP COMMITS NOTES."""

import json
import os
import sys
from pathlib import Path

from core.contracts import TableName
from core.lake.catalog import Lake
from core.lake.lock import FileLocks
from core.lake.tables import append
from core.spark import build_session

JARS = Path(__file__).parents[3] / "jars" / "spark"


def main(root: str, options: str, locks: str, app: str, commits: str, notes: str) -> None:
    place = root if "://" in root else Path(root)
    lake = Lake(place, json.loads(options), FileLocks(Path(locks)))
    spark = build_session(app, master="local[1]", driver_memory="1g", jars=JARS)
    with Path(notes).open("a") as file:
        for number in range(1, int(commits) + 1):
            rows = spark.range(3).selectExpr(f"'{app}' AS app", f"{number} AS number", "id")
            append(lake, rows, TableName.parse("raw.shared"), app=app, number=number, facts={})
            file.write(f"{number}\n")
            file.flush()
            os.fsync(file.fileno())


if __name__ == "__main__":
    main(*sys.argv[1:])
