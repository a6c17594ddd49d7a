"""Logs that rotate, by rename and by copy and cut, while nobody and while somebody reads them."""

import hashlib
import itertools
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from core.errors import SourceError
from etl.sources.files import FileSource
from etl.sources.logs.content import is_derived
from etl.sources.logs.plan import LogOptions
from etl.sources.records import Format
from etl.sources.source import Position
from tests.etl.sources.lines import plan_after, read_plan


class Host:
    """A machine that writes logs and rotates them; a clock of its own tells when a file was written last."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.chance, self.clock = folder, random.Random(seed), itertools.count(1_700_000_000)
        self.written: Counter[bytes] = Counter()
        self.begun: dict[str, bytes] = {}
        self.numbers = itertools.count()
        self.rotating = False
        for name in ("app.log", "web.log"):
            self.write(name, b"")

    def touch(self, name: str) -> None:
        now = next(self.clock)
        os.utime(self.folder / name, (now, now))

    def write(self, name: str, data: bytes) -> None:
        with (self.folder / name).open("ab") as end:
            end.write(data)
        self.touch(name)

    def line(self, name: str) -> None:
        """One that is like no other, after a first one that all files share; some are written in two parts."""
        if (self.folder / name).stat().st_size == 0:
            self.written[b"# the same first line"] += 1
            self.write(name, b"# the same first line\n")
        rest = self.begun.pop(name, None)
        line = (
            rest
            if rest is not None
            else b"%s %d %s" % (name.encode(), next(self.numbers), b"x" * self.chance.choice((0, 40, 900)))
        )
        if rest is None and self.chance.random() < 0.2:
            self.write(name, line[:5])
            self.begun[name] = line
            return
        self.write(name, line[5:] + b"\n" if rest is not None else line + b"\n")
        self.written[line] += 1

    def shift(self, name: str) -> None:
        for number, suffix in itertools.product(range(30, 0, -1), ("", ".gz", ".zst")):
            old = self.folder / f"{name}.{number}{suffix}"
            if old.exists():
                old.rename(self.folder / f"{name}.{number + 1}{suffix}")

    def rename(self, name: str) -> None:
        self.end(name)
        self.shift(name)
        (self.folder / name).rename(self.folder / f"{name}.1")
        self.write(name, b"")

    def copy(self, name: str) -> None:
        self.end(name)
        self.shift(name)
        shutil.copyfile(self.folder / name, self.folder / f"{name}.1")
        self.touch(f"{name}.1")

    def compress(self, name: str, meanwhile: Callable[[], None]) -> None:
        """As gzip and zstd do: the new file grows beside the old one, is given its time, and then takes its place."""
        old = self.chance.choice([path for path in self.folder.iterdir() if path.suffix[1:].isdigit()] or [None])
        if old is None:
            return
        codec, suffix = self.chance.choice((("gzip", ".gz"), ("zstd", ".zst")))
        data, new = pa.compress(old.read_bytes(), codec=codec, asbytes=True), old.with_name(old.name + suffix)
        written, self.rotating = old.stat().st_mtime, True
        new.write_bytes(data[: self.chance.choice((4, len(data) - 5))])
        meanwhile()
        new.write_bytes(data)
        os.utime(new, (written, written))
        meanwhile()
        old.unlink()
        self.rotating = False

    def cut(self, name: str) -> None:
        os.truncate(self.folder / name, 0)
        self.touch(name)

    def end(self, name: str) -> None:
        if name in self.begun:
            self.line(name)


def life(folder: Path, seed: int, steps: int) -> tuple[Counter[bytes], Counter[bytes]]:
    """What was written and what was read while a host logs, rotates and is read, and readers are killed."""
    folder.mkdir()
    host, source = Host(folder, seed), FileSource(folder, "*.log*", Format.LOG)
    position: Position | None = None
    found: Counter[bytes] = Counter()

    def disturb() -> None:
        name = host.chance.choice(("app.log", "web.log"))
        host.chance.choice((host.line, host.line, host.line if host.rotating else host.rename))(name)

    def run(position: Position | None) -> Position:
        plan = plan_after(source, position)
        if host.chance.random() < 0.3:
            disturb()  # between planning and reading
        rows = read_plan(source, plan)
        if host.chance.random() < 0.3:
            return position or {"files": {}}  # killed before the commit
        found.update(row[-1] for row in rows)
        return plan.position

    def read() -> None:
        nonlocal position
        position = run(position)

    for _ in range(steps):
        name = host.chance.choice(("app.log", "web.log"))
        match host.chance.choices(("line", "rename", "copy", "compress", "run"), (8, 1, 1, 1, 4))[0]:
            case "line":
                host.line(name)
            case "rename":
                host.rename(name)
            case "copy" if (folder / name).stat().st_size > 60:
                host.copy(name)
                if host.chance.random() < 0.5:
                    position = run_quietly(source, position, found)
                host.cut(name)
            case "compress":
                host.compress(name, read)
            case "run":
                read()
    for name in ("app.log", "web.log"):
        host.end(name)
    run_quietly(source, position, found)
    return host.written, found


def run_quietly(source: FileSource, position: Position | None, found: Counter[bytes]) -> Position:
    plan = plan_after(source, position)
    found.update(row[-1] for row in read_plan(source, plan))
    return plan.position


@pytest.mark.parametrize("seed", range(30))
def test_each_line_is_read_once_however_files_rotate(tmp_path: Path, seed: int):
    written, found = life(tmp_path / "in", seed, 60)
    assert found == written


def texts(source: FileSource, position: Position | None) -> tuple[Position, list[tuple[str, int, bytes]]]:
    plan = plan_after(source, position)
    return plan.position, [(name, offset, value) for name, offset, _, value in read_plan(source, plan)]


def test_the_rest_of_a_renamed_log_is_read_under_its_new_name(tmp_path: Path):
    source = FileSource(tmp_path, "app.log*", Format.LOG)
    (tmp_path / "app.log").write_bytes(b"one\ntwo\n")
    position, _ = texts(source, None)
    (tmp_path / "app.log").rename(tmp_path / "app.log.1")
    with (tmp_path / "app.log.1").open("ab") as end:
        end.write(b"three\n")
    (tmp_path / "app.log").write_bytes(b"four\n")
    position, found = texts(source, position)
    assert found == [("app.log", 0, b"four"), ("app.log.1", 8, b"three")]
    assert texts(source, position)[1] == []


def test_a_position_of_a_version_that_knew_logs_by_name_is_gone_on_with(tmp_path: Path):
    (tmp_path / "app.log.1").write_bytes(b"one\ntwo\nthree\n")
    (tmp_path / "app.log").write_bytes(b"four\n")
    position = {"files": {"app.log": {"offset": 8, "fingerprint": hashlib.sha256(b"one\ntwo\n").hexdigest()}}}
    _, found = texts(FileSource(tmp_path, "app.log*", Format.LOG), position)
    assert [value for *_, value in found] == [b"four", b"three"]


@pytest.mark.parametrize("after", [b"", b"on", b"other\nlines\n", b"quite other lines\n"])
def test_lines_that_nobody_holds_any_more_stop_the_run_unless_told_to_go_on(tmp_path: Path, after: bytes):
    file, source = tmp_path / "app.log", FileSource(tmp_path, "*.log", Format.LOG)
    file.write_bytes(b"one\ntwo\n")
    position, _ = texts(source, None)
    file.write_bytes(after)
    with pytest.raises(
        SourceError, match=r"app\.log: was read up to byte 8 and holds something else now.*'app\.log\*'"
    ) as caught:
        plan_after(source, position)
    assert "\n" not in caught.value.message
    going = FileSource(tmp_path, "*.log", Format.LOG, logs=LogOptions(skip_lost=True))
    position, found = texts(going, position)
    assert [value for *_, value in found] == after.split(b"\n")[:-1]
    assert texts(source, position)[1] == []


def test_the_oldest_file_is_deleted_without_a_word(tmp_path: Path):
    source = FileSource(tmp_path, "app.log*", Format.LOG)
    for name in ("app.log", "app.log.1", "app.log.2"):
        (tmp_path / name).write_bytes(name.encode() + b"\n")
    position, _ = texts(source, None)
    (tmp_path / "app.log.1").rename(tmp_path / "app.log.2")
    (tmp_path / "app.log").rename(tmp_path / "app.log.1")
    (tmp_path / "app.log").write_bytes(b"new\n")
    assert texts(source, position)[1] == [("app.log", 0, b"new")]


def test_files_that_only_begin_alike_are_each_read(tmp_path: Path):
    source = FileSource(tmp_path, "*.log", Format.LOG)
    for name in ("a.log", "b.log"):
        (tmp_path / name).write_bytes(b"# banner\n")
    position, first = texts(source, None)
    (tmp_path / "c.log").write_bytes(b"# banner\n")
    (tmp_path / "b.log").write_bytes(b"# banner\nx\n")
    _, second = texts(source, position)
    assert len(first) == 2
    assert second == [("b.log", 9, b"x"), ("c.log", 0, b"# banner")]


def test_a_log_that_is_rotated_between_planning_and_reading_is_read_where_it_is_now(tmp_path: Path):
    source = FileSource(tmp_path, "app.log*", Format.LOG)
    (tmp_path / "app.log").write_bytes(b"one\ntwo\n")
    plan = plan_after(source, None)
    (tmp_path / "app.log").rename(tmp_path / "app.log.1")
    (tmp_path / "app.log").write_bytes(b"quite other lines\n")
    assert [value for *_, value in read_plan(source, plan)] == [b"one", b"two"]
    (tmp_path / "app.log.1").unlink()
    with pytest.raises(SourceError, match=r"app\.log became another file while it was read: put it back and run again"):
        read_plan(source, plan)


def test_a_quiet_last_line_is_taken_without_its_end_where_that_was_asked_for(tmp_path: Path):
    file, source = tmp_path / "app.log", FileSource(tmp_path, "*", Format.LOG, logs=LogOptions(quiet_s=60))
    file.write_bytes(b"one\ntw")
    position, first = texts(source, None)
    os.utime(file, (1, 1))
    position, second = texts(source, position)
    with file.open("ab") as end:
        end.write(b"o\nthree\n")
    _, third = texts(source, position)
    assert [[value for *_, value in found] for found in (first, second, third)] == [[b"one"], [b"tw"], [b"o", b"three"]]


@pytest.mark.parametrize(
    ("live", "old", "derived"),
    [
        ("app.log", "app.log.1", True),
        ("app.log", "app.log.2.gz", True),
        ("app.log", "app-2013-01-01.log", True),
        ("app.log", "app.1.log", True),
        ("a/app.log", "a/old/app.log", True),
        ("messages", "messages-2013", True),
        ("app.log.1", "app.log.1.gz", True),
        ("app.log", "app.log", False),
        ("app.log.1", "app.log", False),
        ("app.log.1", "app.log.10", False),
        ("app.log", "application.log", False),
        ("app.log", "app.errors", False),
        ("a/app.log", "b/app.log.1", False),
    ],
)
def test_names_tell_which_file_may_have_come_of_which(live: str, old: str, derived: bool):
    assert is_derived(live, old) is derived
