"""Whether a share has risen, or chance alone makes it look so."""

from __future__ import annotations

from math import exp, lgamma

_NEGLIGIBLE = 1e-18


def risen(before: tuple[int, int], now: tuple[int, int]) -> float:
    """How likely it is by chance that so many of the cases fall into ``now``, or more; each side is (cases, all).

    Fisher's exact test, one-sided: with the same share on both sides, the cases are dealt out like cards.
    """
    (cases_before, all_before), (cases, rows) = before, now
    total, found = all_before + rows, cases_before + cases
    probability = 0.0
    for i in range(cases, min(found, rows) + 1):
        if found - i > all_before:
            continue
        term = exp(_choose(found, i) + _choose(total - found, rows - i) - _choose(total, rows))
        probability += term
        if i * total > found * rows and term < probability * _NEGLIGIBLE:
            break  # beyond the mean each term is smaller than the one before
    return min(probability, 1.0)


def _choose(n: int, k: int) -> float:
    """The logarithm of the binomial coefficient."""
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
