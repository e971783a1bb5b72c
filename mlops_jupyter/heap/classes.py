"""Classes that a notebook defines, and what is found in them."""

from __future__ import annotations

import abc
import collections
import enum
import functools
import gc
import sys
import types
import typing
from collections.abc import Iterator
from typing import Any

from cloudpickle import cloudpickle

from .bundle import Unstorable

_METACLASSES = {type, abc.ABCMeta, enum.EnumMeta, type(typing.Protocol)}
_HEAP = 1 << 9  # made at run time
_PLACES = ("__firstlineno__", "__static_attributes__", "__slotnames__")


def reduce_class(kind: type) -> tuple[Any, ...]:
    """A class by value.

    Raises
    ------
    Unstorable
        If making a class runs code (a metaclass, ``__init_subclass__``), which would do it again.
    """
    if not kind.__flags__ & _HEAP:
        raise Unstorable(f"the class {kind.__qualname__}, which has no name to find it by")
    if type(kind) not in _METACLASSES:
        raise Unstorable(f"the class {kind.__qualname__} has the metaclass {type(kind).__name__}")
    for base in kind.__mro__[1:]:
        hook = getattr(vars(base).get("__init_subclass__"), "__func__", None)
        if isinstance(hook, types.FunctionType) and not _may_run_again(hook):
            raise Unstorable(f"making the class {kind.__qualname__} runs code")
    if is_named_tuple(kind):
        return _reduce_named_tuple(kind)
    make, args, (state, slots), *others = cloudpickle._dynamic_class_reduce(kind)
    given = list(args)
    given[-2] = None  # cloudpickle's random number of the class
    if make is cloudpickle._make_skeleton_class:
        given[3] = {**given[3], "__qualname__": kind.__qualname__}
    own = {name: value for name, value in state.items() if not _comes_by_itself(name, value)}
    if isinstance(kind, enum.EnumMeta) and make is cloudpickle._make_skeleton_enum:
        members: Any = kind.__members__  # with aliases and combined flags
        given[3] = {name: member.value for name, member in members.items()}
        own = {name: value for name, value in own.items() if name not in members}
    if "__slots__" in own and make is cloudpickle._make_skeleton_class:
        slotted = own.pop("__slots__")
        if not isinstance(slotted, str | tuple | list | dict):
            raise Unstorable(f"the class {kind.__qualname__} has unusual slots")
        given[3] = {**given[3], "__slots__": slotted}
        own = {k: v for k, v in own.items() if not isinstance(v, types.MemberDescriptorType)}
    if "_abc_impl" in own:
        own["_abc_impl"] = sorted(own["_abc_impl"], key=lambda k: (k.__module__, k.__qualname__))
    if issubclass(kind, enum.Enum) and (extra := dict(_attributes_of_members(kind))):
        return make, tuple(given), (own, slots, extra), None, None, fill_enum
    return (make, tuple(given), (own, slots), *others)


_OF_MEMBERS = frozenset({"_value_", "_name_", "__objclass__", "_sort_order_"})


