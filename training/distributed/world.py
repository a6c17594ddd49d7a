"""What the loop knows of the other ranks."""

from __future__ import annotations

from typing import Protocol, TypeVar

import torch

T = TypeVar("T")


class World(Protocol):
    """``size`` processes that run the same program; this one is number ``rank``.

    Every rank calls the same methods in the same order. When a rank has died, the others get RankFailed.
    """

    rank: int
    size: int

    def allreduce_sum(self, values: torch.Tensor) -> None:
        """Replace ``values`` by their sum over all ranks, the same bits everywhere."""

    def broadcast_object(self, value: T) -> T:
        """Rank 0's ``value``."""

    def allgather_object(self, value: T) -> list[T]:
        """Every rank's ``value``, by rank."""

    def close(self) -> None:
        """Leave; nothing is called after."""
