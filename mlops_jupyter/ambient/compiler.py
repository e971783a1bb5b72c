"""Compiler flags that cells switch on for the cells after them: ``from __future__ import ...``."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

from .base import Ambient


class Compiler(Ambient):
    """The flags of IPython's compiler."""

    name = "compiler"

    def __init__(self) -> None:
        module: Any = sys.modules.get("IPython")
        shell = module.get_ipython() if module is not None else None
        self._compiler: Any = shell.compile if shell is not None else SimpleNamespace(flags=0)

    def capture(self) -> Any:
        """The flags, as a number."""
        return self._compiler.flags

    def restore(self, value: Any) -> None:
        """Set the flags."""
        self._compiler.flags = value
