"""Small tables with a signal in them, as a Delta table would lay them out: one folder a split."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from training.spec import SplitFiles, TaskConfig, TrainingSpec

FEATURES = ("id", "origin__onehot__New York", "class", "9am")
"""The first tells the row; the others are names that no Python identifier could bear."""

WriteSplit = Callable[..., tuple[str, ...]]
MakeSpec = Callable[..., TrainingSpec]


@pytest.fixture
def features() -> tuple[str, ...]:
    """The feature columns of the tables."""
    return FEATURES


@pytest.fixture
def write_split(tmp_path: Path) -> WriteSplit:
    """Write a split in files of the given row groups; ``id`` is a row's number / 10,000; each ``null_every``-th has no label."""

    def write(name: str, groups: tuple[tuple[int, ...], ...], *, null_every: int = 0, seed: int = 0) -> tuple[str, ...]:
        rng = np.random.default_rng(seed)
        folder = tmp_path / "features.flights" / f"split={name}"
        folder.mkdir(parents=True, exist_ok=True)
        files, start = [], 0
        for number, sizes in enumerate(groups):
            path = folder / f"part-{number:05d}.snappy.parquet"
            writer: pq.ParquetWriter | None = None
            for size in sizes or (0,):
                table = _rows(rng, start, size, null_every)
                writer = writer or pq.ParquetWriter(path, table.schema)
                if size:
                    writer.write_table(table)
                start += size
            if writer:
                writer.close()
            files.append(str(path))
        return tuple(files)

    return write


def _rows(rng: np.random.Generator, start: int, size: int, null_every: int) -> pa.Table:
    ids = np.arange(start, start + size)
    values = rng.standard_normal((size, 3)).astype(np.float32)
    chance = 1 / (1 + np.exp(-3 * values[:, 0] * values[:, 1] - values[:, 2]))
    labels = (rng.random(size) < chance).astype(np.float64)
    missing = (ids % null_every == 0) if null_every else np.zeros(size, bool)
    return pa.table(
        {
            "flight": pa.array([f"UA{i}" for i in ids]),
            FEATURES[0]: (ids / 1e4).astype(np.float32),
            **{name: values[:, i] for i, name in enumerate(FEATURES[1:])},
            "late": pa.array(labels, mask=missing),
        }
    )


@pytest.fixture
def make_spec(write_split: WriteSplit) -> MakeSpec:
    """A specification over three fresh splits; keywords go to the task."""

    def make(rows: int = 600, **task: object) -> TrainingSpec:
        half = rows // 2
        files = SplitFiles(
            train=write_split("train", ((half // 2, half - half // 2), (rows - half,)), null_every=50, seed=1),
            validation=write_split("validation", ((100,), (101,)), seed=2),
            test=write_split("test", ((150,),), seed=3),
        )
        return TrainingSpec(files=files, features=FEATURES, label="late", task=TaskConfig.model_validate(task))

    return make
