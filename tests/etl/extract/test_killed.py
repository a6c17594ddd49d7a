"""A run that is killed between its two commits is finished by the next, with the rules that it began with."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from pyspark.sql import SparkSession

from core.contracts import TableName
from core.lake.catalog import Lake
from core.lake.tables import read_table
from etl.extract import extract
from etl.rules.config import load_rules

ROOT = Path(__file__).parents[3]
INTO, QUARANTINE = TableName.parse("extracted.numbers"), TableName.parse("quarantine.numbers")
APP = "test/extract"
RULES = r"""
version: 1
tables:
  - from: raw.lines
    into: extracted.numbers
    rules:
      - {name: pair, kind: regex, pattern: '(?<key>\w+)=(?<number>\S+)', fields: {key: {type: string}, number: {type: int}}}
    checks:
      - {name: once, kind: unique, columns: [key]}
"""
CHILD = """
import sys
from pathlib import Path
from core.lake.catalog import Lake
from core.spark import build_session
from etl.extract import extract
from etl.rules.config import load_rules

lake, rules, jars, scratch = map(Path, sys.argv[1:])
spark = build_session("child", jars=jars, master="local[1]", options={"spark.local.dir": str(scratch)})
extract(spark, Lake(lake), load_rules(rules).tables[0], app="test/extract")
"""


def killed_between_commits(lake: Lake, rules: Path, scratch: Path) -> None:
    """Run extraction in a process of its own and kill it, JVM and all, once its rows are committed and its quarantine is not.

    The parent holds the quarantine's lock, so the child waits there for as long as it takes to be killed.
    """
    command = [sys.executable, "-c", CHILD, str(lake.root), str(rules), str(ROOT / "jars" / "spark"), str(scratch)]
    with lake.exclusive(QUARANTINE):
        child = subprocess.Popen(command, cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL)
        try:
            while not lake.exists(INTO):
                assert child.poll() is None, "the child ended before it committed"
                time.sleep(0.1)
        finally:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    assert not lake.exists(QUARANTINE)


def test_the_next_run_writes_the_missing_quarantine_and_doubles_nothing(spark: SparkSession, lake, land, tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(RULES, encoding="utf-8")
    begun = load_rules(file)
    land("raw.lines", 1, [b"a=1", b"b=x", b"junk"])
    killed_between_commits(lake, file, tmp_path)
    land("raw.lines", 2, [b"c=3", b"d=word"])
    file.write_text(RULES.replace("number: {type: int}", "number: {type: int, null_values: [x, word]}"), encoding="utf-8")
    changed = load_rules(file)

    done = extract(spark, lake, changed.tables[0], app=APP)

    rows = read_table(spark, lake, INTO).orderBy("key").collect()
    lost = read_table(spark, lake, QUARANTINE).orderBy("_batch", "_offset").collect()
    assert [(r["key"], r["number"], r["_rule_set"]) for r in rows] == [
        ("a", 1, begun.digest),
        ("c", 3, changed.digest),
        ("d", None, changed.digest),
    ]
    assert [(bytes(r["raw"]), r["reason"], r["rule_set"]) for r in lost] == [
        (b"b=x", "bad_cast", begun.digest),
        (b"junk", "no_rule", begun.digest),
    ]
    assert (done.rows_in, done.rows, done.quarantined) == (4, 2, 2)
    assert lake.info(INTO).rows + lake.info(QUARANTINE).rows == 5
