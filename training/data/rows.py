"""Rows in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Rows:
    """``features``: float32 [n, d], C-contiguous; ``labels``: float32 [n]."""

    features: Floats
    labels: Floats

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, part: slice) -> Rows:
        return Rows(self.features[part], self.labels[part])
