"""Records of several lines, such as stack traces."""

import os
import random
from pathlib import Path

import pytest

from core.errors import SourceError
from etl.sources.files import FileSource
from etl.sources.logs.multiline import Starts
from etl.sources.logs.pattern import python_pattern
from etl.sources.logs.plan import LogOptions
from etl.sources.records import Format
from etl.sources.source import Position
from tests.etl.sources.lines import plan_after, read_plan

STARTS = Starts(python_pattern("%{DATE} "))
TRACE = b"2013-01-01 E failed\r\n  at one\r\n\r\n  at two"


def source(folder: Path, **options: float) -> FileSource:
    return FileSource(folder, "*", Format.LOG, starts=STARTS, logs=LogOptions(**options))  # type: ignore[arg-type]


def values(source: FileSource, position: Position | None) -> tuple[Position, list[tuple[int, bytes]]]:
    plan = plan_after(source, position)
    return plan.position, [(offset, value) for _, offset, _, value in read_plan(source, plan)]


def test_a_record_has_the_lines_until_the_next_begins(tmp_path: Path):
    file, log = tmp_path / "app.log", source(tmp_path)
    file.write_bytes(b"\xef\xbb\xbfbefore any\n\n" + TRACE + b"\r\n2013-01-02 I fine\n")
    position, first = values(log, None)
    assert first == [(3, b"before any\n"), (15, TRACE)]
    with file.open("ab") as end:
        end.write(b"  more of it\n2013-01-03 ")
    position, second = values(log, position)
    assert second == []
    with file.open("ab") as end:
        end.write(b"I next\n")
    assert values(log, position)[1] == [(15 + len(TRACE) + 2, b"2013-01-02 I fine\n  more of it")]


@pytest.mark.parametrize("how", ["quiet", "renamed"])
def test_the_last_record_is_whole_when_the_file_is_quiet_or_was_rotated(tmp_path: Path, how: str):
    file, log = tmp_path / "app.log", source(tmp_path, quiet_s=60)
    file.write_bytes(TRACE + b"\n")
    position, first = values(log, None)
    if how == "quiet":
        os.utime(file, (1, 1))
    else:
        file.rename(tmp_path / "app.log.1")
        file.touch()
    position, second = values(log, position)
    assert (first, second) == ([], [(0, TRACE)])
    assert values(log, position)[1] == []


@pytest.mark.parametrize("seed", range(5))
def test_large_files_are_cut_between_records_however_they_grow(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch):
    # given records about as long as what is read at once, with ranges made small
    monkeypatch.setattr("etl.sources.logs.multiline.RANGE", 300)
    monkeypatch.setattr("etl.sources.logs.multiline._BLOCK", 100)
    chance, log, position = random.Random(seed), source(tmp_path), None
    records = [
        b"\n".join([b"2013-01-01 %d" % n, *(b" " * chance.randint(0, 60) for _ in range(chance.randint(0, 9)))])
        for n in range(200)
    ]
    data, found, at = b"\n".join([*records, b"2013-01-01 end\n"]), [], 0
    # when they come in pieces of any size
    while at < len(data):
        size = chance.randint(1, 4000)
        with (tmp_path / "app.log").open("ab") as end:
            end.write(data[at : at + size])
        at += size
        position, new = values(log, position)
        found += new
    # then
    assert [value for _, value in found] == records
    assert all(data[offset:].startswith(value) for offset, value in found)


def test_a_record_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, size in (("RANGE", 100), ("LONGEST", 500)):
        monkeypatch.setattr(f"etl.sources.logs.multiline.{name}", size)
    (tmp_path / "app.log").write_bytes(b"2013-01-01 a\n" + b" more\n" * 200 + b"2013-01-01 b\n")
    with pytest.raises(SourceError, match=r"app\.log: the record at byte 0 is longer than 500 bytes: does 'starts'"):
        plan_after(source(tmp_path), None)
