"""Two-proportion z test, for columns of at most two categories.

``z = (p_current - p_reference) / sqrt(P (1 - P) (1/n_reference + 1/n_current))`` where ``p`` is the
share of the second category in sorted order and ``P`` its share in both samples together; the
p-value is two-sided (Evidently 0.7's ``z``). Drift: p < 0.05.
"""

from __future__ import annotations

import math

from scipy.special import ndtr

from ..errors import InvalidInput
from .base import Counts, Outcome, Statistic, aligned_counts


def compute(reference: Counts, current: Counts) -> Outcome:
    """z (positive: the second category became more frequent) and its two-sided p-value; 0 and 1
    if both samples consist of the same single category.

    Raises
    ------
    InvalidInput
        If a sample is empty or not categorical, or there are more than two categories.
    """
    first, second = aligned_counts(reference, current)
    if len(first) > 2:
        raise InvalidInput(
            f"z compares two categories, there are {len(first)}.", hint="Use chisquare."
        )
    if len(first) == 1:
        return Outcome(0.0, 1.0)
    n_first, n_second = int(first.sum()), int(second.sum())
    pooled = (int(first[1]) + int(second[1])) / (n_first + n_second)
    error = math.sqrt(pooled * (1 - pooled) * (1 / n_first + 1 / n_second))
    value = (int(second[1]) / n_second - int(first[1]) / n_first) / error
    return Outcome(value, float(2 * ndtr(-abs(value))))


statistic = Statistic("z", ("categorical",), 0.05, "below", compute, symbol="z")
