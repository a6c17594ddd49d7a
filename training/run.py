"""The way in: train a specification in processes of its own, and bring back what came of it. Imports no torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from core.errors import MaasError, TrainingError
from core.storage.local import LocalStorage
from training.data.inspection import Split, inspect
from training.evaluation import Evaluation
from training.job import Job
from training.launchers import HostLauncher, Launcher
from training.spec import TrainingSpec

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A finished run.

    ``onnx`` and ``weights`` (a torch state dict) are files in the run's folder; ``epochs`` are the epoch events in order;
    ``best_epoch`` is the number of the one whose weights were kept; ``parity`` is the largest difference between torch and ONNX
    Runtime; ``splits`` tell the rows that were used; ``seconds`` is the wall time of this call.
    """

    onnx: Path
    weights: Path
    evaluation: Evaluation
    epochs: tuple[Event, ...]
    best_epoch: int
    parity: float
    splits: dict[str, Split]
    seconds: float


def train(
    spec: TrainingSpec,
    *,
    folder: Path,
    launcher: Launcher = HostLauncher(),  # noqa: B008 — frozen
    processes: int = 2,
    threads: int = 1,
    start_timeout_s: float = 120,
    on_event: Callable[[Event], None] = lambda _: None,
) -> TrainedModel:
    """Train ``spec`` in ``processes`` processes of ``threads`` threads each; the results lie in ``folder``.

    ``on_event`` is called in this thread, as things happen: ``{"event": "started", "ranks", "pids"}``, ``{"event": "epoch"}``
    with the fields of ``loop.Epoch`` (epoch, train_loss, val_loss, val_auc, rows, rows_s), ``{"event": "evaluating"}``. A run of
    the same specification that was broken off in the launcher's storage goes on after its last whole epoch.

    Raises TrainingError when the data cannot be trained on (before any process starts) or the run diverges, RankFailed when a
    process dies, PublishRefused when ONNX does not give the same answers.
    """
    started = time.perf_counter()
    splits = inspect(spec)
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    job = Job(spec, splits, launcher.storage(folder), processes, threads)
    job.begin()
    events = _Events(job, on_event)
    failed = launcher.run(job, folder, start_timeout_s=start_timeout_s, has_started=lambda: events.seen > 0, tick=events.follow)
    if failed:
        raise _recorded(job, failed[0])
    return _finished(job, folder, time.perf_counter() - started)


class _Events:
    """What the ranks tell, each event handed on once."""

    def __init__(self, job: Job, on_event: Callable[[Event], None]) -> None:
        self._job = job
        self._on_event = on_event
        self.seen = 0

    def follow(self) -> None:
        """Hand on what is new."""
        while (event := self._job.event(self.seen)) is not None:
            self.seen += 1
            self._on_event(event)


def _recorded(job: Job, rank: int) -> MaasError:
    document = job.read_json(f"errors/{rank}")
    kinds = {kind.code: kind for kind in _tree(MaasError)}
    return kinds.get(document["code"], TrainingError)(document["message"], **document["facts"])


def _tree(kind: type[MaasError]) -> list[type[MaasError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in _tree(child))]


def _finished(job: Job, folder: Path, seconds: float) -> TrainedModel:
    result = job.read_json("result.json")
    epochs = tuple({"event": "epoch", **epoch} for epoch in result["epochs"])
    onnx, weights = (_bring(job, folder, name) for name in ("model.onnx", "weights.pt"))
    for entry in job.storage.list("checkpoints/*"):
        job.storage.delete(entry.path)
    return TrainedModel(
        onnx=onnx,
        weights=weights,
        evaluation=Evaluation.from_json(result["evaluation"]),
        epochs=epochs,
        best_epoch=min(epochs, key=lambda epoch: float(epoch["val_loss"]))["epoch"],
        parity=job.read_json("parity.json"),
        splits=job.splits,
        seconds=seconds,
    )


def _bring(job: Job, folder: Path, name: str) -> Path:
    """A file of the job's storage, in ``folder``."""
    if job.storage != LocalStorage(folder):
        with job.storage.open_read(name) as source:
            LocalStorage(folder).write_atomic(name, iter(partial(source.read, 1 << 20), b""))
    return folder / name
