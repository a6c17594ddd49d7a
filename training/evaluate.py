"""Compute an ``Evaluation``: the network's probabilities and two baselines on the test split."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from training.data.rows import Rows
from training.evaluation import Bin, Evaluation, Scores

Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]

_BINS = 15


def evaluate(probabilities: Floats, test: Rows, train: Rows, base_rate: float) -> Evaluation:
    """The network's ``probabilities`` [n] for the ``test`` rows, beside the baselines learned from ``train``.

    ``base_rate`` is the share of positives in the whole training split. Both splits hold both classes.
    """
    labels = test.labels
    return Evaluation(
        rows=len(test),
        positives=int(labels.sum()),
        network=measure(probabilities, labels),
        base_rate=measure(np.full(len(test), base_rate), labels),
        logistic=measure(fit_logistic(train).predict_proba(test.features)[:, 1], labels),
        logistic_rows=len(train),
        reliability=reliability(probabilities, labels),
    )


def measure(probabilities: Floats, labels: Floats) -> Scores:
    """The figures of probabilities [n] for labels 0 and 1 [n], of which there are both."""
    chances = np.asarray(probabilities, np.float64)
    bins = reliability(chances, labels)
    return Scores(
        roc_auc=float(roc_auc_score(labels, chances)),
        pr_auc=float(average_precision_score(labels, chances)),
        log_loss=float(log_loss(labels, chances)),
        brier=float(np.mean((chances - labels) ** 2)),
        ece=sum(b.rows * abs(b.predicted - b.observed) for b in bins) / len(labels),
    )


def reliability(probabilities: Floats, labels: Floats) -> tuple[Bin, ...]:
    """Bins of equal width that hold rows, from low to high."""
    chances = np.asarray(probabilities, np.float64)
    places = np.minimum((chances * _BINS).astype(int), _BINS - 1)
    rows = np.bincount(places, minlength=_BINS)
    predicted = np.bincount(places, chances, minlength=_BINS)
    observed = np.bincount(places, labels, minlength=_BINS)
    return tuple(
        Bin(i / _BINS, (i + 1) / _BINS, int(rows[i]), float(predicted[i] / rows[i]), float(observed[i] / rows[i]))
        for i in range(_BINS)
        if rows[i]
    )


def fit_logistic(rows: Rows) -> LogisticRegression:
    """L2-regularized logistic regression (C = 1) by L-BFGS, of at most 200 iterations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 200 iterations are past what its test loss can feel
        return LogisticRegression(max_iter=200).fit(rows.features, rows.labels)
