"""How good a model is on the test split, beside two baselines, and the gate that this opens or shuts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from core.errors import PublishRefused


@dataclass(frozen=True, slots=True)
class Scores:
    """Figures of one set of probabilities.

    ``roc_auc``: area under the ROC curve, ties counted half (Hanley & McNeil 1982). ``pr_auc``: average precision, the sum of
    precision times the step in recall, not interpolated. ``log_loss``: mean negative log-likelihood in nats. ``brier``: mean
    squared difference from the label (Brier 1950). ``ece``: expected calibration error, the mean over bins of the gap between
    mean probability and share of positives, weighted by rows (Naeini et al. 2015), over 15 bins of equal width.
    """

    roc_auc: float
    pr_auc: float
    log_loss: float
    brier: float
    ece: float


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of the reliability diagram: probabilities in [low, high), the last one closed; means over its ``rows``."""

    low: float
    high: float
    rows: int
    predicted: float
    observed: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The test split's figures.

    ``base_rate`` answers every row with the training split's share of positives; ``logistic`` is a logistic regression on the
    same features, fitted on ``logistic_rows`` rows of the training split. ``reliability`` are the network's bins that hold rows.
    """

    rows: int
    positives: int
    network: Scores
    base_rate: Scores
    logistic: Scores
    logistic_rows: int
    reliability: tuple[Bin, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON-able form, read back by ``from_json``."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        scores = {key: Scores(**document[key]) for key in ("network", "base_rate", "logistic")}
        bins = tuple(Bin(**item) for item in document["reliability"])
        return cls(document["rows"], document["positives"], logistic_rows=document["logistic_rows"], reliability=bins, **scores)


def gate(evaluation: Evaluation) -> None:
    """Return if the network beats both baselines on ROC AUC, PR AUC and log loss; else PublishRefused says where it does not."""
    losses = [
        f"{label} {getattr(evaluation.network, figure):.4f} against {getattr(baseline, figure):.4f} of {name}"
        for name, baseline in (("the base rate", evaluation.base_rate), ("logistic regression", evaluation.logistic))
        for figure, label, sign in (("roc_auc", "ROC AUC", 1), ("pr_auc", "PR AUC", 1), ("log_loss", "log loss", -1))
        if not sign * getattr(evaluation.network, figure) > sign * getattr(baseline, figure)
    ]
    if losses:
        raise PublishRefused(
            f"the network does not beat its baselines on {evaluation.rows} test rows: {'; '.join(losses)}; "
            "train it longer, change its size, or give it other features",
            **evaluation.to_json(),
        )
