"""petastorm: the rows of one shard, a row group at a time, as float32 matrices.

petastorm plans and prefetches the row groups of a shard. Its own way from there, a named tuple of pandas columns, is left aside:
names that are no Python identifiers break it, and the matrix is made faster from the Arrow table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from petastorm.arrow_reader_worker import ArrowReaderWorker
from petastorm.fs_utils import get_filesystem_and_path_or_paths
from petastorm.reader import Reader
from petastorm.workers_pool import EmptyResultError
from petastorm.workers_pool.thread_pool import ThreadPool

from training.data.files import file_system
from training.data.inspection import Split, as_floats
from training.data.rows import Rows

_AHEAD = 2
"""Row groups that are read before they are asked for."""
_BLOCK = 2048
"""Rows that are turned from columns into rows at a time: few enough to stay in the processor's cache."""
_UNEVEN = 1.2
"""Row groups are dealt to ranks while the fullest shard has at most this many times the mean."""


@dataclass(frozen=True, slots=True)
class Shard:
    """The part of a split that is one rank's: number ``index`` of ``count``, with at most ``rows`` rows.

    With ``by_rows``, every rank reads all row groups and keeps each ``count``-th row: for splits of few or uneven row groups.
    """

    files: tuple[str, ...]
    features: tuple[str, ...]
    label: str
    index: int
    count: int
    by_rows: bool
    rows: int
    options: dict[str, str] = field(default_factory=dict)


def plan_shards(split: Split, features: Sequence[str], label: str, count: int) -> tuple[Shard, ...]:
    """Deal a split's rows to ``count`` ranks: whole row groups where that is even enough, else row by row."""
    dealt = [sum(split.groups[index::count]) for index in range(count)]
    by_rows = max(dealt) > _UNEVEN * split.rows / count
    if by_rows:
        dealt = [len(range(index, split.rows, count)) for index in range(count)]
    columns = tuple(features)
    return tuple(Shard(split.files, columns, label, i, count, by_rows, rows, split.options) for i, rows in enumerate(dealt))


def read_rows(shard: Shard, order_seed: int | None = None) -> Iterator[Rows]:
    """The shard's labelled rows, in file order, or with the row groups in an order that ``order_seed`` decides.

    Each labelled row comes exactly once over the shards of a split. The same shard and seed give the same sequence.
    """
    seen = 0
    with _open(shard, order_seed) as tables:
        for table in tables:
            rows = _to_rows(table, shard)
            keep = ~np.isnan(rows.labels)
            if shard.by_rows:
                keep &= np.arange(seen, seen + len(rows)) % shard.count == shard.index
                seen += len(rows)
            yield rows if keep.all() else Rows(rows.features[keep], rows.labels[keep])


def _open(shard: Shard, order_seed: int | None) -> Reader:
    filesystem, paths = file_system(shard.files, shard.options)
    if filesystem is None:
        filesystem, _ = get_filesystem_and_path_or_paths(["file:///"])
    else:
        filesystem = _former(filesystem)
    dealt = {} if shard.by_rows or shard.count == 1 else {"cur_shard": shard.index, "shard_count": shard.count}
    return Reader(
        filesystem,
        paths,
        schema_fields=[f"{re.escape(name)}$" for name in (*shard.features, shard.label)],
        worker_class=_TableWorker,
        reader_pool=ThreadPool(1, _AHEAD),  # one thread: row groups come in the order in which they were planned
        shuffle_row_groups=order_seed is not None,
        seed=order_seed,
        is_batched_reader=True,
        **dealt,
    )


def _former(filesystem: Any) -> Any:
    """An fsspec file system under pyarrow's former interface, which petastorm 0.12 reads through."""
    from pyarrow.filesystem import DaskFileSystem  # noqa: PLC0415 — deprecated: imported only where it is needed

    class Former(DaskFileSystem):  # type: ignore[misc]
        def isfile(self, path: str) -> bool:
            return bool(self.fs.isfile(path))

        def isdir(self, path: str) -> bool:
            return bool(self.fs.isdir(path))

    return Former(filesystem)


class _TableWorker(ArrowReaderWorker):  # type: ignore[misc]
    """A petastorm worker whose results are read as the Arrow tables that they are."""

    @staticmethod
    def new_results_queue_reader() -> _Tables:
        return _Tables()


class _Tables:
    batched_output = True

    def read_next(self, workers_pool: ThreadPool, _schema: Any, _ngram: Any) -> pa.Table:
        try:
            return workers_pool.get_results()
        except EmptyResultError:
            raise StopIteration from None


def _to_rows(table: pa.Table, shard: Shard) -> Rows:
    columns = [as_floats(table.column(name)) for name in shard.features]
    matrix = np.empty((table.num_rows, len(columns)), np.float32)
    for start in range(0, table.num_rows, _BLOCK):
        part = slice(start, start + _BLOCK)
        matrix[part] = np.stack([column[part] for column in columns]).T
    return Rows(matrix, as_floats(table.column(shard.label)))
