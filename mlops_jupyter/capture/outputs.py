"""The text of what a cell shows, bounded, taken where it passes by: nothing is formatted twice."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

LIMIT = 10_000
_CUT = "\n[cut after 10,000 characters]"


class Outputs:
    """Listens to a shell's results, displays and standard streams.

    Parameters
    ----------
    shell:
        The shell whose display hook and display publisher are listened to. Standard streams that
        are not Python objects (a bare terminal's) are left alone.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._chunks: list[str] = []
        self._room = 0
        self._taps: dict[tuple[int, str], tuple[Any, Any, Any]] = {}
        self._probing = self._reached = False

    def start(self) -> None:
        """Begin to listen."""
        self._tap(self._shell.displayhook, "write_format_data")
        self._tap(self._shell.display_pub, "publish")

    def stop(self) -> None:
        """Put everything back as it was."""
        for (_, name), (owner, tap, before) in self._taps.items():
            if owner.__dict__.get(name) is not tap:
                continue
            if before is None:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
        self._taps.clear()

    def begin(self) -> None:
        """A cell begins."""
        for stream in (sys.stdout, sys.stderr):
            if not self._hears(stream):
                self._tap(stream, "write")
        self._chunks, self._room = [], LIMIT + 1

    def _hears(self, stream: Any) -> bool:
        """Whether what is written to ``stream`` comes by here. IPython, and others, put their own
        functions in the stream's place for the time of a cell, over ours or instead of it."""
        self._probing, self._reached = True, False
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.write("")
        self._probing = False
        return self._reached

    def end(self) -> str:
        """The cell ended; returns its text, at most 10,000 characters."""
        self._room = 0
        shown = "".join(self._chunks)
        return shown if len(shown) <= LIMIT else shown[:LIMIT] + _CUT

    def _tap(self, owner: Any, name: str) -> None:
        original = getattr(owner, name, None)
        if original is None:
            return

        def tap(given: Any, *args: Any, **kwargs: Any) -> Any:
            if self._probing and given == "":
                self._reached = True
                return 0
            if self._room:
                self._add(given)
            return original(given, *args, **kwargs)

        def tap_data(*args: Any, **kwargs: Any) -> Any:
            self._data(args[0] if args else kwargs.get("data", kwargs.get("format_dict")))
            room, self._room = self._room, 0  # a terminal's shell prints it: once is enough
            try:
                return original(*args, **kwargs)
            finally:
                self._room = room

        chosen = tap if name == "write" else tap_data
        before = getattr(owner, "__dict__", {}).get(name)
        try:
            setattr(owner, name, chosen)
        except AttributeError:  # a stream written in C
            return
        self._taps[id(owner), name] = (owner, chosen, before)

    def _data(self, data: Any) -> None:
        if self._room and isinstance(data, Mapping):
            shown = data.get("text/plain", "")
            if isinstance(shown, str) and shown:
                self._add(shown + "\n")

    def _add(self, shown: Any) -> None:
        if isinstance(shown, str):
            shown = shown[: self._room]
            self._chunks.append(shown)
            self._room -= len(shown)
