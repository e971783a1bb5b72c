"""Equality of functions by code, of classes by members, of modules by name."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

from .parts import Answer, Part, attributes, same_class_name, unlike

_OF_EVERY_CLASS = frozenset(
    {
        "__abstractmethods__",
        "__annotate_func__",
        "__annotations_cache__",
        "__dict__",
        "__firstlineno__",
        "__module__",
        "__slotnames__",
        "__static_attributes__",
        "__weakref__",
        "_abc_impl",
        "_cloudpickle_submodules",
    }
)
_CODE = ("co_name", "co_code", "co_names", "co_varnames", "co_freevars", "co_flags", "co_consts")


def functions(a: Any, b: Any) -> Iterator[Part]:
    """Functions: what they do, their defaults, what their closure holds, their attributes."""
    for name in ("__name__", "__code__", "__defaults__", "__kwdefaults__", "__closure__"):
        yield f".{name}", getattr(a, name), getattr(b, name)
    yield from attributes(a.__dict__, b.__dict__)


def codes(a: Any, b: Any) -> Iterator[Part]:
    """Compiled code, wherever in the notebook it stands."""
    for name in _CODE:
        yield f".{name}", getattr(a, name), getattr(b, name)


def cells(a: Any, b: Any) -> Iterator[Part]:
    """The cells of closures."""
    yield ".cell_contents", _content(a), _content(b)


def _content(cell: types.CellType) -> tuple[Any, ...]:
    try:
        return (cell.cell_contents,)
    except ValueError:  # an empty one
        return ()


def classes(a: type, b: type) -> Answer:
    """Classes of libraries by name, those of which each side has its own also by members."""
    if not same_class_name(a, b):
        return f"class {a.__module__}.{a.__qualname__} != class {b.__module__}.{b.__qualname__}"
    return None if a is b else _members(a, b)


def _members(a: type, b: type) -> Iterator[Part]:
    yield " type", type(a), type(b)
    yield ".__bases__", a.__bases__, b.__bases__
    mine, yours = (
        {name: item for name, item in vars(kind).items() if not _made(name, item)}
        for kind in (a, b)
    )
    yield from attributes(mine, yours)


def _made(name: str, item: Any) -> bool:
    """Whether Python itself put it into the class."""
    slots = types.MemberDescriptorType | types.GetSetDescriptorType
    return name in _OF_EVERY_CLASS or isinstance(item, slots)


def modules(a: Any, b: Any) -> str | None:
    """Modules by name."""
    return None if a.__name__ == b.__name__ else unlike(a.__name__, b.__name__)


def builtins(a: Any, b: Any) -> Iterator[Part]:
    """Functions written in C, and methods of objects that are."""
    yield ".__qualname__", a.__qualname__, b.__qualname__
    yield ".__self__", getattr(a, "__self__", None), getattr(b, "__self__", None)


def methods(a: Any, b: Any) -> Iterator[Part]:
    """Bound methods."""
    yield ".__func__", a.__func__, b.__func__
    yield ".__self__", a.__self__, b.__self__


def properties(a: Any, b: Any) -> Iterator[Part]:
    """Properties."""
    for name in ("fget", "fset", "fdel"):
        yield f".{name}", getattr(a, name), getattr(b, name)


def wrappers(a: Any, b: Any) -> Iterator[Part]:
    """Static and class methods."""
    yield ".__func__", a.__func__, b.__func__
