"""A world of one."""

from __future__ import annotations

from typing import TypeVar

import torch

T = TypeVar("T")


class Serial:
    """One process, nobody to talk to."""

    rank = 0
    size = 1

    def allreduce_sum(self, values: torch.Tensor) -> None:
        """Leave ``values`` as they are."""

    def broadcast_object(self, value: T) -> T:
        """``value`` itself."""
        return value

    def allgather_object(self, value: T) -> list[T]:
        """``value`` alone."""
        return [value]

    def close(self) -> None:
        """Nothing to leave."""
