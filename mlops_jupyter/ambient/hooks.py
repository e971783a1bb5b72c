"""What Python calls by itself: streams, hooks of :mod:`sys`, signal handlers."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading

from .base import Refused

_SYSTEM = ("stdout", "stderr", "stdin", "displayhook", "excepthook", "unraisablehook")


class Hooks(Refused):
    """As they were at the start: functions and streams of user code stay in their kernel."""

    name = "hooks"

    def __init__(self) -> None:
        self._system = {name: getattr(sys, name) for name in _SYSTEM}
        # The kernel itself changes SIGINT's handler around each request.
        self._signals = {
            number: signal.getsignal(number)
            for number in signal.valid_signals()
            if number != signal.SIGINT
        }
        self._thread = threading.excepthook
        self._tracing = sys.gettrace(), sys.getprofile()

    def changed(self) -> str:
        """The first one that was replaced."""
        for name, start in self._system.items():
            if getattr(sys, name) != start:
                return f"sys.{name} was replaced"
        if threading.excepthook != self._thread:
            return "threading.excepthook was replaced"
        if (sys.gettrace(), sys.getprofile()) != self._tracing:
            return "a trace or profile function is set"
        for number, handler in self._signals.items():
            if signal.getsignal(number) != handler:
                return f"{signal.Signals(number).name} has another handler"
        return ""

    def undo(self) -> None:
        """Put all of them back."""
        for name, start in self._system.items():
            setattr(sys, name, start)
        threading.excepthook = self._thread
        sys.settrace(self._tracing[0])
        sys.setprofile(self._tracing[1])
        for number, handler in self._signals.items():
            if signal.getsignal(number) != handler and handler is not None:
                with contextlib.suppress(OSError, ValueError):
                    signal.signal(number, handler)
