"""NaN: the one value that is not equal to itself, so that containers find it by its identity."""

from __future__ import annotations

import decimal
import importlib
import math
import pickle
import re
import sys
from typing import Any

#: Other kinds of numbers of which some are NaN.
KINDS = (decimal.Decimal, float)
_NAN = re.compile(rb"G[\x7f\xff][\xf8-\xff]")
_MATH, _NUMPY, _FIRST = 0, 1, 2


def may_hold(stream: bytes) -> bool:
    """Whether a pickle may hold the float NaN."""
    return _NAN.search(stream) is not None


def is_nan(number: Any) -> bool:
    """Whether a number of one of :data:`KINDS` is NaN."""
    return bool(number.is_nan() if isinstance(number, decimal.Decimal) else math.isnan(number))


class Numbers:
    """A number for each NaN of a pickle; those of ``math`` and numpy have fixed ones."""

    def __init__(self) -> None:
        self._numbers = {id(math.nan): _MATH}
        if "numpy" in sys.modules:
            self._numbers[id(sys.modules["numpy"].nan)] = _NUMPY

    def of(self, nan: float) -> tuple[int, bool]:
        """Its number, and whether it is the notebook's own; negative ones have odd numbers."""
        known = self._numbers.get(id(nan))
        if known is None:
            negative = math.copysign(1, nan) < 0
            known = self._numbers[id(nan)] = _FIRST + 2 * len(self._numbers) + negative
        return known, known >= _FIRST


class Unpickler(pickle.Unpickler):
    """Makes each NaN once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._made: dict[int, float] = {_MATH: math.nan}

    def persistent_load(self, number: Any) -> float:
        """The NaN of a number."""
        if number == _NUMPY and number not in self._made:
            self._made[number] = importlib.import_module("numpy").nan
        if number not in self._made:
            self._made[number] = -float("nan") if number % 2 else float("nan")
        return self._made[number]
