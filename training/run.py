"""The way in: train a specification in processes of its own, and bring back what came of it. Imports no torch."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import MaasError, TrainingError
from training.data.inspection import Split, inspect
from training.distributed.launch import run_ranks
from training.evaluation import Evaluation
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
    processes: int = 2,
    threads: int = 1,
    start_timeout_s: float = 120,
    on_event: Callable[[Event], None] = lambda _: None,
) -> TrainedModel:
    """Train ``spec`` in ``processes`` processes of ``threads`` threads each; everything they write lies in ``folder``.

    ``on_event`` is called in this thread, as things happen: ``{"event": "started", "ranks", "pids"}``, ``{"event": "epoch"}``
    with the fields of ``loop.Epoch`` (epoch, train_loss, val_loss, val_auc, rows, rows_s), ``{"event": "evaluating"}``. A run of
    the same specification that was broken off in ``folder`` goes on after its last whole epoch. Raises TrainingError when the
    data cannot be trained on (before any process starts) or the run diverges, RankFailed when a process dies, PublishRefused
    when ONNX does not give the same answers.
    """
    started = time.perf_counter()
    splits = inspect(spec)
    folder = folder.absolute()
    _prepare(folder, spec, splits, processes, threads)
    events = _Events(folder / "events.jsonl", on_event)
    failed = run_ranks(
        [sys.executable, "-X", "no_debug_ranges", "-m", "training.worker", str(folder)],
        processes=processes,
        threads=threads,
        folder=folder,
        start_timeout_s=start_timeout_s,
        has_started=lambda: events.seen > 0,
        tick=events.follow,
    )
    if failed:
        raise _recorded(folder / f"error-{failed[0]}.json")
    return _finished(folder, splits, time.perf_counter() - started)


def _prepare(folder: Path, spec: TrainingSpec, splits: dict[str, Split], processes: int, threads: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("events.jsonl", "result.json", "parity.json", "error-*.json", "rank-*.log"):
        for old in folder.glob(name):
            old.unlink()
    document = {
        "spec": spec.model_dump(mode="json"),
        "splits": {name: split.to_json() for name, split in splits.items()},
        "processes": processes,
        "threads": threads,
    }
    (folder / "run.json").write_text(json.dumps(document), encoding="utf-8")


class _Events:
    """A growing file of JSON lines, each handed on once."""

    def __init__(self, path: Path, on_event: Callable[[Event], None]) -> None:
        self._path = path
        self._on_event = on_event
        self._offset = 0
        self.seen = 0

    def follow(self) -> None:
        """Hand on the whole lines that are new."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                self.seen += 1
                self._on_event(json.loads(line))


def _recorded(path: Path) -> MaasError:
    document = json.loads(path.read_text(encoding="utf-8"))
    kinds = {kind.code: kind for kind in _tree(MaasError)}
    return kinds.get(document["code"], TrainingError)(document["message"], **document["facts"])


def _tree(kind: type[MaasError]) -> list[type[MaasError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in _tree(child))]


def _finished(folder: Path, splits: dict[str, Split], seconds: float) -> TrainedModel:
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    shutil.rmtree(folder / "checkpoints")
    epochs = tuple({"event": "epoch", **epoch} for epoch in result["epochs"])
    return TrainedModel(
        onnx=folder / "model.onnx",
        weights=folder / "weights.pt",
        evaluation=Evaluation.from_json(result["evaluation"]),
        epochs=epochs,
        best_epoch=min(epochs, key=lambda epoch: float(epoch["val_loss"]))["epoch"],
        parity=json.loads((folder / "parity.json").read_text(encoding="utf-8")),
        splits=splits,
        seconds=seconds,
    )
