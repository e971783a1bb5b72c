"""Functions and classes that a notebook defines: by value, deterministically.

cloudpickle's own reducers copy the globals that a function reads, do not keep cells shared, and
number classes at random; these do not. Line numbers and file names are kept beside the stream, so
that a comment added above a function does not make another function of it.
"""

from __future__ import annotations

import importlib
import os
import sys
import types
from collections.abc import Iterator
from typing import Any

from blake3 import blake3
from cloudpickle import cloudpickle

from .bundle import EVERYTHING, Unstorable

_REFLECTIVE = frozenset(
    {"exec", "eval", "globals", "vars", "dir", "locals", "_getframe", "currentframe", "get_ipython"}
)
_NAMELESS = frozenset({type(None), type(NotImplemented), type(Ellipsis)})
_OPTIMIZED = 0x1
_PLACE = "<cell>"


def by_value(thing: Any) -> bool:
    """Whether a function or class can only be had by its value."""
    if isinstance(thing, type) and (thing in _NAMELESS or thing in cloudpickle._BUILTIN_TYPE_NAMES):
        return False
    return not cloudpickle._should_pickle_by_reference(thing)


def global_names(code: types.CodeType) -> Iterator[str]:
    """Global names that code may read, also from functions and classes inside it; ``*`` if it may
    read any."""
    names = set(cloudpickle._extract_code_globals(code))
    if not code.co_flags & _OPTIMIZED:
        names.update(code.co_names)
    if _REFLECTIVE & set(code.co_names):
        yield EVERYTHING
    yield from names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from global_names(constant)


def fingerprint(thing: Any) -> str:
    """A few letters that tell pieces of code from each other, the same in all processes."""
    digest = blake3()
    _feed(digest, thing)
    return digest.hexdigest()[:8]


def _feed(digest: Any, thing: Any) -> None:
    if isinstance(thing, types.CodeType):
        digest.update(thing.co_code)
        digest.update(repr((thing.co_names, thing.co_varnames)).encode())
        for constant in thing.co_consts:
            _feed(digest, constant)
    elif isinstance(thing, types.FunctionType):
        _feed(digest, thing.__code__)
    elif isinstance(thing, type):
        for name, value in sorted(vars(thing).items()):
            digest.update(name.encode())
            _feed(digest, getattr(value, "__func__", value))
    elif isinstance(thing, int | str | bytes | float | None):
        digest.update(repr(thing).encode())


# --- code objects ---------------------------------------------------------------------------------


def portable(filename: str) -> str:
    """A cell's file name without the process it was compiled in."""
    folder, _, name = filename.rpartition(os.sep)
    return f"{_PLACE}{name}" if folder and folder == _cells() else filename


def local(filename: str) -> str:
    """A cell's file name in this process."""
    if filename.startswith(_PLACE):
        return f"{_cells()}{os.sep}{filename[len(_PLACE) :]}"
    return filename


def _cells() -> str:
    from ipykernel.compiler import get_tmp_directory

    return str(get_tmp_directory())  # type: ignore[no-untyped-call]


def reduce_code(code: types.CodeType, lines: list[Any]) -> tuple[Any, ...]:
    """A code object's reduction; where its lines stand goes into ``lines``."""
    table = getattr(code, "co_linetable", b"")
    lines.append((portable(code.co_filename), code.co_firstlineno, table))
    bare = code.replace(co_filename="", co_firstlineno=1, **_table(b""))
    return make_code, (len(lines) - 1, *cloudpickle._code_reduce(bare)[1])


def _table(table: bytes) -> dict[str, Any]:
    return {"co_linetable": table}


class Lines:
    """The lines of the bundle that is being loaded."""

    current: list[Any] = []  # noqa: RUF012  # one load at a time


def make_code(place: int, *args: Any) -> types.CodeType:
    """What :func:`reduce_code` took apart."""
    filename, first, table = Lines.current[place]
    code = types.CodeType(*args)
    return code.replace(co_filename=local(filename), co_firstlineno=first, **_table(table))


# --- cells and functions --------------------------------------------------------------------------


def reduce_cell(cell: Any) -> tuple[Any, ...]:
    """A closure's cell; functions that share it share it again."""
    try:
        content = cell.cell_contents
    except ValueError:
        return types.CellType, ()
    return types.CellType, (), (content,), None, None, fill_cell


def fill_cell(cell: Any, state: tuple[Any]) -> None:
    """Give a cell its content."""
    (cell.cell_contents,) = state


def reduce_function(function: types.FunctionType, namespace: dict[str, Any]) -> tuple[Any, ...]:
    """A function without its globals: it gets those of the kernel again, or of its module.

    Raises
    ------
    Unstorable
        If its globals are neither.
    """
    module = home_of(function, namespace)
    if module is None:
        raise Unstorable(f"the function {function.__qualname__} has globals of its own")
    state = {
        "__qualname__": function.__qualname__,
        "__defaults__": function.__defaults__,
        "__kwdefaults__": function.__kwdefaults__,
        "__annotations__": dict(function.__annotations__),
        "__doc__": function.__doc__,
        "__module__": function.__module__,
    }
    args = (function.__code__, function.__name__, function.__closure__, module)
    return make_function, args, (state, dict(vars(function))), None, None, fill_function


def home_of(function: types.FunctionType, namespace: dict[str, Any]) -> str | None:
    """Whose globals a function has: ``""`` for the kernel's, a module's name, or ``None``."""
    if function.__globals__ is namespace:
        return ""
    name = function.__globals__.get("__name__")
    module = sys.modules.get(name) if isinstance(name, str) and name != "__main__" else None
    return name if module is not None and vars(module) is function.__globals__ else None


def reduce_method(method: types.MethodType) -> tuple[Any, ...]:
    """A bound method: by its name where its owner has it under that name."""
    owner, name = method.__self__, getattr(method.__func__, "__name__", None)
    if isinstance(name, str) and name not in getattr(owner, "__dict__", {}):
        kinds = owner.__mro__ if isinstance(owner, type) else type(owner).__mro__
        found = next((vars(kind)[name] for kind in kinds if name in vars(kind)), None)
        if getattr(found, "__func__", found) is method.__func__:
            return getattr, (owner, name)
    return types.MethodType, (method.__func__, owner)


class Namespace:
    """The namespace that functions are loaded into."""

    current: dict[str, Any] = {}  # noqa: RUF012  # set by the heap of this process


def make_function(code: types.CodeType, name: str, closure: Any, module: str) -> types.FunctionType:
    """A function with the kernel's globals, or with a module's."""
    names = vars(importlib.import_module(module)) if module else Namespace.current
    return types.FunctionType(code, names, name, None, closure)


def fill_function(function: types.FunctionType, state: tuple[dict[str, Any], Any]) -> None:
    """Give a function what may refer to itself."""
    slots, own = state
    for name, value in slots.items():
        setattr(function, name, value)
    vars(function).update(own)
