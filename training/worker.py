"""One rank of a run: ``python -m training.worker RUN_FOLDER`` on this host, ``run_rank`` in a Spark executor."""

from __future__ import annotations

import io
import os
import sys
import warnings
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from torch import nn

from core.errors import MaasError, RankFailed, TrainingError
from core.storage.local import LocalStorage
from training import checkpoint
from training.data.loader import Loader, gather, rebatch, share_batch
from training.data.reader import Shard, plan_shards, read_rows
from training.data.rows import Rows
from training.distributed.launch import PEER_LOST, RECORDED, leave_with_parent
from training.distributed.serial import Serial
from training.distributed.world import World
from training.job import Job
from training.loop import Epoch, Learner, Progress, describe, fit, score
from training.tasks.binary import Answering, BinaryClassification, make_task

_EVALUATION_ROWS = 16_384
"""Rows a batch where no gradient is kept."""
_BASELINE_ROWS = 1_000_000
"""At most about this many training rows, evenly spread, teach the logistic regression."""
_PARITY_ROWS = 4096


def main(folder: Path) -> int:
    """Run this process's rank; returns its exit code."""
    leave_with_parent()
    return run_rank(Job.read(LocalStorage(folder)))


def run_rank(job: Job) -> int:
    """Run this process's rank: 0, or why it ended: ``PEER_LOST``, or ``RECORDED`` with the error left in the job's storage."""
    warnings.filterwarnings("ignore", module=r"petastorm|pyarrow|horovod")  # their own use of deprecated calls
    warnings.filterwarnings("ignore", "The pyarrow.filesystem", FutureWarning)  # petastorm's, shown as ours
    rank = int(os.environ.get("HOROVOD_RANK", "0"))
    try:
        train_rank(job)
    except RankFailed as error:
        sys.stderr.write(f"{error.message}\n")
        return PEER_LOST
    except MaasError as error:
        job.write_json(f"errors/{rank}", {"code": error.code, "message": error.message, "facts": error.facts})
        return RECORDED
    return 0


def train_rank(job: Job) -> None:
    """Join the other ranks, train, and, as rank 0, evaluate and export."""
    torch.set_num_threads(job.threads)
    world = _join(job)
    pids = world.allgather_object(os.getpid())
    if world.rank == 0:
        job.emit(0, {"event": "started", "ranks": world.size, "pids": pids})
    task = make_task(job.spec.task)
    torch.manual_seed(job.spec.task.seed)
    model = task.build(len(job.spec.features))
    saved = _saved(job) if world.rank == 0 else None
    before = len(saved.epochs) if saved else 0
    progress = fit(
        Learner(model, task, job.spec.task, world),
        _train_loader(job, world),
        _validation_loader(job, world),
        progress=saved,
        on_epoch=partial(_record, job, before),
    )
    world.close()
    if world.rank == 0:
        _evaluate(job, task, model, progress, len(progress.epochs) - before)
    if world.rank == world.size - 1:  # with several ranks, while rank 0 evaluates
        _export(job, Answering(model, task))


def _join(job: Job) -> World:
    if job.processes == 1:
        return Serial()
    from training.distributed.gloo import Gloo  # noqa: PLC0415 — a single process needs no Horovod

    return Gloo()


def _train_loader(job: Job, world: World) -> Loader:
    task = job.spec.task
    shards = plan_shards(job.splits["train"], job.spec.features, job.spec.label, world.size)
    share = share_batch([shard.rows for shard in shards], task.batch_size)[world.rank]
    return Loader(shards[world.rank], batch_rows=share, pool_rows=task.shuffle_rows, shuffle=True, seed=task.seed)


def _validation_loader(job: Job, world: World) -> Loader:
    shard = plan_shards(job.splits["validation"], job.spec.features, job.spec.label, world.size)[world.rank]
    return Loader(shard, batch_rows=_EVALUATION_ROWS, pool_rows=job.spec.task.shuffle_rows, shuffle=False)


def _saved(job: Job) -> Progress | None:
    saved = checkpoint.latest(job.storage)
    if saved is None or saved.state["digest"] != job.spec.digest:
        checkpoint.clear(job.storage)
        return None
    return Progress(**saved.tensors, epochs=[Epoch(**epoch) for epoch in saved.state["epochs"]])


def _record(job: Job, before: int, progress: Progress) -> None:
    """Keep the last epoch and tell of it; ``before`` epochs were done by an earlier attempt."""
    last = progress.epochs[-1]
    expected = job.splits["train"].labelled
    if last.rows != expected:
        raise TrainingError(
            f"epoch {last.epoch} read {last.rows} rows of {expected}: the table's files changed during the run: run again"
        )
    tensors = {"weights": progress.weights, "optimizer": progress.optimizer, "best": progress.best}
    state = {"digest": job.spec.digest, "epochs": [asdict(epoch) for epoch in progress.epochs]}
    checkpoint.save(job.storage, checkpoint.Checkpoint(last.epoch, tensors, state))
    job.emit(last.epoch - before, describe(last))


def _evaluate(job: Job, task: BinaryClassification, model: nn.Module, progress: Progress, epochs: int) -> None:
    from training.evaluate import evaluate  # noqa: PLC0415 — this rank alone needs scikit-learn, and only now

    job.emit(epochs + 1, {"event": "evaluating"})
    test = _read(job, "test", job.splits["test"].rows)
    logits, _, _ = score(model, task, rebatch([test], _EVALUATION_ROWS))
    probabilities = task.answer(torch.from_numpy(logits)).numpy()
    train = job.splits["train"]
    evaluation = evaluate(probabilities, test, _read(job, "train", _BASELINE_ROWS), train.positives / train.labelled)
    weights = io.BytesIO()
    torch.save(model.state_dict(), weights)
    job.storage.write_atomic("weights.pt", weights.getvalue())
    result = {"evaluation": evaluation.to_json(), "epochs": [asdict(epoch) for epoch in progress.epochs]}
    job.write_json("result.json", result)


def _export(job: Job, model: Answering) -> None:
    from training.export import check_parity, export_onnx  # noqa: PLC0415 — this rank alone needs ONNX, and only now

    onnx = export_onnx(model, len(job.spec.features))
    parity = check_parity(model, onnx, _read(job, "test", _PARITY_ROWS).features)
    job.storage.write_atomic("model.onnx", onnx)
    job.write_json("parity.json", parity)


def _read(job: Job, name: str, most: int) -> Rows:
    """The labelled rows of a split, in file order; about ``most`` of them, evenly spread, where there are more."""
    split = job.splits[name]
    every = -(-split.rows // most)
    shard = Shard(split.files, job.spec.features, job.spec.label, 0, every, by_rows=True, rows=split.rows, options=split.options)
    return gather(read_rows(shard), shard)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
