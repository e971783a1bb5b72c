"""Where modules are looked for: ``sys.path``."""

from __future__ import annotations

import sys
from typing import Any

from .base import Ambient, Unstorable
from .places import Places


class Path(Ambient):
    """The entries; those that were there at the start by their number."""

    name = "path"

    def __init__(self) -> None:
        self._start = list(sys.path)
        self._places = Places()

    def capture(self) -> Any:
        """The entries in order.

        Raises
        ------
        Unstorable
            If one is not text.
        """
        if sys.path == self._start:
            return None
        return tuple(self._entry(entry) for entry in sys.path)

    def _entry(self, entry: object) -> Any:
        if entry in self._start:
            return self._start.index(str(entry))
        if not isinstance(entry, str):
            raise Unstorable(f"sys.path holds a {type(entry).__name__}")
        return self._places.to_value(entry)

    def restore(self, value: Any) -> None:
        """Make the list's content these entries."""
        entries = range(len(self._start)) if value is None else value
        sys.path[:] = [
            self._start[entry] if isinstance(entry, int) else self._places.from_value(entry)
            for entry in entries
        ]
