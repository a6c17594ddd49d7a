"""Several processes write one table: what was acknowledged is there, once, also when a writer is killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from core.contracts import TableName
from core.hadoop import client_options
from core.lake.catalog import Lake
from core.settings import Settings
from training.data.files import file_system

COMMITS, KILLED_AFTER = 12, 4
SHARED = TableName.parse("raw.shared")
CHILD = Path(__file__).with_name("writer.py")


@pytest.fixture(params=["folder", pytest.param("hdfs", marks=pytest.mark.cluster)])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    if request.param == "folder":
        return Lake(tmp_path / "lake")
    settings: Settings = request.getfixturevalue("cluster")
    return Lake(f"{settings.lake.root}-{uuid.uuid4().hex[:8]}", client_options(settings))


def start(lake: Lake, engine: str, app: str, tmp_path: Path) -> subprocess.Popen[bytes]:
    """A writer. In a folder all take one lock; on HDFS each takes its own, so that Delta's commit alone keeps them apart."""
    locks = tmp_path / "locks" / ("" if lake.local else app)
    command = [sys.executable, str(CHILD), lake.place, json.dumps(dict(lake.options)), str(locks), engine, app, str(COMMITS)]
    with (tmp_path / f"{app}.log").open("wb") as log:
        environment = {**os.environ, "PYTHONPATH": str(CHILD.parents[3])}
        return subprocess.Popen([*command, str(tmp_path / app)], env=environment, stdout=log, stderr=log, start_new_session=True)


def acknowledged(tmp_path: Path, app: str) -> list[int]:
    file = tmp_path / app
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def rows_of(lake: Lake) -> Counter[tuple[str, int, int]]:
    files = lake.snapshot(SHARED).files
    system, paths = file_system(files, lake.options)
    tables = [pq.ParquetFile(path, filesystem=system).read() for path in paths]
    return Counter((row["app"], row["number"], row["id"]) for table in tables for row in table.to_pylist())


@pytest.mark.parametrize(("steadily", "until_killed"), [("spark", "spark"), ("spark", "delta-rs"), ("delta-rs", "spark")])
def test_each_acknowledged_commit_is_found_once(shared: Lake, tmp_path: Path, steadily: str, until_killed: str):
    steady, doomed = start(shared, steadily, "steady", tmp_path), start(shared, until_killed, "doomed", tmp_path)
    try:
        deadline = time.monotonic() + 200
        while len(acknowledged(tmp_path, "doomed")) < KILLED_AFTER:
            assert doomed.poll() is None and time.monotonic() < deadline, (tmp_path / "doomed.log").read_text()[-2000:]
            time.sleep(0.02)
        time.sleep(random.uniform(0, 0.5))  # wherever in a commit it is then
        os.killpg(doomed.pid, signal.SIGKILL)
        doomed.wait()
        assert steady.wait(200) == 0, (tmp_path / "steady.log").read_text()[-2000:]
    finally:
        for process in (steady, doomed):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    assert acknowledged(tmp_path, "steady") == list(range(1, COMMITS + 1))
    told, found = len(acknowledged(tmp_path, "doomed")), shared.number(SHARED, "doomed")
    assert told <= found <= told + 1  # the last may be committed and not yet told
    numbers = [("steady", n) for n in range(1, COMMITS + 1)] + [("doomed", n) for n in range(1, found + 1)]
    assert rows_of(shared) == Counter((app, number, row) for app, number in numbers for row in range(3))
    assert shared.version(SHARED) == len(numbers) - 1
