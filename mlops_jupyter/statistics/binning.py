"""Shares of two samples over common bins, as Evidently 0.7 forms them for PSI and Jensen-Shannon.

Numeric, more than 20 distinct values in the reference: equal-width bins over the range of both
samples together, as many as Sturges' rule gives for their joint size
(Sturges 1926, ``numpy.histogram_bin_edges(..., "sturges")``). Numeric with fewer: each distinct
value is a bin. Categorical: each category is a bin.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from .base import Numbers, Sample, aligned_counts, sorted_numbers

FEW_VALUES = 20
_SMALL = 1e-4

Shares = NDArray[np.float64]


def shares(reference: Sample, current: Sample) -> tuple[Shares, Shares]:
    """Relative frequencies of both samples per bin; each sums to 1.

    Parameters
    ----------
    reference, current:
        Two numeric or two categorical samples.

    Raises
    ------
    InvalidInput
        If a sample is empty, or they are of different kinds.
    """
    if isinstance(reference, np.ndarray):
        first, second = _binned(sorted_numbers(reference), sorted_numbers(current))
    else:
        first, second = aligned_counts(reference, current)
    return first / first.sum(), second / second.sum()


def filled(share: Shares) -> Shares:
    """``share`` with its zeros replaced, so that logarithms exist: by 0.0001, or, if the smallest
    other share is no larger than that, by a millionth of that share."""
    smallest = share[share > 0].min()
    return np.where(share > 0, share, _SMALL if smallest > _SMALL else smallest / 1e6)


def _binned(reference: Numbers, current: Numbers) -> tuple[NDArray[Any], NDArray[Any]]:
    if np.count_nonzero(reference[1:] != reference[:-1]) + 1 > FEW_VALUES:
        edges = _edges(np.concatenate([reference, current]))
        return _histogram(reference, edges), _histogram(current, edges)
    values = np.union1d(reference, current)
    return _occurrences(reference, values), _occurrences(current, values)


def _edges(values: Numbers) -> NDArray[Any]:
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            return np.histogram_bin_edges(values, bins="sturges")
    except (ValueError, OverflowError) as error:
        raise InvalidInput("The values' range is too wide or too narrow for bins.") from error


def _histogram(ascending: Numbers, edges: NDArray[Any]) -> NDArray[Any]:
    """Counts per bin ``[edge, next)``, the last one closed, like ``numpy.histogram``'s."""
    below = np.searchsorted(ascending, edges[:-1], side="left")
    return np.diff(np.append(below, np.searchsorted(ascending, edges[-1], side="right")))


def _occurrences(ascending: Numbers, values: NDArray[Any]) -> NDArray[Any]:
    right = np.searchsorted(ascending, values, side="right")
    return right - np.searchsorted(ascending, values, side="left")
