"""Matplotlib: parameters and backend; open figures cannot be carried."""

from __future__ import annotations

import os
import pickle
import secrets
import sys
from typing import Any

from ..blobs import hash_of
from .base import Ambient, Unstorable
from .codec import encode

_APART = ("backend", "backend_fallback", "interactive")


class Matplotlib(Ambient):
    """What differs from Matplotlib as imported, with its configuration file read."""

    name = "matplotlib"
    module = "matplotlib"

    def __init__(self) -> None:
        self._seen = b""
        self._changed: tuple[Any, ...] = ()

    def start(self) -> Any:
        """Nothing changed."""
        return _value(None, None, ())

    def capture(self) -> Any:
        """What was changed: the backend, whether it is interactive, and parameters.

        Raises
        ------
        Unstorable
            If figures are open.
        """
        helpers = sys.modules.get("matplotlib._pylab_helpers")
        if helpers is not None and helpers.Gcf.figs:
            raise Unstorable("a figure is still open", _version(helpers.Gcf.figs))
        parameters = _parameters(sys.modules["matplotlib"].rcParams)
        seen = encode(list(parameters.items()))
        if seen != self._seen:
            first = _parameters(sys.modules["matplotlib"].rcParamsOrig)
            self._changed = tuple(
                (key, value)
                for key, value in sorted(parameters.items())
                if key not in first or encode(value) != encode(first[key])
            )
            self._seen = seen
        backend, interactive = _backend(), _interactive()
        return _value(
            None if backend == _first_backend() else backend,
            None if interactive is _usual() else interactive,
            self._changed,
        )

    def restore(self, value: Any) -> None:
        """Set all of it; closes figures that are open."""
        mpl = sys.modules["matplotlib"]
        pyplot: Any = sys.modules.get("matplotlib.pyplot")
        if pyplot is not None:
            pyplot.close("all")
        backend = value["backend"] or _first_backend()
        if backend and backend != _backend():
            mpl.use(_MODULES.get(backend, backend))
        interactive = value["interactive"]
        _set("interactive", _usual() if interactive is None else interactive)
        wanted = {**_parameters(mpl.rcParamsOrig), **dict(value["changed"])}
        for key, setting in wanted.items():
            if encode(setting) != encode(_parameter(dict.get(mpl.rcParams, key))):
                _set(key, _cycler(setting))


def _version(managers: dict[int, Any]) -> str:
    """What the open figures show; another one each time if that cannot be told."""
    try:
        shown = [(number, pickle.dumps(held.canvas.figure)) for number, held in managers.items()]
    except Exception:  # noqa: BLE001  # artists of any library are in there
        return secrets.token_hex(8)
    return hash_of(repr(shown).encode())


def _value(backend: str | None, interactive: bool | None, changed: Any) -> dict[str, Any]:
    return {"backend": backend, "interactive": interactive, "changed": changed}


def _parameters(given: Any) -> dict[str, Any]:
    """The parameters as plain data, read past Matplotlib's checks, which would choose a backend."""
    return {key: _parameter(v) for key, v in dict.items(given) if key not in _APART}


def _parameter(value: Any) -> Any:
    by_key = getattr(value, "by_key", None)
    return value if by_key is None else ("cycler", sorted(by_key().items()))


def _cycler(value: Any) -> Any:
    if isinstance(value, tuple) and value and value[0] == "cycler":
        from cycler import cycler

        return cycler(**dict(value[1]))
    return value


def _set(key: str, value: Any) -> None:
    parameters = sys.modules["matplotlib"].rcParams
    # Values were checked when they were first set; older versions have no _set.
    getattr(parameters, "_set", lambda k, v: dict.__setitem__(parameters, k, v))(key, value)


_INLINE = "inline"
_MODULES = {_INLINE: "module://matplotlib_inline.backend_inline"}


def _normal(backend: Any) -> str | None:
    """A backend's short name; ``None`` as long as Matplotlib has not chosen one."""
    if not isinstance(backend, str):
        return None
    return _INLINE if backend.lower() == _MODULES[_INLINE] else backend.lower()


def _backend() -> str | None:
    return _normal(dict.get(sys.modules["matplotlib"].rcParams, "backend"))


def _first_backend() -> str | None:
    first = dict.get(sys.modules["matplotlib"].rcParamsOrig, "backend")
    return _normal(os.environ.get("MPLBACKEND") or first)


def _interactive() -> bool:
    return bool(dict.get(sys.modules["matplotlib"].rcParams, "interactive"))


def _usual() -> bool:
    """Whether it is interactive if nobody said anything: the inline backend makes it so."""
    if _MODULES[_INLINE].partition("//")[2] in sys.modules and _backend() == _INLINE:
        return True
    return bool(dict.get(sys.modules["matplotlib"].rcParamsOrig, "interactive"))
