import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from core.errors import TableError
from core.lake.engine import engine_hold

HOLDER = """
import fcntl, sys
with open(sys.argv[1], "w") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


def test_an_engine_waits_for_another_that_still_writes(spark: SparkSession, tmp_path: Path):
    # given another process with the POSIX lock that an engine takes
    file = tmp_path / "_locks" / "raw.flights.engine"
    file.parent.mkdir()
    command = [sys.executable, "-c", HOLDER, str(file)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout
        assert child.stdout.readline() == "held\n"
        with (
            pytest.raises(TableError, match=r"raw\.flights: the Spark engine of a run that was killed is still writing"),
            engine_hold(spark, file, "raw.flights", wait_s=0.3),
        ):
            pass
    finally:
        child.kill()
        child.communicate()
    # then it is free with the end of that process, again and again
    for _ in range(2):
        with engine_hold(spark, file, "raw.flights", wait_s=5):
            pass
