"""Drills D2 and D7: a run that is killed anywhere, and two runs at once, leave the table of one unbroken run."""

import os
import random
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from pyspark.sql import SparkSession

from core.contracts import TableName
from core.lake.catalog import Lake
from core.lake.tables import append, read_table
from etl.ingest import ingest
from etl.sources.files import FileSource
from etl.sources.records import Format

ROOT = Path(__file__).parents[3]
TABLE = TableName.parse("raw.ops")
MARK = "MAAS_TEST_CHILD"

Content = list[tuple[str, int, int, bytes]]


def run(spark: SparkSession, home: Path) -> int:
    return ingest(lambda: spark, Lake(home / "lake"), FileSource(home / "in", "*.log", Format.LOG), TABLE, app="ops").rows


def content(spark: SparkSession, home: Path) -> tuple[int, int, str]:
    """How many rows and different records there are, and a digest of all but the time of ingestion."""
    rows = read_table(spark, Lake(home / "lake"), TABLE)
    found = rows.selectExpr(
        "count(*) n",
        "count(DISTINCT _source, _offset) k",
        "string(sum(cast(xxhash64(_source, _offset, _batch, value) AS decimal(38)))) h",
    ).collect()[0]
    return found.n, found.k, found.h


@pytest.fixture(scope="module")
def prepared(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two batches ingested, a third waiting, and a checkpoint due with the commit of that third."""
    home = tmp_path_factory.mktemp("prepared")
    (home / "in").mkdir()
    lake = Lake(home / "lake")
    for part in range(2):
        (home / "in" / f"{part}.log").write_bytes(b"".join(b"part %d line %d\n" % (part, line) for line in range(500)))
        run(spark, home)
    spark.sql(f"ALTER TABLE delta.`{lake.path(TABLE)}` SET TBLPROPERTIES (delta.checkpointInterval = 4)")
    append(lake, read_table(spark, lake, TABLE).limit(0), TABLE, app="other", number=1, facts={})
    assert lake.version(TABLE) == 3
    with (home / "in" / "1.log").open("ab") as end:
        end.write(b"".join(b"more of part 1, line %d of very many lines\n" % line for line in range(200_000)))
    (home / "in" / "2.log").write_bytes(b"".join(b"part 2, line %d of very many lines\n" % line for line in range(200_000)))
    return home


@pytest.fixture(scope="module")
def unbroken(spark: SparkSession, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, int, str]:
    home = tmp_path_factory.mktemp("unbroken") / "home"
    shutil.copytree(prepared, home)
    assert run(spark, home) == 400_000
    return content(spark, home)


@pytest.fixture
def home(prepared: Path, tmp_path: Path) -> Path:
    shutil.copytree(prepared, tmp_path / "home")
    return tmp_path / "home"


@contextmanager
def started(home: Path, moment: str) -> Iterator[subprocess.Popen[str]]:
    """The child, waiting for a line before it ingests. No process of its kind is left behind."""
    mark = uuid.uuid4().hex
    child = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("child.py")), str(home), moment],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, MARK: mark, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
    )
    try:
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
        yield child
    finally:
        child.kill()
        child.communicate()
        _, left = psutil.wait_procs(marked(mark), timeout=30)
        for process in left:
            process.kill()
        psutil.wait_procs(left, timeout=10)


def marked(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == mark:
                found.append(process)
    return found


def go(child: subprocess.Popen[str]) -> None:
    assert child.stdin
    child.stdin.write("go\n")
    child.stdin.flush()


@pytest.mark.parametrize("moment", ["planned", "reading", "data", "commit", "checkpoint"])
def test_a_run_killed_at_a_marked_point_and_run_again_gives_the_unbroken_table(
    spark: SparkSession, home: Path, unbroken: tuple[int, int, str], moment: str
):
    # given
    with started(home, moment) as child:
        go(child)
        assert child.wait(120) == -9
        # when it is run again, while the killed one's engine may still be alive
        run(spark, home)
    # then, and once more when that engine has ended
    assert content(spark, home) == unbroken
    assert run(spark, home) == 0
    assert content(spark, home) == unbroken


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_killed_at_a_random_moment_and_run_again_gives_the_unbroken_table(
    spark: SparkSession, home: Path, unbroken: tuple[int, int, str], seed: int
):
    with started(home, "never") as child:
        go(child)
        time.sleep(random.Random(seed).uniform(0.2, 3))
        child.kill()
        run(spark, home)
    assert content(spark, home) == unbroken
    assert run(spark, home) == 0


def test_two_runs_at_once_ingest_each_row_once(spark: SparkSession, home: Path, unbroken: tuple[int, int, str]):
    with started(home, "never") as child:
        go(child)
        ours = run(spark, home)
        assert child.stdout
        theirs = int(child.stdout.readline())
        assert child.wait(60) == 0
    assert sorted([ours, theirs]) == [0, 400_000]
    assert content(spark, home) == unbroken
