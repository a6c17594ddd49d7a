"""Our loader against petastorm's ``BatchedDataLoader`` with shuffling, on the same Parquet files.

    python benchmarks/bench_loader.py [--rows 1000000] [--epochs 5]

33 float columns in 16 row groups, dealt to two shards; each shard of each loader runs in a fresh process with one torch thread,
as a rank does, batch after batch, several epochs. No figure stands unless the shards gave each row exactly once in every epoch.
CPU time is the process's, all its threads included. The peer yields one tensor a column; ours one matrix.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FEATURES = tuple(f"f{i}" for i in range(32))
SHARDS = 2
GROUPS = 16
BATCH = 1024
POOL = 65_536
ROUNDS = 2
TARGET = 3.0

Batches = Callable[[int], Iterator[np.ndarray]]
"""Epoch number → the batches' first feature, which is the row's number."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Per epoch and shard: rows, CPU seconds, wall seconds."""

    rows: np.ndarray
    cpu: np.ndarray
    wall: np.ndarray

    def rows_cpu_s(self, epochs: slice = slice(None)) -> float:
        """Rows a CPU-second."""
        return float(self.rows[:, epochs].sum() / self.cpu[:, epochs].sum())

    def rows_s(self, epochs: slice = slice(None)) -> float:
        """Rows a second of one shard."""
        return float(self.rows[:, epochs].sum() / self.wall[:, epochs].sum())


