"""How far two samples are from one distribution."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def psi(expected: npt.ArrayLike, actual: npt.ArrayLike) -> float:
    """The population stability index of two counts over the same bins: the sum of (a - e) ln(a / e) over their shares.

    Below 0.1 is called stable, from 0.25 shifted (Siddiqi, Credit Risk Scorecards, 2006). Of two samples of N and M rows from
    one population it has the mean (B - 1)(1/N + 1/M) over B bins (Yurdakul, Statistical Properties of Population Stability
    Index, Western Michigan University, 2018). A share below 0.0001 counts as 0.0001, so that an empty bin stays finite.
    """
    shares = [np.maximum(counts / counts.sum(), 1e-4) for counts in (np.asarray(expected, float), np.asarray(actual, float))]
    return float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))
