"""Will it happen: one logit a row, trained by binary cross-entropy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from training.data.rows import Floats
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

    def metrics(self, scores: Floats, labels: Floats) -> dict[str, float]:
        """Figures of an epoch on the validation split, by name. Scores may be logits or probabilities."""
        return {"auc": roc_auc(scores, labels)}


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


def roc_auc(scores: Floats, labels: Floats) -> float:
    """Area under the ROC curve as the Mann-Whitney statistic, ties counted half; both classes must be there.

    scikit-learn gives the same, but would be loaded by every rank for this alone.
    """
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    positives = np.count_nonzero(labels)
    above = ranks[labels == 1].sum() - positives * (positives + 1) / 2
    return float(above / (positives * (len(labels) - positives)))
