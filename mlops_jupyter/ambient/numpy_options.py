"""How NumPy prints arrays and takes floating-point errors."""

from __future__ import annotations

import sys
from typing import Any

from .base import Ambient

# As documented; older versions do not have all of them.
_PRINT = {
    "edgeitems": 3,
    "threshold": 1000,
    "floatmode": "maxprec",
    "precision": 8,
    "suppress": False,
    "linewidth": 75,
    "nanstr": "nan",
    "infstr": "inf",
    "sign": "-",
    "formatter": None,
    "legacy": False,
    "override_repr": None,
}
_ERRORS = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}


class NumpyOptions(Ambient):
    """``np.set_printoptions``, ``np.seterr`` and ``np.seterrcall``."""

    name = "numpy-options"
    module = "numpy"

    def start(self) -> Any:
        """NumPy's defaults."""
        known = sys.modules["numpy"].get_printoptions()
        return {key: _PRINT.get(key, value) for key, value in known.items()}, _ERRORS, None

    def capture(self) -> Any:
        """All of them."""
        numpy: Any = sys.modules["numpy"]
        return numpy.get_printoptions(), numpy.geterr(), numpy.geterrcall()

    def restore(self, value: Any) -> None:
        """Set them."""
        numpy: Any = sys.modules["numpy"]
        printing, errors, call = value
        numpy.set_printoptions(**printing)
        numpy.seterr(**errors)
        numpy.seterrcall(call)
