"""Data in the project's own modules: their global names and the attributes of their classes."""

from __future__ import annotations

import importlib
import sys
import types
from collections import deque
from collections.abc import Iterator
from typing import Any

from ..origin import local_modules
from .base import Ambient, Unstorable
from .codec import encode

_CODE = (types.FunctionType, types.BuiltinFunctionType, types.ModuleType, property, staticmethod)
_PLAIN = (str, bytes, int, float, complex, bool, type(None), range, slice)
_LARGE = 100_000  # bytes: what is larger is taken for constant, for it is looked at after each step
_MANY = 5_000


class LocalModules(Ambient):
    """What functions of a module beside the notebook remember in lists, dicts, counters and the
    like.

    Values keep their identity when they are restored. Those that cannot be pickled (locks,
    connections) and large ones are not looked at.
    """

    name = "local-modules"

    def capture(self) -> tuple[Any, ...]:
        """Each module's name, and its values by their names."""
        found = []
        for name, module in sorted(local_modules()):
            values = [(place, value) for place, _, _, value in _values(module)]
            if values:
                found.append((name, tuple(values)))
        return tuple(found)

    def restore(self, value: tuple[Any, ...]) -> None:
        """Bring the modules' values to that state, in place where they can change. Modules that it
        does not have are imported anew when they are next imported.

        Raises
        ------
        Unstorable
            If one of them can neither be changed nor replaced.
        """
        for name in [name for name, _ in self.capture() if name not in dict(value)]:
            del sys.modules[name]
        for name, values in value:
            module = importlib.import_module(name)
            here = {place: (owner, key, now) for place, owner, key, now in _values(module)}
            for place, wanted in values:
                owner, key, now = here.get(place) or _owner(module, place)
                if encode(now) != encode(wanted) and not _change(now, wanted):
                    setattr(owner, key, wanted)
            for place in here.keys() - dict(values).keys():
                owner, key, _ = here[place]
                delattr(owner, key)


def _values(module: types.ModuleType) -> Iterator[tuple[str, Any, str, Any]]:
    """Place, owner, name and value of all data that is looked at."""
    for name, value in list(vars(module).items()):
        if issubclass(type(value), type):  # an instance may say that it is of another class
            if value.__module__ == module.__name__:
                for key, item in list(vars(value).items()):
                    if _is_data(key, item):
                        yield f"{name}.{key}", value, key, item
        elif _is_data(name, value):
            yield name, module, name, value


def _is_data(name: str, value: Any) -> bool:
    try:
        return not name.startswith("__") and _is_small_data(value)
    except Exception:  # noqa: BLE001  # the project's objects are asked, which may do anything
        return False


def _is_small_data(value: Any) -> bool:
    if isinstance(value, (type, *_CODE)) or callable(value):
        return False
    if isinstance(value, _PLAIN):
        return not isinstance(value, str | bytes) or len(value) <= _LARGE
    size = getattr(value, "nbytes", 0)
    if isinstance(size, int) and size > _LARGE:
        return False
    if hasattr(type(value), "__len__") and len(value) > _MANY:
        return False
    return len(encode(value)) <= _LARGE


def _owner(module: types.ModuleType, place: str) -> tuple[Any, str, Any]:
    name, _, key = place.rpartition(".")
    return (getattr(module, name) if name else module), key, None


def _change(now: Any, wanted: Any) -> bool:
    """Make ``now`` equal to ``wanted``; ``False``: it has to be replaced."""
    if type(now) is not type(wanted) or isinstance(now, (*_PLAIN, tuple, frozenset)):
        return False
    if isinstance(now, dict | set):
        now.clear()
        now.update(wanted)
    elif isinstance(now, list):
        now[:] = wanted
    elif isinstance(now, deque):
        now.clear()
        now.extend(wanted)
    elif type(now).__module__ == "numpy" and getattr(now, "shape", None) == wanted.shape:
        now[...] = wanted
    elif hasattr(now, "__dict__"):
        vars(now).clear()
        vars(now).update(vars(wanted))
    else:
        raise Unstorable(f"a {type(now).__name__} of a module was changed")
    return True
