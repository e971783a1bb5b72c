"""Jensen-Shannon distance of two samples' distributions over common bins.

``JS = sqrt((KL(p || m) + KL(q || m)) / 2)`` with ``m = (p + q) / 2`` and natural logarithms, 0 to
sqrt(ln 2) = 0.8326 (Endres and Schindelin 2003; ``scipy.spatial.distance.jensenshannon``). Bins as
in :mod:`.binning` (Evidently 0.7's ``jensenshannon``). Drift: 0.1 and more.
"""

from __future__ import annotations

import math

from scipy.special import rel_entr

from .base import Outcome, Sample, Statistic
from .binning import shares


def compute(reference: Sample, current: Sample) -> Outcome:
    """The distance, 0 to 0.8326.

    Raises
    ------
    InvalidInput
        If a sample is empty, or they are of different kinds.
    """
    p, q = shares(reference, current)
    middle = (p + q) / 2
    divergence = float(rel_entr(p, middle).sum() + rel_entr(q, middle).sum()) / 2
    return Outcome(math.sqrt(max(divergence, 0.0)))


statistic = Statistic(
    "jensenshannon", ("numeric", "categorical"), 0.1, "above", compute, symbol="JS"
)
