import gzip
import os
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pytest

from core.errors import CorruptFile
from jobs.processes import open_files
from monitoring.archive import archive, due

ROOT = Path(__file__).parents[2]
NAME = "jobs-2026-01-31.jsonl"


def lines(count: int) -> bytes:
    return b"".join(b'{"message":"line %d"}\n' % number for number in range(count))


def read(folder: Path, name: str = NAME) -> bytes:
    with gzip.open(folder / "archive" / "2026-01" / f"{name}.gz") as file:
        return file.read()


def test_days_before_the_first_kept_one_are_due_oldest_first():
    names = ["a-2026-02-01.jsonl", "b-2026-01-30.jsonl", "a-2026-01-31.jsonl", "a-2026-13-01.jsonl", "jobs.jsonl", "spark.log"]
    assert due(names, date(2026, 2, 1)) == ["b-2026-01-30.jsonl", "a-2026-01-31.jsonl"]


def test_a_log_goes_by_month_whole_and_the_same_bytes_give_the_same_archive(tmp_path):
    for name in (NAME, "model-server-2026-02-01.jsonl"):
        (tmp_path / name).write_bytes(lines(1000))
    done = list(archive(tmp_path, [NAME, "model-server-2026-02-01.jsonl"], ()))
    places = [str(one.place.relative_to(tmp_path)) for one in done]
    assert places == [f"archive/2026-01/{NAME}.gz", "archive/2026-02/model-server-2026-02-01.jsonl.gz"]
    assert [one.bytes for one in done] == [len(lines(1000))] * 2
    assert done[0].compressed < done[0].bytes / 5
    assert read(tmp_path) == lines(1000)
    assert done[0].place.read_bytes() == done[1].place.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive"]


def test_a_file_that_a_process_has_open_stays(tmp_path):
    (tmp_path / NAME).write_bytes(lines(3))
    with (tmp_path / NAME).open("ab"):
        in_use = open_files(tmp_path)
        assert in_use == {tmp_path / NAME}
        assert list(archive(tmp_path, [NAME], in_use)) == []
    assert (tmp_path / NAME).read_bytes() == lines(3)
    assert open_files(tmp_path) == set()


def test_what_an_archive_has_already_is_not_doubled_and_what_it_lacks_is_added(tmp_path):
    # a run that was killed before it took the file away
    (tmp_path / NAME).write_bytes(lines(1000))
    list(archive(tmp_path, [NAME], ()))
    (tmp_path / NAME).write_bytes(lines(1000))
    list(archive(tmp_path, [NAME], ()))
    assert read(tmp_path) == lines(1000)
    # lines of that day that came later, by a clock that was set back
    (tmp_path / NAME).write_bytes(b"late\n")
    list(archive(tmp_path, [NAME], ()))
    assert read(tmp_path) == lines(1000) + b"late\n"


def test_a_damaged_archive_is_named_and_the_log_stays(tmp_path):
    (tmp_path / NAME).write_bytes(lines(1000))
    (done,) = archive(tmp_path, [NAME], ())
    done.place.write_bytes(done.place.read_bytes()[:-20])
    (tmp_path / NAME).write_bytes(lines(1000))
    with pytest.raises(CorruptFile, match=r"jobs-2026-01-31\.jsonl\.gz is damaged"):
        list(archive(tmp_path, [NAME], ()))
    assert (tmp_path / NAME).read_bytes() == lines(1000)


def test_killed_at_any_moment_nothing_is_lost_and_the_next_run_ends_it(tmp_path):
    names = [f"jobs-2026-01-{day:02d}.jsonl" for day in range(1, 9)]
    text = lines(100_000)
    for name in names:
        (tmp_path / name).write_bytes(text)
    code = (
        "import sys; from pathlib import Path; from monitoring.archive import archive\n"
        "print('begun', flush=True)\nfor _ in archive(Path(sys.argv[1]), sys.argv[2:], ()): pass"
    )
    for pause in (0.0, 0.05, 0.1, 0.2, 0.3):
        left = [name for name in names if (tmp_path / name).exists()]
        child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), *left], cwd=ROOT, stdout=subprocess.PIPE)
        assert child.stdout
        child.stdout.readline()
        time.sleep(pause)
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
        for name in names:
            assert (tmp_path / name).exists() or read(tmp_path, name) == text
    list(archive(tmp_path, [name for name in names if (tmp_path / name).exists()], ()))
    assert [read(tmp_path, name) for name in names] == [text] * len(names)
    assert not list(tmp_path.glob("*.jsonl"))
