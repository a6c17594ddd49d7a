"""Run a function as the ranks of a Horovod world in Spark's executors, watch them, and end them.

``horovod.spark.run`` does the work. Four things are set around it: its servers listen on the address of one interface instead of
all; ranks find the packages that the session sent to executors; it can be told to end, from the thread that watches, where it
would take over this process's signals; and it does not fork this process, which has threads, to see whether it has Gloo.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

import horovod.runner.common.util.network
import horovod.runner.gloo_run
import horovod.runner.http.http_server
import horovod.spark
import horovod.spark.runner
import psutil
from pyspark import SparkContext, TaskContext

from core.errors import RankFailed, TrainingError

_POLL_S = 0.5
_LAST_LINES = 12
_STALL_S = 10
_GRACE_S = 20.0
_SIGNAL = 128

_run_task = horovod.spark.runner._task_fn  # noqa: SLF001 — what Horovod runs in a Spark task


def run_on_executors(
    context: SparkContext,
    program: Callable[..., int],
    arguments: Sequence[Any],
    *,
    processes: int,
    threads: int,
    interface: str,
    log: Path,
    start_timeout_s: float,
    has_started: Callable[[], bool],
    tick: Callable[[], None],
) -> list[int]:
    """``program(*arguments)`` in ``processes`` ranks at once, each in a task of its own; what they returned, by rank.

    ``tick`` is called twice a second while they run, and once after. What ranks print goes to ``log``. Raises RankFailed naming
    a rank that died, and TrainingError when ``has_started`` is not true after ``start_timeout_s``; then no rank is left running.
    """
    call = _Call(start_timeout_s, processes, threads, interface)
    with log.open("w", encoding="utf-8") as output, log.with_name("horovod.log").open("w", encoding="utf-8") as traces:
        call.start(program, arguments, output, traces)
        deadline = time.monotonic() + start_timeout_s
        try:
            while call.thread.is_alive():
                tick()
                if time.monotonic() > deadline and not has_started():
                    raise TrainingError(call.not_together)
                call.thread.join(_POLL_S)
            tick()
        finally:
            call.end(context)
    if call.error is not None:
        raise _explain(call, call.error, log) from call.error
    return call.codes


@dataclass(slots=True)
class _Call:
    """One ``horovod.spark.run`` in a thread of its own."""

    start_timeout_s: float
    processes: int
    threads: int
    interface: str
    thread: threading.Thread = field(init=False)
    codes: list[int] = field(default_factory=list)
    error: Exception | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self, program: Callable[..., int], arguments: Sequence[Any], output: TextIO, traces: TextIO) -> None:
        """Start the ranks; what they print goes to ``output``, what Horovod prints here to ``traces``."""
        self.thread = threading.Thread(target=self._run, args=(program, tuple(arguments), output, traces), daemon=True)
        self.thread.start()

    def _run(self, program: Callable[..., int], arguments: tuple[Any, ...], output: TextIO, traces: TextIO) -> None:
        limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(self.threads))
        try:
            with (
                _listening_on(self.interface),
                _replaced(horovod.spark.runner, "_task_fn", _task),
                _replaced(horovod.spark.runner, "run_controller", _run_gloo),
                _replaced(horovod.runner.gloo_run, "register_shutdown_event", lambda: self._stop),
                contextlib.redirect_stderr(traces),
            ):
                self.codes = horovod.spark.run(
                    program,
                    arguments,
                    num_proc=self.processes,
                    start_timeout=int(self.start_timeout_s),
                    use_gloo=True,
                    env={**limits, "HOROVOD_STALL_CHECK_TIME_SECONDS": str(_STALL_S)},
                    stdout=output,
                    stderr=output,
                    nics={self.interface},
                )
        except Exception as error:  # noqa: BLE001 — raised again by the thread that waits
            self.error = error

    def end(self, context: SparkContext) -> None:
        """End the ranks, if any are left."""
        if self.thread.is_alive():
            self._stop.set()
            context.cancelAllJobs()
            self.thread.join(_GRACE_S)

    @property
    def not_together(self) -> str:
        """What is said when ranks do not start in time."""
        return (
            f"the {self.processes} ranks did not come together in {self.start_timeout_s:g} s: are there {self.processes} free "
            "cores in the executors (spark.executors, spark.executor_cores)?"
        )


def _run_gloo(_use_gloo: bool, gloo_run: Callable[[], None], *_others: object) -> None:
    """In place of Horovod's choice, which looks for Gloo in a fork: a fork hangs where another thread held a lock."""
    gloo_run()


def _task(index: int, addresses: Any, key: Any, settings: Any, *kind: bool) -> Any:
    """In a Spark task: Horovod's own function, its server on one interface, its rank with our packages."""
    task = TaskContext.get()
    if task is not None and task.attemptNumber() > 0:
        raise RuntimeError("a rank that died cannot join the others again")
    sent = [path for path in sys.path if path.endswith(".zip")]
    os.environ["PYTHONPATH"] = os.pathsep.join([*map(os.path.abspath, sent), os.environ.get("PYTHONPATH", "")])
    (interface,) = settings.nics
    with _listening_on(interface):
        return _run_task(index, addresses, key, settings, *kind)


@contextmanager
def _listening_on(interface: str) -> Iterator[None]:
    """Let Horovod's servers that start in this block listen on the interface's address alone."""

    def open_port(make_server: Callable[[tuple[str, int]], Any]) -> tuple[Any, int]:
        server = make_server((_address(interface), 0))
        return server, server.socket.getsockname()[1]

    with (
        _replaced(horovod.runner.common.util.network, "find_port", open_port),
        _replaced(horovod.runner.http.http_server, "find_port", open_port),
    ):
        yield


@contextmanager
def _replaced(module: ModuleType, name: str, value: object) -> Iterator[None]:
    """Put ``value`` in place of a module's function for the block."""
    kept = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, kept)


def _address(interface: str) -> str:
    for address in psutil.net_if_addrs().get(interface, []):
        if address.family == socket.AF_INET:
            return str(address.address)
    known = ", ".join(sorted(psutil.net_if_addrs()))
    raise TrainingError(f"training.interface: {interface!r} has no IPv4 address here; there are: {known}")


def _explain(call: _Call, error: Exception, log: Path) -> TrainingError:
    text = str(error)
    if isinstance(error, TrainingError):
        return error
    if "Timed out" in text:
        return TrainingError(call.not_together)
    said = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()][-_LAST_LINES:]
    lines = "\n  ".join(["; the last lines of the ranks' log:", *said]) if said else ""
    again = f"start the step again to go on from the last epoch{lines}"
    rank = re.search(r"Process name: (\d+)\nExit code: (\S+)", text)
    if rank is None:
        return RankFailed(f"the ranks on Spark's executors ended: {text.strip() or type(error).__name__}; {again}", log=str(log))
    number, code = int(rank[1]), rank[2]
    if code in {"None", "-1"}:
        how = "was lost with its executor"
    else:  # a shell reports signal N as 128 + N
        how = f"was killed by signal {int(code) - _SIGNAL}" if int(code) > _SIGNAL else f"ended with exit code {code}"
    return RankFailed(f"rank {number} of {call.processes} {how}; {again}", rank=number, log=str(log))
