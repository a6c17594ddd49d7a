"""Where the ranks of a run are: processes of this host, or tasks of Spark's executors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from core.errors import RankFailed
from core.storage.local import LocalStorage
from core.storage.storage import Storage
from training.distributed.launch import RECORDED, run_ranks
from training.job import Job

if TYPE_CHECKING:
    from pyspark import SparkContext


class Launcher(Protocol):
    """Starts ranks, watches them, and ends them."""

    def storage(self, folder: Path) -> Storage:
        """Where the ranks of a run, whose own files lie in ``folder``, leave what they make."""
        ...

    def run(
        self,
        job: Job,
        folder: Path,
        *,
        start_timeout_s: float,
        has_started: Callable[[], bool],
        tick: Callable[[], None],
    ) -> list[int]:
        """Run all ranks to their end; ``tick`` is called as they go, and once after. What they say goes into ``folder``.

        Returns the ranks that left an error. Raises RankFailed naming a rank that died, TrainingError when ``has_started`` is
        not true after ``start_timeout_s``. Whatever is raised, here or by ``tick``, no rank is left running.
        """
        ...


@dataclass(frozen=True, slots=True)
class HostLauncher:
    """Child processes of this one, on this host."""

    def storage(self, folder: Path) -> Storage:
        """The folder itself."""
        return LocalStorage(folder)

    def run(
        self,
        job: Job,
        folder: Path,
        *,
        start_timeout_s: float,
        has_started: Callable[[], bool],
        tick: Callable[[], None],
    ) -> list[int]:
        """See Launcher.run."""
        return run_ranks(
            [sys.executable, "-X", "no_debug_ranges", "-m", "training.worker", str(folder)],
            processes=job.processes,
            threads=job.threads,
            folder=folder,
            start_timeout_s=start_timeout_s,
            has_started=has_started,
            tick=tick,
        )


@dataclass(frozen=True, slots=True)
class SparkLauncher:
    """Tasks of a session's executors, over ``horovod.spark.run``.

    ``open_shared`` opens storage that executors and this process reach, on each of them; it is pickled. ``interface`` is the
    network interface that ranks talk over.
    """

    context: SparkContext
    open_shared: Callable[[], Storage]
    interface: str = "lo"

    def storage(self, _folder: Path) -> Storage:
        """The shared one."""
        return self.open_shared()

    def run(
        self,
        job: Job,
        folder: Path,
        *,
        start_timeout_s: float,
        has_started: Callable[[], bool],
        tick: Callable[[], None],
    ) -> list[int]:
        """See Launcher.run."""
        from training.distributed.executors import run_on_executors  # noqa: PLC0415 — needs Spark, which a host does not

        codes = run_on_executors(
            self.context,
            run_shared,
            (self.open_shared,),
            processes=job.processes,
            threads=job.threads,
            interface=self.interface,
            log=folder / "ranks.log",
            start_timeout_s=start_timeout_s,
            has_started=has_started,
            tick=tick,
        )
        recorded = [rank for rank, code in enumerate(codes) if code == RECORDED]
        if any(codes) and not recorded:
            alone = next(rank for rank, code in enumerate(codes) if code)
            raise RankFailed(f"rank {alone} of {len(codes)} lost the others; start the step again to go on", rank=alone)
        return recorded


def run_shared(open_shared: Callable[[], Storage]) -> int:
    """What each rank in an executor runs: the job in that storage."""
    from training.worker import run_rank  # noqa: PLC0415 — torch is the ranks' own

    return run_rank(Job.read(open_shared()))
