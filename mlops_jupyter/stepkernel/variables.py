"""Which environment variables the user's code reads."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from ..ambient.environment import IGNORED
from ..origin import users

_BETWEEN = ("_collections_abc", "collections.abc", "os")
_installed = False


def install(ask: Callable[[str], None]) -> None:
    """From now on call ``ask`` with each variable that user code asks for, before it is looked up.

    ``os.environ`` encodes a name before it looks for it; what does that is replaced, because a
    replaced ``__getitem__`` would be seen in the traceback of a ``KeyError``.
    """
    global _installed  # noqa: PLW0603  # one environment for the whole process
    if _installed:
        return
    _installed = True
    environ: Any = os.environ
    encode: Callable[[Any], Any] = environ.encodekey

    def encodekey(name: Any) -> Any:
        if isinstance(name, str):
            frame = sys._getframe(1)
            if frame.f_code.co_name == "__getitem__" and _asked_by_user(frame):
                ask(name)
        return encode(name)

    environ.encodekey = encodekey


def _asked_by_user(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_globals.get("__name__") in _BETWEEN:
        frame = frame.f_back
    return frame is not None and users(frame)


def hash_of_variable(name: str) -> str:
    """The present value's hash, which only this user's processes can compute; ``""``: not set."""
    from ..trust import seal_of

    value = os.environ.get(name)
    if value is None:
        return ""
    return seal_of(b"\0".join(os.fsencode(part) for part in ("environment", name, value)))


def counts(name: str) -> bool:
    """Whether a variable says something about the step: not ours, not Jupyter's."""
    return not IGNORED.match(name)
