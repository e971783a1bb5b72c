"""What is the user's: the notebook and the project's own modules, or a library."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from functools import lru_cache
from types import FrameType, ModuleType

_IMPORT = "<frozen importlib._bootstrap"


def _installed() -> tuple[str, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    found = {sysconfig.get_path(name) for name in names}
    found |= {path for path in sys.path if path.endswith(("site-packages", "dist-packages"))}
    found |= {os.path.dirname(os.path.abspath(__file__))}
    found |= {os.path.realpath(path) for path in found if path}
    return tuple(sorted(path.rstrip(os.sep) + os.sep for path in found if path))


#: Folders of the standard library, of installed packages and of this package, each with a final
#: separator.
INSTALLED = _installed()


@lru_cache(maxsize=4096)
def installed(file: str) -> bool:
    """Whether ``file`` belongs to the standard library or to an installed package."""
    if file.startswith("<") or file.startswith(INSTALLED):
        return True
    return f"{os.sep}site-packages{os.sep}" in file or f"{os.sep}dist-packages{os.sep}" in file


def local_modules() -> Iterator[tuple[str, ModuleType]]:
    """Name and module of what is imported and belongs to the project: nobody installed it."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and not name.startswith("__") and not installed(file):
            yield name, module


def users(frame: FrameType) -> bool:
    """Whether ``frame`` runs code of the notebook or of one of the project's modules."""
    if frame.f_globals is sys.modules["__main__"].__dict__:
        return True
    return not installed(frame.f_code.co_filename)


def importing(frame: FrameType | None) -> bool:
    """Whether the call comes from a library that is being imported, not from the user's code."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORT):
            return True
        if users(frame):
            return False
        frame = frame.f_back
    return False
