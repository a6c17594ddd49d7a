"""The loop: the same few lines for one process and for many.

Each step, every rank puts its gradient, loss and row count, all summed over rows, into one vector; the vector is summed over the
ranks; the gradient is divided by the rows of all of them. So a step's result does not depend on how its rows lie on the ranks, a
rank that has run out of rows adds zeros, and the step in which nobody had rows ends the epoch for everyone at once.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain, repeat
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from core.errors import TrainingError
from training.data.rows import Floats, Rows
from training.distributed.world import World
from training.spec import TaskConfig
from training.tasks.binary import BinaryClassification


class Batches(Protocol):
    """What the loop reads: one rank's batches of an epoch, their features named by ``columns``."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the features, in order."""

    def epoch(self, number: int) -> Iterable[Rows]:
        """The batches, each row once."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch, over all ranks. Losses are means a row; ``rows_s`` is training rows a second of wall time."""

    epoch: int
    train_loss: float
    val_loss: float
    val_auc: float
    rows: int
    rows_s: float


@dataclass(slots=True)
class Progress:
    """Where a run stands after its last finished epoch; all that is needed to go on."""

    weights: dict[str, Any]
    optimizer: dict[str, Any]
    best: dict[str, Any]
    epochs: list[Epoch] = field(default_factory=list)

    @property
    def best_epoch(self) -> Epoch:
        """The epoch of lowest validation loss, the first of equals."""
        return min(self.epochs, key=lambda epoch: epoch.val_loss)

    def is_over(self, config: TaskConfig) -> bool:
        """Whether all epochs are done, or ``patience`` of them brought nothing better."""
        if not self.epochs:
            return False
        return len(self.epochs) >= config.epochs or len(self.epochs) - self.best_epoch.epoch >= config.patience


class Learner:
    """A model being trained: with its task, its optimizer and its world, and its gradients as views of one vector."""

    def __init__(self, model: nn.Module, task: BinaryClassification, config: TaskConfig, world: World) -> None:
        self.model = model
        self.task = task
        self.config = config
        self.world = world
        self.optimizer = _optimizer(model, config)
        parameters = list(model.parameters())
        self.sums = torch.zeros(sum(p.numel() for p in parameters) + 2)
        """The gradient, then the loss and the rows that it is summed over."""
        self.gradient = self.sums[:-2]
        views = torch.split(self.gradient, [p.numel() for p in parameters])
        for parameter, view in zip(parameters, views, strict=True):
            parameter.grad = view.view_as(parameter)

    def start(self, progress: Progress | None) -> Progress:
        """Rank 0's ``progress``, or rank 0's fresh weights, on all ranks."""
        fresh = Progress(self.model.state_dict(), self.optimizer.state_dict(), {})
        progress = self.world.broadcast_object(progress or fresh)
        self.model.load_state_dict(progress.weights)
        self.optimizer.load_state_dict(progress.optimizer)
        return progress


def fit(
    learner: Learner,
    train: Batches,
    validation: Batches,
    *,
    progress: Progress | None = None,
    on_epoch: Callable[[Progress], None],
) -> Progress:
    """Train until the epochs or the patience end; the model is left with the weights of the best epoch.

    With rank 0's ``progress`` the run goes on from there. ``on_epoch`` is called on rank 0. Raises TrainingError, on all ranks,
    at the first loss that is not finite.
    """
    model, config, rank = learner.model, learner.config, learner.world.rank
    progress = learner.start(progress)
    while not progress.is_over(config):
        number = len(progress.epochs) + 1
        torch.manual_seed(_seed(config.seed, number, rank))
        started = time.perf_counter()
        loss, rows = train_epoch(learner, train, number)
        seconds = time.perf_counter() - started
        val_loss, metrics = validate(learner, validation, number)
        progress.epochs.append(Epoch(number, loss, val_loss, metrics["auc"], rows, rows / seconds))
        progress.weights, progress.optimizer = model.state_dict(), learner.optimizer.state_dict()
        if progress.best_epoch.epoch == number:
            progress.best = copy.deepcopy(progress.weights)
        if rank == 0:
            on_epoch(progress)
    model.load_state_dict(progress.best)
    return progress


