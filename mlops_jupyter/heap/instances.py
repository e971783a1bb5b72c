"""Instances of classes that a notebook defines.

What a class does when it is pickled (``__getstate__``, ``__reduce__``), made (``__new__``) or asked
for attributes (``__getattr__``, ``__setattr__``) is meant for other purposes: it may leave out what
the notebook still sees, or run code for a second time. Instances of such classes are taken apart
and put together without asking them.
"""

from __future__ import annotations

import abc
import copyreg
import enum
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

from . import classes, code
from .bundle import Unstorable

_PICKLING = frozenset(
    {
        "__reduce__",
        "__reduce_ex__",
        "__getstate__",
        "__setstate__",
        "__getnewargs__",
        "__getnewargs_ex__",
    }
)
_FILLING = frozenset({"__setitem__", "append", "extend"})
_ASKED = _FILLING | {"__new__", "__getattr__", "__getattribute__", "__setattr__"}
_PLAIN = (object, abc.ABC, typing.Generic, typing.Protocol)
_FROZEN = (int, float, complex, str, bytes, tuple, frozenset)
_FILLED = (list, dict, set)


def reducer_of(kind: type) -> Callable[[Any], Any] | None:
    """How instances of a class are pickled, if not as they say themselves.

    Raises
    ------
    Unstorable
        If they are pickled in a way that may lose something.
    """
    ours = kind.__module__ == "__main__" and code.by_value(kind)
    if not ours or issubclass(kind, type | enum.Enum):
        return None
    own = [base for base in kind.__mro__ if code.by_value(base)]
    said = [base for base in own if not classes.is_named_tuple(base)]
    names = {name for base in said for name in vars(base)} - _made_by_dataclass(own)
    asked = names & (_PICKLING | _ASKED) or any(map(_handles_attributes, own))
    if not asked:
        return None
    rest = [base for base in kind.__mro__ if base not in own and base not in _PLAIN]
    if not rest:
        return _reduce_plain
    if len(rest) == 1 and rest[0] in (*_FROZEN, *_FILLED):
        return _reduce_frozen if rest[0] in _FROZEN else _reduce_filled
    if names & _PICKLING or (names & _FILLING and issubclass(kind, dict | list)):
        raise Unstorable(f"a {kind.__name__}, which is pickled in a way of its own")
    return None


def _made_by_dataclass(kinds: list[type]) -> set[str]:
    """Methods that a data class with slots gets to be pickled at all."""
    names = ("__getstate__", "__setstate__")
    made = {name for kind in kinds for name in names if name in vars(kind)}
    for kind in kinds:
        for name in made & vars(kind).keys():
            if getattr(vars(kind)[name], "__module__", "") != "dataclasses":
                return set()
    return made


def _handles_attributes(kind: type) -> bool:
    """Whether methods speak of ``__dict__``, which they may then replace."""
    for value in vars(kind).values():
        function = getattr(value, "__func__", value)
        if isinstance(function, types.FunctionType) and "__dict__" in function.__code__.co_names:
            return True
    return False


def _state_of(thing: Any) -> tuple[Any, dict[str, Any]]:
    """Its dictionary itself, and its slots."""
    try:
        attributes = object.__getattribute__(thing, "__dict__")
    except AttributeError:
        attributes = None
    return attributes, dict(_slots_of(thing))


def _slots_of(thing: Any) -> Iterator[tuple[str, Any]]:
    names: Any = copyreg._slotnames(type(thing))  # type: ignore[attr-defined]
    for name in names:
        try:
            yield name, object.__getattribute__(thing, name)
        except AttributeError:
            continue


def _reduce_plain(thing: Any) -> tuple[Any, ...]:
    return make_plain, (type(thing),), _state_of(thing), None, None, fill


def _reduce_frozen(thing: Any) -> tuple[Any, ...]:
    base: Any = next(base for base in type(thing).__mro__ if base in _FROZEN)
    if base is frozenset:
        args: tuple[Any, ...] = (tuple(frozenset.__iter__(thing)),)
    else:
        args = base.__getnewargs__(thing)
    return make_frozen, (base, type(thing), *args), _state_of(thing), None, None, fill


def _reduce_filled(thing: Any) -> tuple[Any, ...]:
    base: Any = next(base for base in type(thing).__mro__ if base in _FILLED)
    content = base.copy(thing) if base is not dict else dict(dict.items(thing))
    if base is set:
        raise Unstorable(f"a {type(thing).__name__}, a set with methods of its own")
    return make_frozen, (base, type(thing)), (*_state_of(thing), content), None, None, fill


def make_plain(kind: type) -> Any:
    """An instance without anything."""
    return object.__new__(kind)


def make_frozen(base: Any, kind: type, *args: Any) -> Any:
    """An instance of a subclass of a builtin one."""
    return base.__new__(kind, *args)


def fill(thing: Any, state: tuple[Any, ...]) -> None:
    """Give an instance its attributes, its slots and its content."""
    attributes, slots, *content = state
    if attributes is not None:
        object.__setattr__(thing, "__dict__", attributes)
    for name, value in slots.items():
        object.__setattr__(thing, name, value)
    for items in content:
        if isinstance(items, dict):
            dict.update(thing, items)
        else:
            list.extend(thing, items)
