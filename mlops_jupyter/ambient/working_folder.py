"""The working folder."""

from __future__ import annotations

import os
import sys
from typing import Any

from .base import Ambient, Unstorable
from .places import Places


class WorkingFolder(Ambient):
    """Where relative paths begin, and where ``%cd`` has been."""

    name = "working-folder"

    def __init__(self) -> None:
        self._places = Places()

    def capture(self) -> Any:
        """The folder, then those of ``%cd``'s history.

        Raises
        ------
        Unstorable
            If it does not exist any more.
        """
        try:
            places = (os.getcwd(), *map(str, _history()))
            return [self._places.to_value(place) for place in places]
        except FileNotFoundError:
            raise Unstorable("the working folder was removed") from None

    def restore(self, value: Any) -> None:
        """Go there; it is made if it does not exist, as an earlier step had made it."""
        folder, *history = (self._places.from_value(place) for place in value)
        os.makedirs(folder, exist_ok=True)
        os.chdir(folder)
        been = _history()
        kind = type(been[0]) if been else str
        been[:] = map(kind, history)


def _history() -> list[Any]:
    """IPython's list of folders, if this is IPython."""
    module: Any = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    found: list[Any] = shell.user_ns.get("_dh", []) if shell is not None else []
    return found