def train_epoch(learner: Learner, batches: Batches, epoch: int) -> tuple[float, int]:
    """One pass over every rank's batches: the mean loss a row, and the rows, of all ranks together."""
    learner.model.train()
    sums = learner.sums
    total, rows = 0.0, 0
    for step, batch in enumerate(chain(batches.epoch(epoch), repeat(None)), start=1):
        sums.zero_()
        if batch is not None:
            loss = learner.task.loss_sum(learner.model(torch.from_numpy(batch.features)), torch.from_numpy(batch.labels))
            torch.autograd.backward(loss)
            sums[-2], sums[-1] = loss.detach(), len(batch)
        learner.world.allreduce_sum(sums)
        step_loss, step_rows = sums[-2:].tolist()
        if not math.isfinite(step_loss):
            raise _not_finite(f"epoch {epoch} step {step}", step_loss, learner.world, batches.columns, [batch] if batch else [])
        if step_rows == 0:
            break
        learner.gradient.div_(step_rows)
        learner.optimizer.step()
        total, rows = total + step_loss, rows + int(step_rows)
    return total / rows, rows


def validate(learner: Learner, batches: Batches, epoch: int) -> tuple[float, dict[str, float]]:
    """The mean loss a row over every rank's batches, and the task's metrics, the same on all ranks."""
    world = learner.world
    scores, labels, loss = score(learner.model, learner.task, batches.epoch(epoch))
    sums = torch.tensor([loss, len(labels)], dtype=torch.float64)
    world.allreduce_sum(sums)
    total, rows = sums.tolist()
    if not math.isfinite(total):
        raise _not_finite(f"validation of epoch {epoch}", total, world, batches.columns, batches.epoch(epoch))
    parts = world.allgather_object((scores, labels))
    return total / rows, learner.task.metrics(np.concatenate([s for s, _ in parts]), np.concatenate([y for _, y in parts]))


@torch.no_grad()
def score(model: nn.Module, task: BinaryClassification, batches: Iterable[Rows]) -> tuple[Floats, Floats, float]:
    """This rank's logits [n] and labels [n], in the order of the batches, and the sum of their losses."""
    model.eval()
    loss = 0.0
    scores, labels = [np.empty(0, np.float32)], [np.empty(0, np.float32)]
    for batch in batches:
        logits = model(torch.from_numpy(batch.features))
        loss += task.loss_sum(logits, torch.from_numpy(batch.labels)).item()
        scores.append(logits.numpy())
        labels.append(batch.labels)
    return np.concatenate(scores), np.concatenate(labels), loss


def describe(epoch: Epoch) -> dict[str, Any]:
    """The epoch as an event."""
    return {"event": "epoch", **asdict(epoch)}


def _optimizer(model: nn.Module, config: TaskConfig) -> torch.optim.Optimizer:
    kinds: dict[str, type[torch.optim.Adam]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    return kinds[config.optimizer](model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)


def _seed(seed: int, epoch: int, rank: int) -> int:
    """The seed of a rank's dropout in an epoch: a resumed run draws what an unbroken one would have drawn."""
    return int(np.random.SeedSequence((seed, epoch, rank)).generate_state(1)[0])


def _not_finite(where: str, loss: float, world: World, columns: Sequence[str], batches: Iterable[Rows]) -> TrainingError:
    mine = {int(i) for batch in batches for i in np.flatnonzero(~np.isfinite(batch.features).all(axis=0))}
    bad = [columns[i] for i in sorted(set().union(*world.allgather_object(mine)))]
    if bad:
        names = ", ".join(bad[:5])
        return TrainingError(f"{where}: the loss is {loss}: these features hold values that are not finite: {names}", columns=bad)
    return TrainingError(f"{where}: the loss is {loss}: the run diverged: lower the learning rate")
