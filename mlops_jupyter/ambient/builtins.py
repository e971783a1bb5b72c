"""The names of :mod:`builtins`."""

from __future__ import annotations

import builtins

from .base import Refused

# IPython and ipykernel set these around each cell.
_OTHERS = ("_", "display", "exit", "get_ipython", "input", "quit")


class Builtins(Refused):
    """As they were at the start; IPython's own do not count."""

    name = "builtins"

    def __init__(self) -> None:
        self._start = dict(vars(builtins))

    def changed(self) -> str:
        """The first name that was added, replaced or taken away."""
        now = vars(builtins)
        for name, value in now.items():
            if self._start.get(name) is not value and name not in _OTHERS:
                return f"builtins.{name} was changed"
        if len(now) < len(self._start):
            gone = sorted(self._start.keys() - now.keys() - set(_OTHERS))
            return f"builtins.{gone[0]} was taken away" if gone else ""
        return ""

    def undo(self) -> None:
        """Put all names back."""
        now = vars(builtins)
        for name in now.keys() - self._start.keys() - set(_OTHERS):
            del now[name]
        now.update((k, v) for k, v in self._start.items() if k not in _OTHERS)
