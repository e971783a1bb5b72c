"""The context of decimal arithmetic."""

from __future__ import annotations

import decimal
from typing import Any

from .base import Ambient

_FIELDS = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")


class Decimal(Ambient):
    """Precision, rounding, traps and flags, of the current context and of the default one."""

    name = "decimal"
    module = "decimal"

    def start(self) -> Any:
        """A new context, as documented."""
        fresh = decimal.Context(28, decimal.ROUND_HALF_EVEN, -999999, 999999, 1, 0, [], _TRAPS)
        return _parts(fresh), _parts(fresh)

    def capture(self) -> Any:
        """Both contexts."""
        return _parts(decimal.getcontext()), _parts(decimal.DefaultContext)

    def restore(self, value: Any) -> None:
        """Set both, in place: user code may hold the current one."""
        for context, parts in zip(
            (decimal.getcontext(), decimal.DefaultContext), value, strict=True
        ):
            fields, flags, traps = parts
            for field, setting in zip(_FIELDS, fields, strict=True):
                setattr(context, field, setting)
            for signal in context.flags:
                context.flags[signal] = signal.__name__ in flags
                context.traps[signal] = signal.__name__ in traps


_TRAPS = [decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow]


def _parts(context: decimal.Context) -> Any:
    fields = tuple(getattr(context, field) for field in _FIELDS)
    flags = tuple(sorted(signal.__name__ for signal, on in context.flags.items() if on))
    traps = tuple(sorted(signal.__name__ for signal, on in context.traps.items() if on))
    return fields, flags, traps
