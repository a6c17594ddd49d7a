"""Batches of shuffled rows, each labelled row of the shard exactly once an epoch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from core.errors import TrainingError
from training.data.reader import Shard, read_rows
from training.data.rows import Rows

Places = npt.NDArray[np.int64]


class Loader:
    """The batches of one shard, epoch by epoch.

    A shard of at most ``pool_rows`` rows is read once and kept; with ``shuffle`` it is permuted as a whole every epoch. A larger
    one is read every epoch, its row groups in a new order, through a pool of ``pool_rows`` rows. ``seed``, the epoch and the
    shard's index alone decide the order.
    """

    def __init__(self, shard: Shard, *, batch_rows: int, pool_rows: int, shuffle: bool, seed: int = 0) -> None:
        self._shard = shard
        self._batch_rows = batch_rows
        self._pool_rows = pool_rows
        self._shuffle = shuffle
        self._seed = seed
        self._kept: Rows | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the features, in order."""
        return self._shard.features

    def epoch(self, number: int) -> Iterator[Rows]:
        """The batches of one epoch: ``batch_rows`` rows each, the last one fewer; none when the shard is empty."""
        rng = np.random.default_rng((self._seed, number, self._shard.index))
        if self._shard.rows > self._pool_rows:
            return self._streamed(number, rng)
        if self._kept is None:
            self._kept = gather(read_rows(self._shard), self._shard)
        return _permuted(self._kept, self._batch_rows, rng) if self._shuffle else rebatch([self._kept], self._batch_rows)

    def _streamed(self, number: int, rng: np.random.Generator) -> Iterator[Rows]:
        if not self._shuffle:
            return rebatch(read_rows(self._shard), self._batch_rows)
        # the same order of row groups on all ranks: where they are dealt row by row, a row's place decides whose it is
        chunks = read_rows(self._shard, order_seed=int(np.random.SeedSequence((self._seed, number)).generate_state(1)[0]))
        return rebatch(stir(chunks, self._pool_rows, rng), self._batch_rows)


def gather(chunks: Iterable[Rows], shard: Shard) -> Rows:
    """The chunks of a shard as one. Raises TrainingError when they hold more rows than the shard may."""
    rows = Rows(np.empty((shard.rows, len(shard.features)), np.float32), np.empty(shard.rows, np.float32))
    end = 0
    for chunk in chunks:
        start, end = end, end + len(chunk)
        if end > shard.rows:
            raise TrainingError(
                f"a shard of {shard.rows} rows gave more: the files under {shard.files[0]} changed during the run"
            )
        rows.features[start:end] = chunk.features
        rows.labels[start:end] = chunk.labels
    return rows[:end]


def _permuted(rows: Rows, size: int, rng: np.random.Generator) -> Iterator[Rows]:
    order = rng.permutation(len(rows))
    for start in range(0, len(rows), size):
        chosen = order[start : start + size]
        yield _take(rows, chosen)


def _take(rows: Rows, chosen: Places) -> Rows:
    return Rows(rows.features.take(chosen, axis=0), rows.labels.take(chosen))


def rebatch(chunks: Iterable[Rows], size: int) -> Iterator[Rows]:
    """The same rows in the same order, ``size`` at a time; the last batch may have fewer."""
    held: list[Rows] = []
    rows = 0
    for chunk in chunks:
        start = 0
        while rows + len(chunk) - start >= size:
            stop = start + size - rows
            yield _join([*held, chunk[start:stop]])
            held, rows, start = [], 0, stop
        if start < len(chunk):
            held.append(chunk[start:])
            rows += len(chunk) - start
    if rows:
        yield _join(held)


def _join(parts: list[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    return Rows(np.concatenate([p.features for p in parts]), np.concatenate([p.labels for p in parts]))


def stir(chunks: Iterable[Rows], capacity: int, rng: np.random.Generator) -> Iterator[Rows]:
    """The same rows in a random order, through a pool of ``capacity`` rows.

    Once the pool is full, arriving rows take the places of as many that are drawn from it without replacement, and those leave.
    """
    pool: Rows | None = None
    filled = 0
    for chunk in chunks:
        if pool is None:
            pool = Rows(np.empty((capacity, chunk.features.shape[1]), np.float32), np.empty(capacity, np.float32))
        start = min(capacity - filled, len(chunk))
        _put(pool, slice(filled, filled + start), chunk[:start])
        filled += start
        for piece_start in range(start, len(chunk), capacity):
            piece = chunk[piece_start : piece_start + capacity]
            places = rng.choice(capacity, len(piece), replace=False)
            leaving = _take(pool, places)
            _put(pool, places, piece)
            yield leaving
    if pool is not None:
        yield _take(pool, rng.permutation(filled))


def _put(pool: Rows, places: slice | Places, rows: Rows) -> None:
    pool.features[places] = rows.features
    pool.labels[places] = rows.labels


def share_batch(rows: Sequence[int], size: int) -> list[int]:
    """Each rank's part of a batch of ``size`` rows, in proportion to its ``rows``, so that all end an epoch at the same step.

    The parts add up to ``size``, but for ranks so small that they get one row a step instead of none.
    """
    total, bounds = sum(rows), [0, *accumulate(rows)]
    return [max(1, size * high // total - size * low // total) for low, high in pairwise(bounds)]
