"""Structural equality of two Python values, as a reader of the notebook would mean it.

Types have to be equal, so have dtypes, orders of keys, the sign of zero and what is shared: where
one list is held twice on one side and two equal lists on the other, that is a difference. NaN
equals NaN, functions are compared by code, classes by members, objects by what pickling would take
of them. What no pickle can hold (generators, connections, threads, locks) is compared by type only.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from . import arrays, code, containers, objects
from .parts import ATOMS, Answer, Live, Part, is_enum, same_class_name, told_type, unlike

_Rule = Callable[[Any, Any], Answer]
_RULES: tuple[tuple[Any, _Rule], ...] = (
    (Live, objects.stand_in),
    (type, code.classes),
    (BaseException, objects.exceptions),
    (dict, containers.mappings),
    ((list, tuple), containers.sequences),
    ((set, frozenset), containers.sets),
    (types.FunctionType, code.functions),
    (types.CodeType, code.codes),
    (types.CellType, code.cells),
    (types.ModuleType, code.modules),
    ((types.BuiltinFunctionType, types.MethodWrapperType), code.builtins),
    (types.MethodType, code.methods),
    (property, code.properties),
    ((staticmethod, classmethod), code.wrappers),
    (types.MappingProxyType, containers.proxies),
)
_LIBRARIES: tuple[tuple[str, Callable[[Any, Any], _Rule | None]], ...] = (
    ("numpy", arrays.of_numpy),
    ("pandas", arrays.of_pandas),
    ("matplotlib.artist", arrays.of_matplotlib),
)


def equal_values(a: Any, b: Any, name: str = "value") -> str | None:
    """The first difference of two values, or ``None`` if they are equal.

    Parameters
    ----------
    a, b:
        Any two values; cycles and long chains of references are fine.
    name:
        What the values are called in the answer.

    Returns
    -------
    str or None
        A path into the values and what is there, such as ``model.coef_[0]: 1.0 != 2.0``.

    >>> equal_values({"x": [1, float("nan")]}, {"x": [1, 2.0]}, "found")
    "found['x'][1]: nan != 2.0"
    """
    return _Comparison().first(a, b, name)


def equal_namespaces(a: dict[str, Any], b: dict[str, Any]) -> dict[str, str]:
    """The first difference of each variable that differs, by name.

    What variables share with each other counts, so both namespaces are compared as wholes.
    """
    found = {name: f"{name} is missing" for name in a if name not in b}
    found |= {name: f"{name} is extra" for name in b if name not in a}
    comparison = _Comparison()
    for name, value in a.items():
        if name in b and (first := comparison.first(value, b[name], name)):
            found[name] = first
    return dict(sorted(found.items()))


@dataclass
class _Comparison:
    """One walk over two graphs of objects, depth first, without recursion."""

    seen: set[tuple[int, int]] = field(default_factory=set)
    partner: dict[int, tuple[int, str]] = field(default_factory=dict)
    origin: dict[int, tuple[int, str]] = field(default_factory=dict)
    alive: list[Any] = field(default_factory=list)
    stack: list[tuple[str, Iterator[Part]]] = field(default_factory=list)

    def first(self, a: Any, b: Any, name: str) -> str | None:
        """The first difference."""
        self.stack = [("", iter([(name, a, b)]))]
        while self.stack:
            part = next(self.stack[-1][1], None)
            if part is None:
                self.stack.pop()
                continue
            segment, x, y = part
            answer = self._pair(x, y, segment)
            if isinstance(answer, str):
                return f"{self._path(segment)}: {answer}"
            if answer is not None:
                self.stack.append((segment, answer))
        return None

    def _path(self, end: str) -> str:
        segments = [segment for segment, _ in self.stack[1:]] + [end]
        if len(segments) > 12:
            segments = [*segments[:6], "…", *segments[-5:]]
        return "".join(segments)

    def _pair(self, a: Any, b: Any, segment: str) -> Answer:
        """How two values differ, or their parts, or ``None`` if there is nothing more to see."""
        kind = type(a)
        if kind is not type(b) and not same_class_name(kind, type(b)):
            return f"{told_type(a)} != {told_type(b)}"
        if kind in ATOMS:
            return None if a == b else unlike(a, b)
        if kind in (float, complex):
            return None if containers.same_number(a, b) else unlike(a, b)
        if shared := self._sharing(a, b, segment):
            return shared
        if (id(a), id(b)) in self.seen:
            return None
        self.seen.add((id(a), id(b)))
        self.alive += [a, b]  # temporary ones too: their ids must not come again
        return _rule(a)(a, b)

    def _sharing(self, a: Any, b: Any, segment: str) -> str | None:
        """Whether one side has the same object here as elsewhere, and the other has not."""
        if not all([_mutable(a), _mutable(b)]):  # both are asked: that alone can make a __dict__
            return None
        there, here = self.partner.get(id(a)), self.origin.get(id(b))
        if there is None and here is None:
            path = self._path(segment)
            self.partner[id(a)], self.origin[id(b)] = (id(b), path), (id(a), path)
            return None
        if there is not None and there[0] != id(b):
            return f"the same object as {there[1]} != another object"
        if here is not None and here[0] != id(a):
            return f"another object != the same object as {here[1]}"
        return None


def _rule(value: Any) -> _Rule:
    for kinds, rule in _RULES:
        if isinstance(value, kinds):
            return rule
    for module, of_library in _LIBRARIES:
        if module in sys.modules and (found := of_library(sys.modules[module], value)):
            return found
    return objects.objects


def _mutable(value: Any) -> bool:
    """Whether it can be told from an equal one by changing it, so that sharing it matters."""
    if isinstance(value, list | dict | set | bytearray):
        return True
    kind = type(value)
    if isinstance(value, type | types.ModuleType | types.FunctionType | BaseException):
        return False
    if kind.__module__.startswith(("numpy", "pandas.")):
        return kind.__name__ in ("ndarray", "memmap", "MaskedArray", "DataFrame", "Series")
    frozen = getattr(getattr(kind, "__dataclass_params__", None), "frozen", False)
    return not frozen and bool(getattr(value, "__dict__", None)) and not is_enum(value)
