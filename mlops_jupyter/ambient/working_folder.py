"""The working folder."""

from __future__ import annotations

import os
from typing import Any

from .base import Ambient, Unstorable
from .places import Places


class WorkingFolder(Ambient):
    """Where relative paths begin."""

    name = "working-folder"

    def __init__(self) -> None:
        self._places = Places()

    def capture(self) -> Any:
        """The folder.

        Raises
        ------
        Unstorable
            If it does not exist any more.
        """
        try:
            return self._places.to_value(os.getcwd())
        except FileNotFoundError:
            raise Unstorable("the working folder was removed") from None

    def restore(self, value: Any) -> None:
        """Go there; it is made if it does not exist, as an earlier step had made it."""
        folder = self._places.from_value(value)
        os.makedirs(folder, exist_ok=True)
        os.chdir(folder)
