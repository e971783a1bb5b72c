"""What every statistic is: a pure function of two samples and the record that declares it.

A *sample* is either numeric, a 1-D array of finite numbers in any order, or categorical, a mapping
from category to how often it occurs. A plug-in is a module-level :class:`Statistic` under the
entry-point group ``mlops_jupyter.statistics``; :class:`mlops_jupyter.testing.StatisticConformance`
is the suite that it has to pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput

Kind = Literal["numeric", "categorical"]
Numbers: TypeAlias = NDArray[Any]
Counts: TypeAlias = Mapping[str, int]
Sample: TypeAlias = Numbers | Counts


@dataclass(frozen=True)
class Outcome:
    """What a statistic found.

    Parameters
    ----------
    value:
        The statistic itself (an effect size or a test statistic); may be infinite.
    p_value:
        0 to 1 for a test, ``None`` for a distance.
    """

    value: float
    p_value: float | None = None


@dataclass(frozen=True)
class Statistic:
    """The declaration of one drift measure.

    Parameters
    ----------
    name:
        The entry point's name.
    kinds:
        Which samples it can judge.
    threshold:
        Where drift begins, unless the caller says otherwise.
    drift:
        ``"above"``: the value is at least the threshold (distances); ``"below"``: the p-value is
        less than it (tests).
    compute:
        ``compute(reference, current) -> Outcome``; leaves its arguments as they are and raises
        :class:`~mlops_jupyter.errors.InvalidInput` for samples that it cannot judge.
    symbol:
        How the value is called in a sentence, e.g. ``"D"``.
    """

    name: str
    kinds: tuple[Kind, ...]
    threshold: float
    drift: Literal["above", "below"]
    compute: Callable[[Any, Any], Outcome]
    symbol: str = "value"

    def drifted(self, outcome: Outcome) -> bool:
        """Whether ``outcome`` is drift by this statistic's threshold and direction."""
        if self.drift == "above":
            return outcome.value >= self.threshold
        return outcome.p_value is not None and outcome.p_value < self.threshold


def sorted_numbers(sample: Sample) -> Numbers:
    """The numeric sample in ascending order: itself if it is sorted already, else a copy.

    Raises
    ------
    InvalidInput
        If it is not a 1-D array of numbers, is empty, or holds NaN or an infinity.
    """
    if not isinstance(sample, np.ndarray) or sample.ndim != 1 or sample.dtype.kind not in "iuf":
        raise InvalidInput("This statistic judges numeric columns.", hint="Choose another one.")
    if not sample.size:
        raise InvalidInput("There are no values to compare.")
    if not bool(np.all(sample[:-1] <= sample[1:])):
        sample = np.sort(sample)
    if not (np.isfinite(sample[0]) and np.isfinite(sample[-1])):
        raise InvalidInput("NaN and infinities have to be dropped before the comparison.")
    return sample


def aligned_counts(reference: Sample, current: Sample) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both samples' counts over the categories of either, in the categories' sorted order.

    Raises
    ------
    InvalidInput
        If a sample is not categorical or has no rows.
    """
    if not isinstance(reference, Mapping) or not isinstance(current, Mapping):
        raise InvalidInput("This statistic judges categorical columns.", hint="Choose another one.")
    keys = sorted({key for sample in (reference, current) for key, n in sample.items() if n})
    first = np.array([reference.get(key, 0) for key in keys], dtype=np.int64)
    second = np.array([current.get(key, 0) for key in keys], dtype=np.int64)
    if not first.sum() or not second.sum():
        raise InvalidInput("There are no values to compare.")
    return first, second
