import subprocess
import sys
import threading
from pathlib import Path

import pytest

from core.contracts import TableName
from core.errors import StorageError, TableError
from core.lake.catalog import Lake

HOLDER = """
import sys, time
from pathlib import Path
from core.contracts import TableName
from core.lake.catalog import Lake
with Lake(Path(sys.argv[1])).exclusive(TableName.parse("raw.flights")):
    print("held", flush=True)
    sys.stdin.read()
"""


def start_holder(lake: Lake) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLDER, str(lake.root)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout
    assert child.stdout.readline() == "held\n"
    return child


def close(child: subprocess.Popen[str]) -> None:
    child.communicate()


def test_a_second_process_waits_and_names_the_first(lake: Lake, flights: TableName):
    child = start_holder(lake)
    try:
        with pytest.raises(TableError, match=rf"written by process {child.pid} after 0.2 s"), lake.exclusive(flights, wait_s=0.2):
            pass
        with lake.exclusive(TableName.parse("raw.planes"), wait_s=0):  # another table is free
            pass
    finally:
        close(child)
    with lake.exclusive(flights, wait_s=0):
        pass


def test_a_killed_process_frees_its_lock(lake: Lake, flights: TableName):
    child = start_holder(lake)
    child.kill()
    close(child)
    with lake.exclusive(flights, wait_s=0):
        pass


def test_a_thread_enters_its_own_lock_again_and_others_wait(tmp_path: Path, flights: TableName):
    lake, same = Lake(tmp_path), Lake(tmp_path)
    seen: list[str] = []

    def other() -> None:
        try:
            with lake.exclusive(flights, wait_s=0):
                seen.append("in")
        except TableError:
            seen.append("out")

    def ask() -> None:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    with lake.exclusive(flights):
        with same.exclusive(flights, wait_s=0):
            ask()
        ask()  # the inner block's end frees nothing
    ask()
    assert seen == ["out", "out", "in"]


def test_an_error_inside_frees_the_lock(lake: Lake, flights: TableName):
    with pytest.raises(ValueError, match="inside"), lake.exclusive(flights):
        raise ValueError("inside")
    with lake.exclusive(flights, wait_s=0):
        pass


def test_a_lake_that_cannot_be_written_to_is_one_line(tmp_path: Path, flights: TableName):
    (tmp_path / "lake").write_text("a file")
    with pytest.raises(StorageError, match="no lock can be taken there"), Lake(tmp_path / "lake").exclusive(flights):
        pass
