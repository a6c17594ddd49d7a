"""Files on HDFS give the very rows that the same files give in a folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.errors import TrainingError
from core.hadoop import client_options
from core.settings import Settings
from core.storage.open import open_storage
from training.data.files import file_system
from training.data.inspection import Split, inspect
from training.data.loader import Loader
from training.data.reader import plan_shards
from training.data.rows import Rows
from training.spec import SplitFiles, TrainingSpec

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*deprecated:FutureWarning",  # petastorm 0.12 uses pyarrow's former dataset interface
    "ignore:.*deprecated:DeprecationWarning",
    "ignore:unclosed file:ResourceWarning",  # petastorm leaves files to the garbage collector
    "ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning",
)


def upload(spec: TrainingSpec, settings: Settings) -> TrainingSpec:
    """The specification of the same files below the lake of ``settings``."""
    storage = open_storage(f"{settings.lake.root}-training", settings)

    def move(file: str) -> str:
        name = "/".join(Path(file).parts[-3:])
        storage.write_atomic(name, Path(file).read_bytes())
        return f"{settings.lake.root}-training/{name}"

    splits = {name: tuple(map(move, getattr(spec.files, name))) for name in ("train", "validation", "test")}
    return spec.model_copy(update={"files": SplitFiles(**splits, hdfs=client_options(settings))})


def batches(split: Split, spec: TrainingSpec, count: int, pool: int) -> list[Rows]:
    shards = plan_shards(split, spec.features, spec.label, count)
    loaders = [Loader(shard, batch_rows=64, pool_rows=pool, shuffle=True, seed=3) for shard in shards]
    return [batch for loader in loaders for batch in loader.epoch(2)]


@pytest.mark.parametrize("pool", [1000, 100])
def test_shards_and_batches_are_those_of_a_folder(make_spec: Callable[..., TrainingSpec], cluster: Settings, pool: int):
    local = make_spec()
    remote = upload(local, cluster)
    near, far = inspect(local), inspect(remote)
    for name in ("train", "validation", "test"):
        one, other = near[name], far[name]
        assert (one.groups, one.labelled, one.positives) == (other.groups, other.labelled, other.positives)
        assert Split.from_json(other.to_json()) == other
        pairs = list(zip(batches(one, local, 2, pool), batches(other, remote, 2, pool), strict=True))
        assert pairs
        for a, b in pairs:
            np.testing.assert_array_equal(a.features, b.features)
            np.testing.assert_array_equal(a.labels, b.labels)


def test_a_file_that_is_gone_is_one_line(make_spec: Callable[..., TrainingSpec], cluster: Settings):
    spec = upload(make_spec(), cluster)
    gone = spec.files.model_copy(update={"test": (f"{cluster.lake.root}/gone.parquet",)})
    with pytest.raises(TrainingError, match=r"gone\.parquet: no such file"):
        inspect(spec.model_copy(update={"files": gone}))


def test_options_of_the_client_are_no_part_of_what_a_run_is(make_spec: Callable[..., TrainingSpec]):
    spec = make_spec()
    other = spec.model_copy(update={"files": spec.files.model_copy(update={"hdfs": {"dfs.replication": "2"}})})
    assert other.digest == spec.digest


@pytest.mark.parametrize("files", [["/a", "hdfs://h:1/b"], ["hdfs://h:1/a", "hdfs://h:2/b"], ["s3://bucket/a"]])
def test_files_of_several_places_are_refused(files: list[str]):
    with pytest.raises(TrainingError, match="all paths, or all hdfs:// URLs of one file system"):
        file_system(files, {})
