"""Folders as other machines may know them: what is below the kernel's first folder is relative."""

from __future__ import annotations

import os
from pathlib import Path


class Places:
    """Folders against the one that the kernel was started in."""

    def __init__(self) -> None:
        self._start = os.path.realpath(os.getcwd())

    def to_value(self, folder: str) -> tuple[bool, str]:
        """Whether it is relative to the start, and the folder with ``/`` between its parts."""
        if folder == self._start or folder.startswith(self._start.rstrip(os.sep) + os.sep):
            return True, Path(os.path.relpath(folder, self._start)).as_posix()
        return False, folder

    def from_value(self, value: tuple[bool, str]) -> str:
        """The folder on this machine."""
        relative, folder = value
        return os.path.normpath(os.path.join(self._start, folder)) if relative else folder
