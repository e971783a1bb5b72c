"""Settings of the interpreter itself."""

from __future__ import annotations

import gc
import sys
from typing import Any

from .base import Ambient


class Interpreter(Ambient):
    """Limits, the thread switch interval in seconds, garbage collection, ``sys.argv`` and the
    default timeout of sockets in seconds."""

    name = "interpreter"

    def __init__(self) -> None:
        self._argv = list(sys.argv)

    def capture(self) -> Any:
        """All of them, by name."""
        socket = sys.modules.get("socket")
        return {
            "recursion limit": sys.getrecursionlimit(),
            "digits": getattr(sys, "get_int_max_str_digits", lambda: None)(),
            "switch interval": sys.getswitchinterval(),
            "gc": (gc.isenabled(), gc.get_threshold()),
            "argv": None if sys.argv == self._argv else list(sys.argv),
            "timeout": socket.getdefaulttimeout() if socket else None,
        }

    def restore(self, value: Any) -> None:
        """Set them."""
        sys.setrecursionlimit(value["recursion limit"])
        if value["digits"] is not None and hasattr(sys, "set_int_max_str_digits"):
            sys.set_int_max_str_digits(value["digits"])
        sys.setswitchinterval(value["switch interval"])
        enabled, thresholds = value["gc"]
        (gc.enable if enabled else gc.disable)()
        gc.set_threshold(*thresholds)
        sys.argv[:] = self._argv if value["argv"] is None else value["argv"]
        socket = sys.modules.get("socket")
        if value["timeout"] is not None or socket:
            import socket as sockets

            sockets.setdefaulttimeout(value["timeout"])
