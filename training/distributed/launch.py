"""Start the processes of a run on this host, watch them, and end them.

The ranks meet at Horovod's own rendezvous server, which ``horovodrun`` would start too; without its shells in between, each rank
is a child whose output, exit code and process id are known, and all traffic stays on the loopback interface.

A rank's standard input is a pipe that only this process holds open: when it ends, however it ends, the ranks see it and leave.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from horovod.runner.common.util.hosts import get_host_assignments, parse_hosts
from horovod.runner.gloo_run import create_slot_env_vars
from horovod.runner.http.http_server import RendezvousHandler, RendezvousHTTPServer

from core.errors import RankFailed, TrainingError

RECORDED = 3
"""What a rank exits with after it wrote down the error that ended it, for its caller to raise."""
PEER_LOST = 75
"""What a rank exits with when another one left it alone."""

_LOOPBACK = "127.0.0.1"
_POLL_S = 0.05
_GRACE_S = 5.0
_STALL_S = 10
_LAST_LINES = 12


@dataclass(frozen=True, slots=True)
class Rank:
    """One process of a run, and the file that its output goes to."""

    number: int
    process: subprocess.Popen[bytes]
    log: Path


def run_ranks(
    command: Sequence[str],
    *,
    processes: int,
    threads: int,
    folder: Path,
    start_timeout_s: float,
    has_started: Callable[[], bool],
    tick: Callable[[], None],
) -> list[int]:
    """Run ``command`` once for each rank until all have ended; ``tick`` is called some times a second, and once after the end.

    Returns the ranks that ended with ``RECORDED``, none if all went well. Raises RankFailed naming a rank that died, with its
    last lines; the others get 5 s to notice. Raises TrainingError when ``has_started`` is not true after ``start_timeout_s``.
    Whatever is raised, here or by ``tick``, no rank is left running. Output goes to ``folder/rank-N.log``.
    """
    with _started(command, processes, threads, folder) as ranks:
        deadline = time.monotonic() + start_timeout_s
        while any(rank.process.poll() is None for rank in ranks):
            tick()
            if time.monotonic() > deadline and not has_started():
                raise TrainingError(
                    f"the {processes} ranks did not come together in {start_timeout_s:g} s: see {folder}/rank-*.log"
                )
            if any(rank.process.poll() for rank in ranks):
                _await_rest(ranks)
                break
            time.sleep(_POLL_S)
        tick()
        return _judge(ranks)


def _await_rest(ranks: Sequence[Rank]) -> None:
    deadline = time.monotonic() + _GRACE_S
    for rank in ranks:
        with contextlib.suppress(subprocess.TimeoutExpired):
            rank.process.wait(max(0.0, deadline - time.monotonic()))


def _judge(ranks: Sequence[Rank]) -> list[int]:
    codes = {rank: rank.process.poll() for rank in ranks}
    recorded = [rank.number for rank, code in codes.items() if code == RECORDED]
    dead = [rank for rank, code in codes.items() if code not in (0, None, RECORDED, PEER_LOST)]
    hung = [rank for rank, code in codes.items() if code is None]
    alone = [rank for rank, code in codes.items() if code == PEER_LOST]
    if not recorded and (dead or hung or alone):
        raise _failure((dead or hung or alone)[0], len(ranks))
    return recorded


def _failure(rank: Rank, size: int) -> RankFailed:
    code = rank.process.poll()
    how = "stopped answering" if code is None else f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    lines = [line for line in rank.log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()][-_LAST_LINES:]
    said = "\n  ".join(["its last lines:", *lines]) if lines else "it said nothing"
    return RankFailed(
        f"rank {rank.number} of {size} {how}; start the step again to go on from the last epoch; {said}",
        rank=rank.number,
        exit_code=code,
        log=str(rank.log),
    )


@contextmanager
def _started(command: Sequence[str], processes: int, threads: int, folder: Path) -> Iterator[list[Rank]]:
    with ExitStack() as stack:
        meeting = stack.enter_context(_rendezvous(processes)) if processes > 1 else [{}]
        ranks: list[Rank] = []
        stack.callback(_end, ranks)
        for number, place in enumerate(meeting):
            ranks.append(_start(command, number, folder, {**os.environ, **_thread_limits(threads), **place}))
        yield ranks


def _start(command: Sequence[str], number: int, folder: Path, environment: Mapping[str, str]) -> Rank:
    log = folder / f"rank-{number}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # an interrupt is this process's to answer: it ends the ranks itself
        )
    return Rank(number, process, log)


def _end(ranks: Sequence[Rank]) -> None:
    for rank in ranks:
        if rank.process.poll() is None:
            rank.process.kill()  # what a rank leaves behind is whole at any moment
        if rank.process.stdin:
            rank.process.stdin.close()
        rank.process.wait()


@contextmanager
def _rendezvous(processes: int) -> Iterator[list[dict[str, str]]]:
    """Where the ranks meet: the environment of each."""
    plan = get_host_assignments(parse_hosts(f"localhost:{processes}"), processes)
    server = RendezvousHTTPServer((_LOOPBACK, 0), RendezvousHandler, 0)
    server.daemon_threads = True
    server.init(plan)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    shared = {
        "HOROVOD_GLOO_RENDEZVOUS_ADDR": _LOOPBACK,
        "HOROVOD_GLOO_RENDEZVOUS_PORT": str(server.server_address[1]),
        "HOROVOD_GLOO_IFACE": "lo",
        "HOROVOD_CONTROLLER": "gloo",
        "HOROVOD_CPU_OPERATIONS": "gloo",
        "HOROVOD_STALL_CHECK_TIME_SECONDS": str(_STALL_S),
    }
    try:
        yield [{**shared, **create_slot_env_vars(slot)} for slot in plan]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _thread_limits(threads: int) -> dict[str, str]:
    return dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))


def leave_with_parent() -> None:
    """Called by a rank: from now on it ends when the process that started it has ended."""
    threading.Thread(target=_watch_parent, daemon=True).start()


def _watch_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(PEER_LOST)
