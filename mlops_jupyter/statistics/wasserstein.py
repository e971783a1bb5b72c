"""First Wasserstein (earth mover's) distance in units of the reference's standard deviation.

``W = integral over q from 0 to 1 of |Q_reference(q) - Q_current(q)| dq`` with the empirical
quantile functions (equal to ``scipy.stats.wasserstein_distance``), divided by
``max(std(reference), 0.001)`` with the population standard deviation (Evidently 0.7's normed
``wasserstein``). Drift: 0.1 and more.
"""

from __future__ import annotations

import numpy as np

from .base import Numbers, Outcome, Statistic, sorted_numbers

_SMALLEST_NORM = 0.001


def compute(reference: Numbers, current: Numbers) -> Outcome:
    """The normed distance, 0 or more.

    Raises
    ------
    InvalidInput
        If a sample is empty or not numeric.
    """
    first = sorted_numbers(reference).astype(np.float64, copy=False)
    second = sorted_numbers(current).astype(np.float64, copy=False)
    with np.errstate(over="ignore", invalid="ignore"):
        norm = max(float(np.std(first)), _SMALLEST_NORM)
        return Outcome(_distance(first, second) / norm)


def _distance(first: Numbers, second: Numbers) -> float:
    """The distance of two ascending samples.

    Both quantile functions are steps, of widths 1/n and 1/m. In units of 1/(n m) all their
    breakpoints are whole numbers, so no rounding decides which values meet.
    """
    n, m = len(first), len(second)
    if n == m:
        return float(np.mean(np.abs(first - second)))
    steps = np.concatenate([np.arange(1, n + 1) * m, np.arange(1, m + 1) * n])
    steps.sort(kind="stable")
    widths = np.diff(steps, prepend=0)
    last = steps - 1
    return float(np.sum(np.abs(first[last // m] - second[last // n]) * (widths / (n * m))))


statistic = Statistic("wasserstein", ("numeric",), 0.1, "above", compute, symbol="W")
