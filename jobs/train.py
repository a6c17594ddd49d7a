"""The step train: a dataset (one version of the feature table) into a trained, evaluated network."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from core.contracts import TableName
from core.errors import ConfigError, TrainingError
from core.features.fitted import FittedFeatures
from core.registry.tracking import Run, end_abandoned, start_run
from core.settings import Settings
from core.storage.open import open_storage
from core.storage.whole import write_whole
from etl.standardize import SPLITS, load_fitted
from jobs.context import Context, Report, step_main
from jobs.processes import lives, start_time
from training.evaluation import Evaluation
from training.launchers import HostLauncher, Launcher, SparkLauncher
from training.run import Event, TrainedModel, train
from training.spec import SplitFiles, TrainingSpec

_RESULT = "trained.json"
_HOST, _PID, _STARTED = "maas.host", "maas.pid", "maas.process_started"
"""Tags of a run: the process that trains, as the run journal tells it from a later one with its number."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A feature table at a version, with what it was standardized by, as a training specification."""

    table: TableName
    version: int
    fitted: FittedFeatures
    spec: TrainingSpec

    @property
    def identity(self) -> str:
        """SHA-256 over data, task and transforms: the same identity trains the same model."""
        return hashlib.sha256(f"{self.spec.digest} {self.fitted.digest}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Trained:
    """What a finished training left in its folder."""

    folder: Path
    run_id: str
    evaluation: Evaluation
    facts: dict[str, Any]

    @property
    def onnx(self) -> Path:
        """The network, probability out."""
        return self.folder / "model.onnx"

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The training in ``folder``, or None when none was finished there."""
        try:
            document = json.loads((folder / _RESULT).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return cls(folder, document["run_id"], Evaluation.from_json(document["evaluation"]), document["facts"])


def train_model(context: Context) -> Report:
    """Train on the newest version of the feature table; a training of the same data, task and transforms is not repeated."""
    dataset = current_dataset(context)
    folder = folder_of(context, dataset)
    trained = Trained.read(folder)
    if trained is not None:
        return _report(trained, [f"unchanged: run {trained.run_id} trained the same data, task and transforms"])
    model = _train(context, dataset, folder)
    trained = Trained.read(folder)
    if trained is None:
        raise TrainingError(f"{folder / _RESULT} is gone: something removed it while the step ran; run it again")
    rows = ", ".join(f"{name} {split.rows:,}" for name, split in model.splits.items())
    line = f"{len(model.epochs)} epochs in {model.seconds:.0f} s on {context.settings.training.processes} processes: {rows} rows"
    return _report(trained, [line])


def current_dataset(context: Context) -> Dataset:
    """The newest version of the pipeline's feature table; compaction makes no other dataset, and VACUUM leaves this one."""
    config = context.pipeline.features
    table = TableName.parse(config.table)
    fitted = load_fitted(context.lake, table, context.app("standardize", table))
    version = context.lake.rows_version(table) or 0
    files = {split: context.lake.snapshot(table, version, {"split": split}).files for split in SPLITS}
    spec = TrainingSpec(
        files=SplitFiles(**files, hdfs=dict(context.lake.options)),
        features=fitted.outputs,
        label=config.label,
        task=context.pipeline.task,
    )
    return Dataset(table, version, fitted, spec)


def folder_of(context: Context, dataset: Dataset) -> Path:
    """Where the training of ``dataset`` lies."""
    return context.settings.at_home(context.settings.training.folder) / context.pipeline.name / dataset.identity[:16]


def _train(context: Context, dataset: Dataset, folder: Path) -> TrainedModel:
    settings = context.settings.training
    facts = _facts(context, dataset)
    params = {**context.pipeline.task.model_dump(mode="json"), "processes": settings.processes, **facts}
    store, experiment = context.registry.store, context.pipeline.name
    for killed in end_abandoned(store, experiment, _abandoned):
        context.progress(f"run {killed} was killed")
    tags = {_HOST: socket.gethostname(), _PID: os.getpid(), _STARTED: start_time(os.getpid())}
    with start_run(store, experiment, name=f"train {dataset.version}", params=params, tags=tags) as run:
        run.log_json(context.pipeline.model_dump(mode="json"), "pipeline.json")
        run.log_file(context.loaded.file)
        model = train(
            dataset.spec,
            folder=folder,
            launcher=_launcher(context, dataset),
            processes=settings.processes,
            threads=settings.threads,
            start_timeout_s=settings.start_timeout_s,
            on_event=lambda event: _follow(context, run, event),
        )
        evaluation = model.evaluation.to_json()
        run.log_metrics({f"test_{name}": value for name, value in evaluation["network"].items()})
        run.log_json(evaluation, "evaluation.json")
        result = {"run_id": run.id, "evaluation": evaluation, "facts": {**facts, "onnx_parity": model.parity}}
        _write_result(folder, result)
    return model


def _abandoned(tags: Mapping[str, str]) -> bool:
    """Whether a run's process was one of this machine, and is gone."""
    return tags.get(_HOST) == socket.gethostname() and not lives(int(tags[_PID]), float(tags[_STARTED]))


def _launcher(context: Context, dataset: Dataset) -> Launcher:
    """The launcher that the settings name, with what its ranks need to reach their storage."""
    settings = context.settings
    if settings.training.launcher == "host":
        return HostLauncher()
    if settings.spark.environment == "packed":
        raise ConfigError(
            "training.launcher: spark needs torch and Horovod on the nodes, and the packed environment leaves them out: install "
            "this environment there (spark.environment: installed), or set training.launcher: host"
        )
    lake = settings.lake.root
    shared = settings.training.shared or (
        f"{lake.rpartition('/')[0]}/training" if "://" in lake else str(settings.training.folder)
    )
    place = f"{settings.locate(shared)}/{context.pipeline.name}/{dataset.identity[:16]}"
    # no more than storage asks for leaves this machine
    needed = Settings(profile=settings.profile, root=settings.root, home=settings.home, hdfs=settings.hdfs, s3=settings.s3)
    return SparkLauncher(context.spark.sparkContext, partial(open_storage, place, needed), settings.training.interface)


def _follow(context: Context, run: Run, event: Event) -> None:
    if event["event"] == "epoch":
        figures = {
            key: float(event[key]) for key in ("train_loss", "val_loss", "val_auc", "rows_s") if event.get(key) is not None
        }
        run.log_metrics(figures, step=int(event["epoch"]))
        context.progress(f"epoch {event['epoch']}: validation loss {event['val_loss']:.4f}, AUC {event['val_auc']:.4f}")
    else:
        context.progress(str(event["event"]))


def _facts(context: Context, dataset: Dataset) -> dict[str, Any]:
    """What it takes to train the same model again."""
    lock = context.settings.at_root(Path("uv.lock"))
    return {
        "identity": dataset.identity,
        "pipeline": context.pipeline.name,
        "dataset": str(dataset.table),
        "dataset_version": dataset.version,
        "rule_set": context.loaded.rules.digest,
        "transforms": dataset.fitted.digest,
        "lock_digest": hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else "none",
        "platform": importlib.metadata.version("maas"),
        "seed": context.pipeline.task.seed,
    }


def _write_result(folder: Path, result: dict[str, Any]) -> None:
    write_whole(folder / _RESULT, json.dumps(result, indent=1).encode(), 0o644)


def _report(trained: Trained, lines: list[str]) -> Report:
    network, logistic = trained.evaluation.network, trained.evaluation.logistic
    lines.append(
        f"test: ROC AUC {network.roc_auc:.4f} (logistic regression {logistic.roc_auc:.4f}), log loss {network.log_loss:.4f}"
    )
    return Report("train", lines, {"run_id": trained.run_id, "evaluation": trained.evaluation.to_json()})


if __name__ == "__main__":
    step_main(train_model)
