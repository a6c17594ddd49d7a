"""Each labelled row exactly once an epoch, over all ranks, in an order that the seed decides."""

from collections.abc import Callable, Iterable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import TrainingError
from training.data.inspection import Split, inspect
from training.data.loader import Loader, gather, rebatch, share_batch, stir
from training.data.reader import Shard, plan_shards, read_rows
from training.data.rows import Rows
from training.spec import TrainingSpec

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*deprecated:FutureWarning",  # petastorm 0.12 uses pyarrow's former dataset interface
    "ignore:.*deprecated:DeprecationWarning",
    "ignore:unclosed file:ResourceWarning",  # petastorm leaves files to the garbage collector
    "ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning",
)


WriteSplit = Callable[..., tuple[str, ...]]


def rows_of(ids: Iterable[int]) -> Rows:
    numbers = np.array(list(ids), np.float32)
    return Rows(numbers.reshape(-1, 1), numbers % 2)


def ids_of(chunks: Iterable[Rows]) -> list[int]:
    return [round(float(i) * 1e4) for chunk in chunks for i in chunk.features[:, 0]]


def split_of(files: tuple[str, ...], groups: tuple[int, ...]) -> Split:
    return Split(files, groups, sum(groups), 1)


def cut(ids: list[int], cuts: list[int]) -> list[Rows]:
    return [rows_of(ids[a:b]) for a, b in pairwise([0, *sorted(c % (len(ids) + 1) for c in cuts), len(ids)])]


@given(st.integers(0, 200), st.lists(st.integers(0, 200), max_size=8), st.integers(1, 50))
def test_rebatching_keeps_rows_and_order_and_fills_all_batches_but_the_last(n: int, cuts: list[int], size: int) -> None:
    batches = list(rebatch(cut(list(range(n)), cuts), size))

    assert [int(i) for b in batches for i in b.features[:, 0]] == list(range(n))
    assert all(len(b) == size for b in batches[:-1])
    assert all(0 < len(b) <= size for b in batches)


@given(st.integers(0, 200), st.lists(st.integers(0, 200), max_size=8), st.integers(1, 250), st.integers(0, 5))
def test_stirring_gives_each_row_once_with_its_label(n: int, cuts: list[int], capacity: int, seed: int) -> None:
    stirred = list(stir(cut(list(range(n)), cuts), capacity, np.random.default_rng(seed)))

    ids = np.concatenate([np.empty(0), *(c.features[:, 0] for c in stirred)])
    labels = np.concatenate([np.empty(0), *(c.labels for c in stirred)])
    assert sorted(ids) == list(range(n))
    assert (labels == ids % 2).all()


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=6).filter(sum), st.integers(1, 4096))
def test_the_parts_of_a_batch_add_up(rows: list[int], size: int) -> None:
    parts = share_batch(rows, size)

    assert all(part >= 1 for part in parts)
    assert size <= sum(parts) <= size + len(rows)


@pytest.mark.parametrize("pool", [10_000, 64], ids=["in memory", "through a pool"])
@pytest.mark.parametrize("by_rows", [False, True])
def test_every_labelled_row_comes_once_an_epoch_over_two_shards(
    write_split: WriteSplit, features: tuple[str, ...], pool: int, by_rows: bool
) -> None:
    files = write_split("train", ((100, 100), (), (100, 37)), null_every=10)
    labelled = [i for i in range(337) if i % 10]
    shards = [Shard(files, features, "late", index, 2, by_rows, 337) for index in range(2)]
    loaders = [Loader(shard, batch_rows=16, pool_rows=pool, shuffle=True, seed=3) for shard in shards]

    epochs = [[ids_of(loader.epoch(number)) for loader in loaders] for number in (1, 2)]

    for first, second in epochs:
        assert sorted(first + second) == labelled
        assert min(len(first), len(second)) > 100
    assert epochs[0] != epochs[1]
    assert epochs[0][0] != sorted(epochs[0][0])


@pytest.mark.parametrize("pool", [10_000, 64], ids=["in memory", "through a pool"])
def test_seed_epoch_and_rank_decide_the_order(write_split: WriteSplit, features: tuple[str, ...], pool: int) -> None:
    shard = Shard(write_split("train", ((50, 50, 50), (50,))), features, "late", 0, 1, by_rows=False, rows=200)

    def order(seed: int, epoch: int) -> list[int]:
        return ids_of(Loader(shard, batch_rows=16, pool_rows=pool, shuffle=True, seed=seed).epoch(epoch))

    assert order(3, 2) == order(3, 2)
    assert order(3, 2) != order(4, 2)
    assert order(3, 2) != order(3, 1)


@pytest.mark.parametrize("pool", [10_000, 64])
def test_without_shuffling_rows_come_in_file_order(write_split: WriteSplit, features: tuple[str, ...], pool: int) -> None:
    shard = Shard(write_split("test", ((60, 60), (30,))), features, "late", 0, 1, by_rows=False, rows=150)

    loader = Loader(shard, batch_rows=40, pool_rows=pool, shuffle=False)

    assert ids_of(loader.epoch(1)) == ids_of(loader.epoch(2)) == list(range(150))


def test_few_or_uneven_row_groups_are_dealt_row_by_row(write_split: WriteSplit, features: tuple[str, ...]) -> None:
    files = write_split("train", ((90,), (11,)))
    shards = plan_shards(split_of(files, (90, 11)), features, "late", 3)

    assert [(s.by_rows, s.rows) for s in shards] == [(True, 34), (True, 34), (True, 33)]
    assert [len(ids_of(read_rows(s))) for s in shards] == [34, 34, 33]
    assert sorted(i for s in shards for i in ids_of(read_rows(s))) == list(range(101))


def test_even_row_groups_are_dealt_whole(write_split: WriteSplit, features: tuple[str, ...]) -> None:
    files = write_split("train", ((50, 51), (50, 49)))
    shards = plan_shards(split_of(files, (50, 51, 50, 49)), features, "late", 2)

    assert [(s.by_rows, s.rows) for s in shards] == [(False, 100), (False, 100)]
    assert [len(ids_of(read_rows(s))) for s in shards] == [100, 100]


def test_more_ranks_than_rows_leaves_empty_shards(write_split: WriteSplit, features: tuple[str, ...]) -> None:
    shards = plan_shards(split_of(write_split("train", ((2,),)), (2,)), features, "late", 3)

    loaders = [Loader(s, batch_rows=4, pool_rows=100, shuffle=True) for s in shards]

    assert [ids_of(loader.epoch(1)) for loader in loaders] == [[0], [1], []]


def test_columns_are_float32_in_the_order_that_was_asked_for(
    make_spec: Callable[..., TrainingSpec], features: tuple[str, ...]
) -> None:
    spec = make_spec()
    backwards = tuple(reversed(features))
    split = inspect(spec)["test"]

    straight = gather(read_rows(plan_shards(split, features, "late", 1)[0]), plan_shards(split, features, "late", 1)[0])
    turned = gather(read_rows(plan_shards(split, backwards, "late", 1)[0]), plan_shards(split, backwards, "late", 1)[0])

    assert straight.features.dtype == straight.labels.dtype == np.float32
    assert straight.features.flags.c_contiguous
    assert (straight.features[:, ::-1] == turned.features).all()


def test_a_file_that_grew_is_noticed(write_split: WriteSplit, features: tuple[str, ...]) -> None:
    shard = Shard(write_split("train", ((50,),)), features, "late", 0, 1, by_rows=False, rows=49)

    with pytest.raises(TrainingError, match="changed during the run"):
        Loader(shard, batch_rows=4, pool_rows=100, shuffle=True).epoch(1)
