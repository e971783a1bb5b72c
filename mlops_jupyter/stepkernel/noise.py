"""Which files say nothing about a step: those of Python, of packages, of caches, and our own."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from pathlib import Path

from ..origin import INSTALLED

_SYSTEM = ("/proc", "/dev", "/sys", "/etc", "/usr", "/lib", "/lib64", "/System", "/Library")
_HOME = (
    ".cache",
    ".config/matplotlib",
    ".fonts",
    ".ipython",
    ".jupyter",
    ".local/share/fonts",
    ".local/share/jupyter",
    ".matplotlib",
    "Library/Caches",
    "Library/Fonts",
    "Library/Jupyter",
)
_VARIABLES = (
    "IPYTHONDIR",
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTER_RUNTIME_DIR",
    "MPLCONFIGDIR",
    "XDG_CACHE_HOME",
)
#: Folders inside a project that hold no data.
HIDDEN = frozenset({".git", ".ipynb_checkpoints", ".mlops", "__pycache__", "executed"})
_ANYWHERE = ("__pycache__", "site-packages", "joblib_memmapping_folder_")


class Noise:
    """Tells files that matter from those that do not.

    Parameters
    ----------
    folder:
        The notebook's folder, resolved: files below it matter unless they are hidden.
    ignore:
        Files and folders that do not matter, wherever they are.
    """

    def __init__(self, folder: str, ignore: Collection[Path]) -> None:
        home = os.path.expanduser("~")
        places = {sys.prefix, sys.base_prefix, *_SYSTEM, *(f"{home}/{name}" for name in _HOME)}
        places |= {os.environ[name] for name in _VARIABLES if os.environ.get(name)}
        self._folder = folder.rstrip(os.sep) + os.sep
        resolved = {os.path.realpath(place) for place in places} | places
        self._places = (*INSTALLED, *(p + os.sep for p in resolved if len(p) > 1))
        self._inside = tuple(p for p in self._places if p.startswith(self._folder))
        self._ignored = frozenset(os.path.realpath(path) for path in ignore)
        self._below = tuple(path + os.sep for path in self._ignored)

    def inside(self, path: str) -> bool:
        """Whether ``path`` is below the notebook's folder."""
        return path.startswith(self._folder)

    def covers(self, path: str) -> bool:
        """Whether what happens to ``path`` (absolute) does not matter."""
        if path in self._ignored or path.startswith(self._below) or path.endswith(".pyc"):
            return True
        if path.startswith(self._folder):
            if path.startswith(self._inside):
                return True
            return not HIDDEN.isdisjoint(path[len(self._folder) :].split(os.sep))
        return path.startswith(self._places) or any(name in path for name in _ANYWHERE)
