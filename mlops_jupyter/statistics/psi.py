"""Population stability index of two samples over common bins.

``PSI = sum (p - q) ln(p / q)`` over the bins' shares ``p`` (reference) and ``q`` (current); bins as
in :mod:`.binning`, empty ones filled by its ``filled`` (Evidently 0.7's ``psi``). Drift: 0.1 and
more.
"""

from __future__ import annotations

import numpy as np

from .base import Outcome, Sample, Statistic
from .binning import filled, shares


def compute(reference: Sample, current: Sample) -> Outcome:
    """The index, 0 or more.

    Raises
    ------
    InvalidInput
        If a sample is empty, or they are of different kinds.
    """
    first, second = shares(reference, current)
    p, q = filled(first), filled(second)
    return Outcome(float(np.sum((p - q) * np.log(p / q))))


statistic = Statistic("psi", ("numeric", "categorical"), 0.1, "above", compute, symbol="PSI")