def _attributes_of_members(kind: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, member in kind.__members__.items():
        extra = {key: value for key, value in vars(member).items() if key not in _OF_MEMBERS}
        if extra:
            yield name, extra


def fill_enum(kind: Any, state: tuple[Any, Any, dict[str, dict[str, Any]]]) -> None:
    """Give an enumeration its methods, and its members their attributes."""
    own, slots, extra = state
    cloudpickle._class_setstate(kind, (own, slots))
    for name, attributes in extra.items():
        vars(kind.__members__[name]).update(attributes)


def _may_run_again(hook: types.FunctionType) -> bool:
    """Whether an ``__init_subclass__`` only looks at what the class itself has."""
    return hook.__module__.partition(".")[0] in ("typing", "sklearn")


def _comes_by_itself(name: str, value: Any) -> bool:
    """Whether making the class sets an attribute."""
    if name == "__subclasshook__":  # of a protocol
        return getattr(getattr(value, "__func__", value), "__module__", "") == "typing"
    return name in _PLACES


def is_named_tuple(kind: type) -> bool:
    """Whether a class was made by ``collections.namedtuple`` or ``typing.NamedTuple``."""
    made = getattr(vars(kind).get("__new__"), "__func__", None)
    names = getattr(made, "__globals__", None)
    return (
        kind.__bases__ == (tuple,)
        and isinstance(vars(kind).get("_fields"), tuple)
        and names is not None
        and str(names.get("__name__", "")).startswith("namedtuple_")
    )


def _reduce_named_tuple(kind: Any) -> tuple[Any, ...]:
    plain = vars(collections.namedtuple(kind.__name__, kind._fields))
    own = {
        name: value
        for name, value in vars(kind).items()
        if name not in (*_PLACES, *kind._fields) and (name not in plain or name == "__doc__")
    }
    own["__qualname__"] = kind.__qualname__
    own["_field_defaults"] = dict(kind._field_defaults)
    if "__orig_bases__" in own and own["__orig_bases__"] == (typing.NamedTuple,):
        own["__orig_bases__"] = "NamedTuple"
    args = (kind.__name__, kind._fields, kind.__module__)
    return make_named_tuple, args, (own, kind.__new__.__defaults__), None, None, fill_named_tuple


def make_named_tuple(name: str, fields: tuple[str, ...], module: str) -> Any:
    """A class of named tuples with these fields."""
    return collections.namedtuple(name, fields, module=module)


def fill_named_tuple(kind: Any, state: tuple[dict[str, Any], Any]) -> None:
    """Give a class of named tuples what may refer to it."""
    own, defaults = state
    kind.__new__.__defaults__ = defaults
    for name, value in own.items():
        bases = name == "__orig_bases__" and value == "NamedTuple"
        setattr(kind, name, (typing.NamedTuple,) if bases else value)


def reduce_typevar(variable: Any) -> Any:
    """A type variable: that of a module, or one of the notebook's own.

    Raises
    ------
    Unstorable
        If it has what this does not know of (a default).
    """
    home, name = variable.__module__ or "", variable.__name__
    module = None if home == "__main__" else sys.modules.get(home)
    if module is not None and getattr(module, name, None) is variable:
        return getattr, (module, name)
    if getattr(variable, "__infer_variance__", False) or (
        hasattr(variable, "has_default") and variable.has_default()
    ):
        raise Unstorable("a type variable with a default")
    return make_typevar, (
        variable.__name__,
        variable.__bound__,
        variable.__constraints__,
        variable.__covariant__,
        variable.__contravariant__,
        variable.__module__,
    )


def make_typevar(
    name: str, bound: Any, constraints: Any, covariant: bool, contravariant: bool, module: str
) -> Any:
    """What :func:`reduce_typevar` took apart."""
    made: Any = typing.TypeVar(  # type: ignore[misc]
        name, *constraints, bound=bound, covariant=covariant, contravariant=contravariant
    )
    made.__module__ = module
    return made


def reduce_proxy(proxy: types.MappingProxyType[Any, Any]) -> tuple[Any, ...]:
    """A read-only view of a dictionary, with that dictionary.

    Raises
    ------
    Unstorable
        If it is that of a class.
    """
    if isinstance(proxy.get("__dict__"), types.GetSetDescriptorType):
        raise Unstorable("the attributes of a class")
    (content,) = gc.get_referents(proxy)
    return types.MappingProxyType, (content,)


def reduce_cached_property(cached: functools.cached_property[Any]) -> tuple[Any, ...]:
    """A cached property without the lock that it has in some versions of Python."""
    state = {name: value for name, value in vars(cached).items() if name != "lock"}
    return _make_cached_property, (), state, None, None, _fill


def _make_cached_property() -> Any:
    return functools.cached_property(_nothing)


def _nothing(_: Any) -> None:
    """Stands for the function that comes later."""


def _fill(cached: Any, state: dict[str, Any]) -> None:
    vars(cached).update(state)
