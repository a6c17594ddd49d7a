"""Ranks are watched, named when they die, and never left behind. The ranks here are small programs without torch."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from core.errors import RankFailed, TrainingError
from training.distributed.launch import PEER_LOST, RECORDED, run_ranks

RANK = "import os, signal, sys, time; rank = int(os.environ['HOROVOD_RANK']);"


def run(
    program: str, folder: Path, *, processes: int = 2, timeout_s: float = 60, tick: Callable[[], None] = lambda: None
) -> list[int]:
    return run_ranks(
        [sys.executable, "-c", RANK + program],
        processes=processes,
        threads=1,
        folder=folder,
        start_timeout_s=timeout_s,
        has_started=lambda: False,
        tick=tick,
    )


def test_ranks_that_end_well_return_nothing(tmp_path: Path) -> None:
    assert run("print('rank', rank, 'of', os.environ['HOROVOD_SIZE'], os.environ['OMP_NUM_THREADS'])", tmp_path) == []
    assert (tmp_path / "rank-1.log").read_text() == "rank 1 of 2 1\n"


def test_a_killed_rank_is_named_with_its_last_lines_and_the_others_end(tmp_path: Path) -> None:
    program = "print('pid', os.getpid(), flush=True); rank == 1 and os.kill(os.getpid(), 9); time.sleep(0.2); sys.exit(75)"

    with pytest.raises(RankFailed, match=r"rank 1 of 2 was killed by signal 9.*\n  pid \d+") as failure:
        run(program, tmp_path)

    assert failure.value.facts["rank"] == 1
    assert failure.value.facts["exit_code"] == -signal.SIGKILL


def test_a_rank_with_an_unforeseen_error_is_named_with_it(tmp_path: Path) -> None:
    with pytest.raises(RankFailed, match=r"(?s)rank 0 of 2 ended with exit code 1.*ZeroDivisionError"):
        run(f"rank == 0 and 1 / 0; time.sleep(0.2); sys.exit({PEER_LOST})", tmp_path)


def test_a_rank_that_hangs_while_the_others_give_up_is_named_and_ended(tmp_path: Path) -> None:
    program = f"print(os.getpid(), flush=True); rank == 1 and os.kill(os.getpid(), signal.SIGSTOP); sys.exit({PEER_LOST})"

    with pytest.raises(RankFailed, match="rank 1 of 2 stopped answering"):
        run(program, tmp_path)

    assert not psutil.pid_exists(int((tmp_path / "rank-1.log").read_text()))


def test_ranks_that_wrote_down_their_error_are_returned(tmp_path: Path) -> None:
    assert run(f"sys.exit({RECORDED} if rank == 1 else {PEER_LOST})", tmp_path) == [1]


def test_ranks_that_do_not_come_together_in_time_are_ended(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"2 ranks did not come together in 0\.5 s"):
        run("print(os.getpid(), flush=True); time.sleep(60)", tmp_path, timeout_s=0.5)

    for rank in (0, 1):
        text = (tmp_path / f"rank-{rank}.log").read_text()
        assert not text or not psutil.pid_exists(int(text))


def test_when_the_caller_fails_or_is_interrupted_no_rank_is_left(tmp_path: Path) -> None:
    def interrupt() -> None:
        if all((tmp_path / f"rank-{r}.log").read_text() for r in (0, 1)):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("print(os.getpid(), flush=True); time.sleep(60)", tmp_path, tick=interrupt)

    assert not any(psutil.pid_exists(int((tmp_path / f"rank-{r}.log").read_text())) for r in (0, 1))


def test_when_the_starting_process_is_killed_its_ranks_end(tmp_path: Path) -> None:
    rank = (
        "from training.distributed.launch import leave_with_parent; import time, os;"
        "leave_with_parent(); print(os.getpid(), flush=True); time.sleep(60)"
    )
    driver = (
        "import sys, pathlib; from training.distributed.launch import run_ranks;"
        f"run_ranks([sys.executable, '-c', {rank!r}], processes=2, threads=1,"
        f"folder=pathlib.Path({str(tmp_path)!r}), start_timeout_s=60, has_started=lambda: True, tick=lambda: None)"
    )
    with subprocess.Popen([sys.executable, "-c", driver]) as process:
        pids = [int(await_text(tmp_path / f"rank-{r}.log")) for r in (0, 1)]

        process.kill()

    deadline = time.monotonic() + 30
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def await_text(path: Path) -> str:
    deadline = time.monotonic() + 30
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return path.read_text()


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_ranks_meet_on_the_loopback_interface_only(tmp_path: Path) -> None:
    def look() -> None:
        listening.update(c.laddr.ip for c in psutil.Process(os.getpid()).net_connections("tcp") if c.status == psutil.CONN_LISTEN)

    listening: set[str] = set()
    run("time.sleep(0.3)", tmp_path, tick=look)

    assert listening == {"127.0.0.1"}
