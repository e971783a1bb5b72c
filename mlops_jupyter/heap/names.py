"""The names of a namespace that are the notebook's, and what they were bound to.

Nothing here keeps a value alive: a file that the notebook drops is closed when it drops it.
"""

from __future__ import annotations

import contextlib
import re
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

ATOMS = (int, float, complex, bool, type(None), str, bytes)
_HISTORY = re.compile(r"_i{1,3}|_i\d+")
_RESULT = re.compile(r"_\d+")
_PYTHON = frozenset(
    {"__annotations__", "__conditional_annotations__", "__builtins__", "__warningregistry__"}
)
_MISSING = object()


class Names:
    """Which names of a shell's namespace are the notebook's.

    Parameters
    ----------
    shell:
        IPython's. What its namespace holds now is not the notebook's, unless rebound.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._space: dict[str, Any] = shell.user_ns
        self._initial = dict(self._space)

    def visible(self) -> dict[str, Any]:
        """The notebook's names and their values."""
        initial = self._initial
        return {
            name: value
            for name, value in list(self._space.items())
            if initial.get(name, _MISSING) is not value
            and not (name[:1] == "_" and self._is_ours(name, value))
        }

    def _is_ours(self, name: str, value: Any) -> bool:
        """Whether IPython or Python itself bound a name that starts with an underscore."""
        if name in ("_", "__", "___"):
            results = getattr(self._shell, "displayhook", None)
            return results is not None and getattr(results, name, _MISSING) is value
        if _RESULT.fullmatch(name):
            return self._space.get("_oh", {}).get(int(name[1:]), _MISSING) is value
        return name in _PYTHON or _HISTORY.fullmatch(name) is not None

    def unbind(self, name: str) -> None:
        """Give a name what it was bound to before the notebook, or nothing."""
        if name in self._initial:
            self._space[name] = self._initial[name]
        else:
            self._space.pop(name, None)


class Binding:
    """What a name is bound to, without keeping it alive."""

    __slots__ = ("_id", "_value")

    def __init__(self, value: Any) -> None:
        self._id = id(value)
        self._value: Any = value if isinstance(value, ATOMS) else None
        if (
            type(value).__module__ != "numpy"
        ):  # an array to which there are references is not resized
            with contextlib.suppress(TypeError):  # a list, a dictionary ...: its id has to do
                self._value = weakref.ref(value)

    def holds(self, value: Any) -> bool:
        """Whether it is that value, as far as can be told."""
        kept = self._value
        return kept() is value if isinstance(kept, weakref.ref) else id(value) == self._id
