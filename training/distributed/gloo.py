"""A world of processes that Horovod joins over Gloo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

import horovod.torch as hvd
import torch
from horovod.common.exceptions import HorovodInternalError

from core.errors import RankFailed

T = TypeVar("T")


class Gloo:
    """This process's place among those that ``launch`` started with it. Raises RankFailed when they do not come together."""

    def __init__(self) -> None:
        with _peers():
            hvd.init()
        self.rank: int = hvd.rank()
        self.size: int = hvd.size()

    def allreduce_sum(self, values: torch.Tensor) -> None:
        """Replace ``values`` by their sum over all ranks."""
        with _peers():
            # a name that comes back lets Horovod keep what the ranks agreed on; a fresh one is negotiated every time
            hvd.allreduce_(values, op=hvd.Sum, name=f"sum-{values.dtype}-{values.numel()}")

    def broadcast_object(self, value: T) -> T:
        """Rank 0's ``value``."""
        with _peers():
            return cast("T", hvd.broadcast_object(value, root_rank=0))

    def allgather_object(self, value: T) -> list[T]:
        """Every rank's ``value``, by rank."""
        with _peers():
            return cast("list[T]", hvd.allgather_object(value))

    def close(self) -> None:
        """Leave. A rank that has done so does not disturb the others' leaving."""
        hvd.shutdown()


@contextmanager
def _peers() -> Iterator[None]:
    try:
        yield
    except HorovodInternalError as error:
        raise RankFailed(f"the ranks have lost each other: {error}") from error
