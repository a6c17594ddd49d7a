"""A program that is run as one process and as two: it trains on the same global batches, dealt to the ranks in several ways.

Each rank writes what it saw to ``FOLDER/seen-SIZE-RANK.json``.
"""

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from core.errors import TrainingError
from training.data.rows import Rows
from training.distributed.serial import Serial
from training.distributed.world import World
from training.loop import Learner, fit
from training.spec import TaskConfig
from training.tasks.binary import make_task

COLUMNS = ("a", "b", "c", "d")
CONFIG = TaskConfig.model_validate({"epochs": 4, "learning_rate": 0.01, "model": {"hidden": [16], "dropout": 0.0}})


class Dealt:
    """Global batches, of which this rank takes its part."""

    columns = COLUMNS

    def __init__(self, batches: list[Rows], part: list[slice]) -> None:
        self._batches = batches
        self._part = part

    def epoch(self, _number: int) -> Iterable[Rows]:
        parts = [batch[part] for batch, part in zip(self._batches, self._part, strict=True)]
        return [part for part in parts if len(part)]


def global_batches(count: int, seed: int) -> list[Rows]:
    rng = np.random.default_rng(seed)
    features = [rng.standard_normal((96, len(COLUMNS))).astype(np.float32) for _ in range(count)]
    return [Rows(x, (x[:, 0] * x[:, 1] + rng.standard_normal(96) * 0.1 > 0).astype(np.float32)) for x in features]


def part_of(deal: str, world: World, count: int) -> list[slice]:
    if world.size == 1:
        return [slice(None)] * count
    if deal == "even":
        return [slice(world.rank, None, 2)] * count
    if deal == "uneven":
        return [slice(70) if world.rank == 0 else slice(70, None)] * count
    if deal == "empty":
        return [slice(None) if world.rank == 0 else slice(0)] * count
    early = [slice(world.rank, None, 2)] * (count // 2)  # "fewer": rank 1 has nothing in the second half of the epoch
    return early + [slice(None) if world.rank == 0 else slice(0)] * (count - count // 2)


def train(world: World, deal: str) -> list[tuple[float, float, float, int]]:
    task = make_task(CONFIG)
    torch.manual_seed(world.rank)  # rank 0's weights must be everybody's
    learner = Learner(task.build(len(COLUMNS)), task, CONFIG, world)
    train, validation = global_batches(10, 1), global_batches(2, 2)
    progress = fit(
        learner,
        Dealt(train, part_of(deal, world, 10)),
        Dealt(validation, part_of(deal, world, 2)),
        on_epoch=lambda _: None,
    )
    return [(e.train_loss, e.val_loss, e.val_auc, e.rows) for e in progress.epochs]


def diverge(world: World) -> str:
    """One row, on the last rank, is not a number."""
    batches = global_batches(10, 1)
    if world.rank == world.size - 1:
        batches[3].features[-1, 2] = np.nan
    task = make_task(CONFIG)
    learner = Learner(task.build(len(COLUMNS)), task, CONFIG, world)
    try:
        fit(learner, Dealt(batches, part_of("uneven", world, 10)), Dealt(batches, []), on_epoch=lambda _: None)
    except TrainingError as error:
        return error.message
    return "trained on"


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    if "HOROVOD_SIZE" in os.environ and os.environ["HOROVOD_SIZE"] != "1":
        from training.distributed.gloo import Gloo

        world: World = Gloo()
    else:
        world = Serial()
    numbers = torch.tensor([float(world.rank), 1.0, 0.1])
    world.allreduce_sum(numbers)
    seen = {
        "sum": numbers.tolist(),
        "broadcast": world.broadcast_object(f"from {world.rank}"),
        "gathered": world.allgather_object({"rank": world.rank}),
        "curves": {deal: train(world, deal) for deal in ("even", "uneven", "empty", "fewer")},
        "diverged": diverge(world),
    }
    world.close()
    (folder / f"seen-{world.size}-{world.rank}.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
