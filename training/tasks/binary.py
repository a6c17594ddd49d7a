"""Will it happen: one logit a row, trained by binary cross-entropy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from training.spec import MlpConfig, TaskConfig
from training.tasks.mlp import build_mlp


@dataclass(frozen=True, slots=True)
class BinaryClassification:
    """The task, with its hyper-parameters bound."""

    model: MlpConfig
    positive_weight: float

    def build(self, width: int) -> nn.Module:
        """A fresh model: float32 [n, width] → logits [n]. Its weights follow torch's seed."""
        return build_mlp(self.model, width)

    def loss_sum(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Binary cross-entropy in nats, summed over the rows; a positive row counts ``positive_weight`` times."""
        weight = None if self.positive_weight == 1 else torch.tensor(self.positive_weight)
        return binary_cross_entropy_with_logits(logits, labels, pos_weight=weight, reduction="sum")

    def answer(self, logits: torch.Tensor) -> torch.Tensor:
        """What the published model says for logits: the probability of label 1."""
        return torch.sigmoid(logits)

    def metrics(self, scores: npt.NDArray[np.float32], labels: npt.NDArray[np.float32]) -> dict[str, float]:
        """Figures of an epoch on the validation split, by name. Scores may be logits or probabilities."""
        return {"auc": float(roc_auc_score(labels, scores))}


class Answering(nn.Module):
    """A trained model with its task's answer inside: float32 [n, d] → [n]."""

    def __init__(self, model: nn.Module, task: BinaryClassification) -> None:
        super().__init__()
        self.model = model
        self.task = task
        self.eval()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """One answer a row."""
        return self.task.answer(self.model(features))


def make_task(config: TaskConfig) -> BinaryClassification:
    """The task that the configuration names."""
    return BinaryClassification(config.model, config.positive_weight)
