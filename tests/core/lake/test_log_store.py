"""Drill D1: two processes write one version of a log in a folder, held up between the look and the rename (or link)."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyspark
import pytest
from deltalake import DeltaTable, write_deltalake

from core.spark import LOG_STORE

JARS = Path(__file__).parents[3] / "jars" / "spark"
DELTAS_OWN = "io.delta.storage.LocalLogStore"
COMMIT = Path(__file__).with_name("Commit.java")
LINE = '{"commitInfo":{"writer":"%s"}}'

NAMING = "link,linkat,rename,renameat,renameat2"
HELD_UP = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={NAMING}", "-e", f"inject={NAMING}:delay_enter=2000000"]

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """A process of its own that writes ``file`` as a commit once it is told to ``go``."""
    hadoop = (Path(pyspark.__file__).parent / "jars").glob("*.jar")
    classes = ":".join(map(str, [*sorted(JARS.glob("*.jar")), *sorted(hadoop)]))
    begun = []

    def start(store: str, file: Path, writer: str, *before: str) -> subprocess.Popen[str]:
        command = [*before, "java", "-XX:TieredStopAtLevel=1", "-cp", classes, str(COMMIT), store, str(file), LINE % writer]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        begun.append(child)
        return child

    yield start
    for child in begun:
        child.kill()
        child.wait()


def ready(child: subprocess.Popen[str]) -> None:
    assert child.stdout
    assert child.stdout.readline() == "looked\n"


def go(*children: subprocess.Popen[str]) -> list[str]:
    """What became of their commits."""
    for child in children:
        assert child.stdin
        child.stdin.write("\n")
        child.stdin.flush()
    return [child.communicate(timeout=60)[0].strip() for child in children]


@pytest.mark.parametrize("store", [LOG_STORE, DELTAS_OWN])
def test_of_two_that_both_found_the_version_free_one_wins_and_the_other_is_told(start: Start, tmp_path: Path, store: str):
    file = tmp_path / "_delta_log" / "00000000000000000007.json"
    file.parent.mkdir()
    writers = [start(store, file, name, *HELD_UP) for name in ("first", "second")]
    for writer in writers:
        ready(writer)
    said = go(*writers)
    if store == DELTAS_OWN:  # what this test is about: one of two acknowledged commits is gone
        assert said == ["written", "written"]
        return
    assert sorted(said) == [f"taken {file}", "written"]
    assert file.read_text() == LINE % ("first", "second")[said.index("written")] + "\n"
    assert sorted(one.name for one in file.parent.iterdir()) == [f".{file.name}.crc", file.name]


def test_a_commit_of_delta_rs_that_came_in_between_stays(start: Start, tmp_path: Path):
    """delta-rs without any lock of ours."""
    rows = pa.table({"n": [1]})
    write_deltalake(tmp_path, rows)
    file = tmp_path / "_delta_log" / "00000000000000000001.json"
    late = start(LOG_STORE, file, "late")
    ready(late)
    write_deltalake(tmp_path, rows, mode="append")
    theirs = file.read_bytes()
    assert go(late) == [f"taken {file}"]
    assert file.read_bytes() == theirs
    assert len(DeltaTable(tmp_path).to_pyarrow_table()) == 2
