"""Two-sample Kolmogorov-Smirnov test.

``D = max over x of |F_reference(x) - F_current(x)|`` with the empirical distribution functions;
two-sided p-value, exact up to 10,000 values a sample and asymptotic above or where the exact one
cannot be computed (Hodges 1958, as in ``scipy.stats.ks_2samp(method="auto")``). Drift: p < 0.05.
"""

from __future__ import annotations

import warnings

from scipy.stats import ks_2samp

from .base import Numbers, Outcome, Statistic, sorted_numbers


def compute(reference: Numbers, current: Numbers) -> Outcome:
    """D (0 to 1) and its two-sided p-value.

    Raises
    ------
    InvalidInput
        If a sample is empty or not numeric.
    """
    first, second = sorted_numbers(reference), sorted_numbers(current)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # "switching to method=asymp"
        result = ks_2samp(first, second)
    return Outcome(float(result.statistic), float(result.pvalue))


statistic = Statistic("ks", ("numeric",), 0.05, "below", compute, symbol="D")
