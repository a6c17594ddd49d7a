"""What a piece of work costs: wall seconds, and CPU seconds of families of processes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

_EVERY_S = 0.2


@dataclass(slots=True)
class Cost:
    """Seconds of wall clock, and of CPU in the watched processes."""

    wall: float = 0.0
    cpu: float = 0.0


class Meter:
    """Watches processes with all that descend from them; a short-lived one is seen up to 0.2 s before its end."""

    def __init__(self, roots: Sequence[int]) -> None:
        self._roots = [psutil.Process(pid) for pid in roots]
        self._seen: dict[tuple[int, float], float] = {}

    @contextmanager
    def measure(self) -> Iterator[Cost]:
        """The cost of the block, known when it ends."""
        cost, stop = Cost(), threading.Event()
        self._look()
        before, start = dict(self._seen), time.perf_counter()
        watcher = threading.Thread(target=self._watch, args=(stop,))
        watcher.start()
        try:
            yield cost
        finally:
            stop.set()
            watcher.join()
            cost.wall = time.perf_counter() - start
            self._look()
            cost.cpu = sum(seconds - before.get(key, 0.0) for key, seconds in self._seen.items())

    def _watch(self, stop: threading.Event) -> None:
        while not stop.wait(_EVERY_S):
            self._look()

    def _look(self) -> None:
        for process in [member for root in self._roots for member in (root, *root.children(recursive=True))]:
            try:
                times = process.cpu_times()
                self._seen[process.pid, process.create_time()] = times.user + times.system
            except psutil.NoSuchProcess:
                continue
