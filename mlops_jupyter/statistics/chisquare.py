"""Pearson's chi-square test of the current counts against the reference's proportions.

``chi2 = sum (observed - expected)^2 / expected`` with ``expected = reference count * n_current /
n_reference``, p-value from the chi-square distribution with (categories - 1) degrees of freedom
(Pearson 1900; Evidently 0.7's ``chisquare``). A category that the reference does not have is
expected 0 times: chi2 is infinite and p is 0. Drift: p < 0.05.
"""

from __future__ import annotations

import numpy as np
from scipy.special import chdtrc

from .base import Counts, Outcome, Statistic, aligned_counts


def compute(reference: Counts, current: Counts) -> Outcome:
    """Chi-square (0 to infinity) and its p-value; 0 and 1 if there is one category only.

    Raises
    ------
    InvalidInput
        If a sample is empty or not categorical.
    """
    counts, observed = aligned_counts(reference, current)
    if len(counts) == 1:
        return Outcome(0.0, 1.0)
    if not counts.all():
        return Outcome(float("inf"), 0.0)
    expected = counts * (observed.sum() / counts.sum())
    value = float(np.sum((observed - expected) ** 2 / expected))
    return Outcome(value, float(chdtrc(len(counts) - 1, value)))


statistic = Statistic("chisquare", ("categorical",), 0.05, "below", compute, symbol="chi2")
