"""The loop on its own, in this process."""

import copy
from collections.abc import Iterable

import numpy as np
import pytest
import torch

from core.errors import TrainingError
from training.data.rows import Rows
from training.distributed.serial import Serial
from training.loop import Learner, Progress, describe, fit
from training.spec import TaskConfig
from training.tasks.binary import make_task


class Batches:
    columns = ("a", "b", "c")

    def __init__(self, seed: int, noise: float = 0.2) -> None:
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((400, 3)).astype(np.float32)
        self.rows = Rows(x, (x[:, 0] + rng.standard_normal(400) * noise > 0).astype(np.float32))

    def epoch(self, number: int) -> Iterable[Rows]:
        order = np.random.default_rng(number).permutation(400)
        return [Rows(self.rows.features[part], self.rows.labels[part]) for part in np.split(order, 8)]


def learner_of(**config: object) -> Learner:
    task_config = TaskConfig.model_validate({"model": {"hidden": [8]}, "learning_rate": 0.01, **config})
    task = make_task(task_config)
    torch.manual_seed(task_config.seed)
    return Learner(task.build(3), task, task_config, Serial())


def losses(progress: Progress) -> list[tuple[float, float]]:
    return [(e.train_loss, e.val_loss) for e in progress.epochs]


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_the_loss_falls_and_the_answers_rank(optimizer: str) -> None:
    progress = fit(learner_of(epochs=8, optimizer=optimizer), Batches(1), Batches(2), on_epoch=lambda _: None)

    assert progress.epochs[-1].train_loss < progress.epochs[0].train_loss
    assert progress.epochs[-1].val_auc > 0.95
    assert {e.rows for e in progress.epochs} == {400}
    assert describe(progress.epochs[0])["event"] == "epoch"


def test_training_stops_after_patience_and_the_best_epochs_weights_are_kept() -> None:
    learner = learner_of(epochs=200, patience=3, learning_rate=0.3)
    weights: dict[int, dict[str, torch.Tensor]] = {}

    progress = fit(
        learner,
        Batches(1, noise=3),
        Batches(2, noise=3),
        on_epoch=lambda p: weights.update({len(p.epochs): copy.deepcopy(p.weights)}),
    )

    best = progress.best_epoch.epoch
    assert len(progress.epochs) == best + 3 < 200
    assert all(torch.equal(tensor, weights[best][name]) for name, tensor in learner.model.state_dict().items())


def test_a_resumed_run_has_the_curve_of_an_unbroken_one() -> None:
    states: list[Progress] = []
    unbroken = fit(learner_of(epochs=6), Batches(1), Batches(2), on_epoch=lambda p: states.append(copy.deepcopy(p)))

    resumed = fit(learner_of(epochs=6, seed=7), Batches(1), Batches(2), progress=states[2], on_epoch=lambda _: None)

    assert losses(resumed) == losses(unbroken)


def test_a_run_resumed_after_its_end_does_nothing_more() -> None:
    done = fit(learner_of(epochs=2), Batches(1), Batches(2), on_epoch=lambda _: None)

    again = fit(learner_of(epochs=2), Batches(1), Batches(2), progress=copy.deepcopy(done), on_epoch=lambda _: None)

    assert losses(again) == losses(done)


def test_a_heavier_positive_raises_the_answers() -> None:
    def mean_answer(weight: float) -> float:
        learner = learner_of(epochs=5, positive_weight=weight)
        fit(learner, Batches(1), Batches(2), on_epoch=lambda _: None)
        with torch.no_grad():
            return float(torch.sigmoid(learner.model(torch.from_numpy(Batches(2).rows.features))).mean())

    assert mean_answer(10) > mean_answer(1)


def test_a_run_that_diverges_is_ended_at_its_step() -> None:
    with pytest.raises(
        TrainingError, match=r"epoch \d step \d: the loss is (nan|inf): the run diverged: lower the learning rate"
    ):
        fit(learner_of(learning_rate=1e30), Batches(1), Batches(2), on_epoch=lambda _: None)


def test_a_validation_row_that_is_not_a_number_is_named() -> None:
    bad = Batches(2)
    bad.rows.features[5, 1] = np.inf

    with pytest.raises(TrainingError, match=r"validation of epoch 1: the loss is .*not finite: b"):
        fit(learner_of(), Batches(1), bad, on_epoch=lambda _: None)
