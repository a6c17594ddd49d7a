"""The whole way, in processes of its own: train, kill, resume, refuse."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
import psutil
import pytest
import torch

from core.errors import RankFailed, TrainingError
from training.run import Event, TrainedModel, train
from training.spec import TaskConfig, TrainingSpec
from training.tasks.binary import make_task

MakeSpec = Callable[..., TrainingSpec]
TASK = {"epochs": 40, "patience": 40, "batch_size": 64, "model": {"hidden": [16], "dropout": 0.1}}


def curve(model: TrainedModel) -> list[tuple[float, float]]:
    return [(e["train_loss"], e["val_loss"]) for e in model.epochs]


def test_a_run_killed_in_the_middle_names_the_rank_and_resumes_to_the_curve_of_an_unbroken_one(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = make_spec(600, **TASK)
    events: list[Event] = []
    unbroken = train(spec, folder=tmp_path / "unbroken", on_event=events.append)
    pids: list[int] = []

    def kill(event: Event) -> None:
        pids.extend(event.get("pids", []))
        if event.get("epoch") == 3:
            os.kill(pids[1], signal.SIGKILL)

    with pytest.raises(RankFailed, match="rank 1 of 2 was killed by signal 9; start the step again") as failure:
        train(spec, folder=tmp_path / "broken", on_event=kill)

    assert failure.value.retryable
    assert not any(psutil.pid_exists(pid) for pid in pids)
    seen: list[Event] = []
    resumed = train(spec, folder=tmp_path / "broken", on_event=seen.append)

    assert min(e["epoch"] for e in seen if e["event"] == "epoch") > 3
    assert curve(resumed) == curve(unbroken)
    assert_complete(unbroken, events, spec)


def assert_complete(model: TrainedModel, events: list[Event], spec: TrainingSpec) -> None:
    assert [e["event"] for e in events] == ["started", *["epoch"] * 40, "evaluating"]
    assert [e for e in events if e["event"] == "epoch"] == list(model.epochs)
    assert {name: (s.rows, s.unlabelled) for name, s in model.splits.items()} == {
        "train": (600, 12),
        "validation": (201, 0),
        "test": (150, 0),
    }
    assert all(e["rows"] == 588 for e in model.epochs)
    assert model.best_epoch == min(model.epochs, key=lambda e: e["val_loss"])["epoch"]
    assert model.evaluation.rows == 150
    assert model.parity <= 1e-5
    assert list((model.onnx.parent / "checkpoints").iterdir()) == []
    assert_same_answers(model, spec)


def assert_same_answers(model: TrainedModel, spec: TrainingSpec) -> None:
    rows = np.random.default_rng(0).standard_normal((20, len(spec.features))).astype(np.float32)
    network = make_task(spec.task).build(len(spec.features))
    network.load_state_dict(torch.load(model.weights, weights_only=True))
    (theirs,) = ort.InferenceSession(model.onnx).run(None, {"features": rows})
    with torch.no_grad():
        assert np.abs(torch.sigmoid(network.eval()(torch.from_numpy(rows))).numpy() - theirs).max() < 1e-5


def test_one_process_trains_too_and_another_specification_starts_afresh(make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = make_spec(600, **{**TASK, "epochs": 2, "shuffle_rows": 100})

    def interrupt(event: Event) -> None:
        if event["event"] == "epoch":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(spec, folder=tmp_path / "run", processes=1, on_event=interrupt)
    other = spec.model_copy(update={"task": TaskConfig.model_validate({**TASK, "epochs": 3})})
    model = train(other, folder=tmp_path / "run", processes=1)

    assert [e["epoch"] for e in model.epochs] == [1, 2, 3]
    assert model.evaluation.network.roc_auc > 0.5


def test_a_run_that_diverges_ends_on_all_ranks_with_its_reason(make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = make_spec(600, **{**TASK, "learning_rate": 1e30})

    with pytest.raises(TrainingError, match=r"epoch 1 step \d+: the loss is .*the run diverged: lower the learning rate"):
        train(spec, folder=tmp_path / "run")

    assert [json.loads((tmp_path / "run" / "errors" / str(r)).read_text())["code"] for r in (0, 1)] == ["training"] * 2


def test_bad_data_is_refused_before_any_process_starts(make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = make_spec(600).model_copy(update={"features": ("id", "origin__onehot__Newark")})

    with pytest.raises(TrainingError, match="did you mean 'origin__onehot__New York'"):
        train(spec, folder=tmp_path / "run")

    assert not (tmp_path / "run").exists()