def write(folder: Path, rows: int) -> list[str]:
    rng = np.random.default_rng(1)
    files = []
    per_file = rows // 4
    for number in range(4):
        ids = np.arange(number * per_file, (number + 1) * per_file, dtype=np.float32)
        columns = {name: rng.standard_normal(per_file).astype(np.float32) for name in FEATURES}
        table = pa.table({**columns, FEATURES[0]: ids, "label": (rng.random(per_file) < 0.3).astype(np.float32)})
        files.append(str(folder / f"part-{number}.parquet"))
        pq.write_table(table, files[-1], row_group_size=-(-per_file * 4 // GROUPS))
    return files


def ours(files: list[str], index: int, pool: int) -> AbstractContextManager[Batches]:
    from training.data.inspection import Split  # noqa: PLC0415 — a process imports only what it measures
    from training.data.loader import Loader  # noqa: PLC0415
    from training.data.reader import plan_shards  # noqa: PLC0415

    groups = tuple(
        pq.ParquetFile(f).metadata.row_group(i).num_rows for f in files for i in range(pq.ParquetFile(f).num_row_groups)
    )
    shard = plan_shards(Split(tuple(files), groups, sum(groups), 1), FEATURES, "label", SHARDS)[index]
    loader = Loader(shard, batch_rows=BATCH, pool_rows=pool, shuffle=True, seed=7)
    return nullcontext(lambda epoch: (batch.features[:, 0] for batch in loader.epoch(epoch)))


def batched(files: list[str], index: int, pool: int) -> AbstractContextManager[Batches]:
    from petastorm import make_batch_reader  # noqa: PLC0415
    from petastorm.pytorch import BatchedDataLoader  # noqa: PLC0415

    reader = make_batch_reader([f"file://{f}" for f in files], cur_shard=index, shard_count=SHARDS, workers_count=2, seed=7)
    loader = BatchedDataLoader(reader, batch_size=BATCH, shuffling_queue_capacity=pool)
    return _Closing(loader, lambda _: (batch[FEATURES[0]].numpy() for batch in loader))


def in_memory(files: list[str], index: int, pool: int) -> AbstractContextManager[Batches]:
    from petastorm import make_batch_reader  # noqa: PLC0415
    from petastorm.pytorch import InMemBatchedDataLoader  # noqa: PLC0415

    reader = make_batch_reader([f"file://{f}" for f in files], cur_shard=index, shard_count=SHARDS, workers_count=2, seed=7)
    state: dict[str, Iterator[Any]] = {}

    def epoch(_: int) -> Iterator[np.ndarray]:
        if not state:  # it reads in its constructor, which is the first epoch's cost
            loader = InMemBatchedDataLoader(reader, batch_size=BATCH, num_epochs=1000, rows_capacity=pool, shuffle=True)
            state["batches"] = iter(loader)
        seen = 0
        while seen < pool:
            batch = next(state["batches"])[FEATURES[0]].numpy()
            seen += len(batch)
            yield batch

    return nullcontext(epoch)


class _Closing(AbstractContextManager[Batches]):
    def __init__(self, loader: Any, batches: Batches) -> None:
        self._loader = loader
        self._batches = batches

    def __enter__(self) -> Batches:
        return self._batches

    def __exit__(self, *error: object) -> None:
        self._loader.__exit__(*error)


LOADERS = {"ours": ours, "batched": batched, "in_memory": in_memory}


def run_shard(loader: str, files: list[str], index: int, *, pool: int, epochs: int, rows: int) -> None:
    """The child: prints rows, CPU and wall seconds of each epoch, and which rows came how often."""
    warnings.simplefilter("ignore")
    import torch  # noqa: PLC0415

    torch.set_num_threads(1)
    figures = []
    seen = np.zeros(rows, np.int64)
    with LOADERS[loader](files, index, pool) as batches:
        for number in range(epochs):
            cpu, wall, count = time.process_time(), time.perf_counter(), 0
            ids = []
            for batch in batches(number):
                count += len(batch)
                ids.append(batch.copy())  # a view would keep its whole batch in memory
            figures.append((count, time.process_time() - cpu, time.perf_counter() - wall))
            np.add.at(seen, np.concatenate(ids).astype(np.int64), 1)
            if number == 0:
                assert (np.diff(np.concatenate(ids)) != 1).mean() > 0.9, "not shuffled"
    np.save(files[0] + f".{loader}.{index}.npy", seen)
    print(json.dumps(figures))


def best(rounds: list[Timing]) -> Timing:
    """The least CPU and wall time of each shard's epoch over the rounds: the machine is shared."""
    return Timing(rounds[0].rows, np.min([r.cpu for r in rounds], axis=0), np.min([r.wall for r in rounds], axis=0))


def measure(loader: str, files: list[str], pool: int, epochs: int, rows: int) -> Timing:
    figures, seen = [], np.zeros(rows, np.int64)
    for index in range(SHARDS):
        arguments = json.dumps({"loader": loader, "files": files, "index": index, "pool": pool, "epochs": epochs, "rows": rows})
        done = subprocess.run([sys.executable, __file__, "--shard", arguments], check=True, capture_output=True, text=True)
        figures.append(json.loads(done.stdout.splitlines()[-1]))
        seen += np.load(files[0] + f".{loader}.{index}.npy")
    assert (seen == epochs).all(), f"{loader}: not every row exactly once an epoch"
    return Timing(*np.moveaxis(np.array(figures), -1, 0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--shard", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.shard:
        run_shard(**json.loads(options.shard))
        return
    rows, epochs = options.rows // GROUPS * GROUPS, options.epochs
    shard_rows = rows // SHARDS
    cases = {
        f"ours, shard in memory ({shard_rows:,} rows)": ("ours", shard_rows, epochs),
        f"ours, pool of {POOL:,} rows": ("ours", POOL, epochs),
        f"petastorm BatchedDataLoader, queue of {POOL:,}": ("batched", POOL, epochs),
        f"petastorm BatchedDataLoader, queue of {shard_rows:,}": ("batched", shard_rows, epochs),
        "petastorm InMemBatchedDataLoader (2 epochs)": ("in_memory", shard_rows, 2),
    }
    with tempfile.TemporaryDirectory() as folder:
        files = write(Path(folder), rows)
        rounds = [{name: measure(case[0], files, *case[1:], rows) for name, case in cases.items()} for _ in range(ROUNDS)]
    report({name: best([timings[name] for timings in rounds]) for name in cases}, rows, epochs)


def report(timings: dict[str, Timing], rows: int, epochs: int) -> None:
    memory, pool, *batched_timings, resident = timings.values()
    peer = max(batched_timings, key=lambda timing: timing.rows_cpu_s())
    print(f"{rows:,} rows x 33 float columns, {SHARDS} shards, batches of {BATCH}, {epochs} epochs; best of {ROUNDS} rounds")
    print("each row came exactly once an epoch over the shards, from every loader")
    print(f"\n{'rows per CPU-second':48} {'first epoch':>12} {'later epochs':>12} {'mean':>12} {'ratio':>7} {'wall rows/s':>12}")
    for name, timing in timings.items():
        figures = (timing.rows_cpu_s(slice(1)), timing.rows_cpu_s(slice(1, None)), timing.rows_cpu_s())
        ratio = timing.rows_cpu_s() / peer.rows_cpu_s()
        print(f"{name:48} {figures[0]:12,.0f} {figures[1]:12,.0f} {figures[2]:12,.0f} {ratio:7.2f} {timing.rows_s():12,.0f}")
    print(f"\nratio: mean against the better BatchedDataLoader; target >= {TARGET:g}. Wall: one shard alone on the machine.")
    print(
        f"bench-loader ratio_petastorm={memory.rows_cpu_s() / peer.rows_cpu_s():.2f} "
        f"ratio_first_epoch={memory.rows_cpu_s(slice(1)) / peer.rows_cpu_s(slice(1)):.2f} "
        f"ratio_same_pool={pool.rows_cpu_s() / batched_timings[0].rows_cpu_s():.2f} "
        f"ratio_in_memory={memory.rows_cpu_s() / resident.rows_cpu_s():.2f} "
        f"ours_rows_cpu_s={memory.rows_cpu_s():.0f} petastorm_rows_cpu_s={peer.rows_cpu_s():.0f} "
        f"ours_rows_s={memory.rows_s():.0f} petastorm_rows_s={peer.rows_s():.0f} epochs={epochs} rows={rows}"
    )


if __name__ == "__main__":
    main()
