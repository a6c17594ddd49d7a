"""Figures against scikit-learn's and by hand, and what the gate makes of them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, roc_auc_score

from core.errors import PublishRefused
from training.data.rows import Rows
from training.evaluate import evaluate, measure, reliability
from training.evaluation import Evaluation, Scores, gate
from training.tasks.binary import roc_auc

GOOD = Scores(roc_auc=0.8, pr_auc=0.6, log_loss=0.4, brier=0.1, ece=0.01)
WORSE = Scores(roc_auc=0.7, pr_auc=0.5, log_loss=0.5, brier=0.2, ece=0.02)


def evaluation(**changes: Scores) -> Evaluation:
    return replace(Evaluation(100, 30, GOOD, WORSE, WORSE, 1000, ()), **changes)


def rows(n: int, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n, 3)).astype(np.float32)
    return Rows(features, (rng.random(n) < 1 / (1 + np.exp(-2 * features[:, 0]))).astype(np.float32))


def test_a_model_that_beats_both_baselines_passes() -> None:
    gate(evaluation())


@pytest.mark.parametrize(
    ("figure", "value", "message"),
    [
        ("roc_auc", 0.8, "ROC AUC 0.8000 against 0.8000 of logistic regression"),
        ("pr_auc", 0.7, "PR AUC 0.6000 against 0.7000 of logistic regression"),
        ("log_loss", 0.3, "log loss 0.4000 against 0.3000 of logistic regression"),
        ("log_loss", float("nan"), "log loss 0.4000 against nan of logistic regression"),
    ],
)
def test_a_model_that_does_not_beat_a_baseline_is_refused_with_the_numbers(figure: str, value: float, message: str) -> None:
    with pytest.raises(PublishRefused, match=message) as refusal:
        gate(evaluation(logistic=replace(WORSE, **{figure: value})))

    assert "base rate" not in refusal.value.message
    assert refusal.value.facts["logistic"][figure] == pytest.approx(value, nan_ok=True)


def test_an_evaluation_survives_json() -> None:
    whole = replace(evaluation(), reliability=reliability(np.array([0.1, 0.9]), np.array([0.0, 1.0])))

    assert Evaluation.from_json(whole.to_json()) == whole


def test_calibration_error_by_hand() -> None:
    probabilities = np.array([0.0, 0.0, 0.5, 0.5, 1.0])
    labels = np.array([0.0, 1.0, 0.0, 1.0, 1.0])

    bins = reliability(probabilities, labels)

    assert [(b.rows, b.predicted, b.observed) for b in bins] == [(2, 0, 0.5), (2, 0.5, 0.5), (1, 1, 1)]
    assert measure(probabilities, labels).ece == pytest.approx(2 / 5 * 0.5)


@given(st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=2, max_size=60))
def test_figures_are_finite_and_bins_hold_every_row(pairs: list[tuple[float, bool]]) -> None:
    probabilities, labels = np.array([p for p, _ in pairs], np.float32), np.array([y for _, y in pairs], np.float32)
    labels[:2] = 0, 1

    scores = measure(probabilities, labels)

    assert sum(b.rows for b in reliability(probabilities, labels)) == len(pairs)
    assert scores.brier == pytest.approx(brier_score_loss(labels, probabilities))
    assert 0 <= scores.ece <= 1
    assert np.isfinite(scores.log_loss)


@given(st.lists(st.tuples(st.sampled_from([-1.0, 0.0, 0.5, 0.50001, 3.0]), st.booleans()), min_size=2, max_size=40))
def test_the_loops_auc_is_that_of_scikit_learn(pairs: list[tuple[float, bool]]) -> None:
    scores, labels = np.array([s for s, _ in pairs], np.float32), np.array([y for _, y in pairs], np.float32)
    labels[:2] = 0, 1

    assert roc_auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))


def test_the_baselines_are_what_their_names_say() -> None:
    train, test = rows(4000, 1), rows(2000, 2)

    result = evaluate(np.full(2000, 0.5), test, train, base_rate=0.25)

    share = float(test.labels.mean())
    assert result.base_rate.roc_auc == 0.5
    assert result.base_rate.pr_auc == pytest.approx(share)
    assert result.base_rate.log_loss == pytest.approx(-(share * np.log(0.25) + (1 - share) * np.log(0.75)))
    assert result.logistic.roc_auc > 0.8
    assert (result.rows, result.positives, result.logistic_rows) == (2000, int(test.labels.sum()), 4000)
