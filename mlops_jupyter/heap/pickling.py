"""Pickling values so that what they share is known, and unpickling them."""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import functools
import io
import pathlib
import pickle
import re
import sys
import types
import typing
import uuid
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudpickle import cloudpickle

from . import arrays, classes, code, frames, refusals
from .bundle import Unstorable
from .names import ATOMS

OUT_OF_BAND = 1 << 16
# Never told apart by identity, or never changed: sharing one means nothing.
_INERT = frozenset(
    {
        *ATOMS,
        tuple,
        frozenset,
        range,
        slice,
        type,
        type(Ellipsis),
        type(NotImplemented),
        types.BuiltinFunctionType,
        types.CodeType,
        types.ModuleType,
        types.MethodType,
        types.FunctionType,
        types.MethodDescriptorType,
        types.WrapperDescriptorType,
        types.GetSetDescriptorType,
        types.MemberDescriptorType,
        types.MappingProxyType,
        pickle.PickleBuffer,
        frames.Apart,
        decimal.Decimal,
        fractions.Fraction,
        datetime.date,
        datetime.datetime,
        datetime.time,
        datetime.timedelta,
        datetime.timezone,
        uuid.UUID,
        pathlib.PurePosixPath,
        pathlib.PureWindowsPath,
        pathlib.PosixPath,
        pathlib.WindowsPath,
        re.Pattern,
    }
)
_INERT_NAMES = frozenset(
    {
        "numpy.ufunc",
        "pandas._libs.tslibs.timestamps.Timestamp",
        "pandas._libs.tslibs.timedeltas.Timedelta",
        "pandas._libs.tslibs.nattype.NaTType",
        "pandas._libs.missing.NAType",
        "zoneinfo.ZoneInfo",
    }
)
_ORDERED = frozenset({set, frozenset})


@dataclass
class Pickled:
    """A value as a stream, and what was met on the way.

    Attributes
    ----------
    stream, lines, buffers:
        The pickle, the places of code in it, and its large buffers.
    shared:
        Ids of objects that others may hold as well.
    raw, copied, alone:
        Ids of memory that it uses as it is, of memory that it has a copy of (pandas), and of memory
        that nobody else may use.
    readonly:
        Of each buffer, whether it is to come back as memory that cannot be written.
    refs, globals:
        As in :class:`~mlops_jupyter.heap.Bundle`.
    met:
        Ids of things with lineages that a walk met.
    why:
        Why it cannot be stored, if it cannot.
    alive:
        What must not go away as long as ids count.
    """

    stream: bytes = b""
    lines: list[Any] = field(default_factory=list)
    buffers: list[pickle.PickleBuffer] = field(default_factory=list)
    shared: set[int] = field(default_factory=set)
    raw: set[int] = field(default_factory=set)
    copied: set[int] = field(default_factory=set)
    alone: dict[int, int] = field(default_factory=dict)
    readonly: list[bool] = field(default_factory=list)
    refs: set[str] = field(default_factory=set)
    globals: set[str] = field(default_factory=set)
    met: set[int] = field(default_factory=set)
    why: str = ""
    alive: list[Any] = field(default_factory=list)


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """cloudpickle's pickler that refuses rather than lies.

    Parameters
    ----------
    file:
        Where the stream goes.
    found:
        Takes what is met.
    setting:
        What the kernel has one of.
    lineages:
        Id to lineage of functions and classes that are referred to, not contained.
    together:
        Whether pandas objects keep sharing memory with arrays.
    """

    def __init__(
        self,
        file: io.BytesIO,
        found: Pickled,
        setting: Setting,
        lineages: Mapping[int, str],
        together: bool,
    ) -> None:
        super().__init__(file, protocol=5, buffer_callback=self._buffer)
        self._found = found
        self._namespace = setting.namespace
        self._lineages = lineages
        self._singletons = setting.singletons
        self._together = together
        self._np = arrays.numpy()
        self._memory: tuple[pickle.PickleBuffer, bool] | None = None
        self.unshared: set[int] = set()
        self.notes: list[Any] = []

    def _buffer(self, buffer: pickle.PickleBuffer) -> bool:
        try:
            raw = buffer.raw()
        except BufferError:
            return True
        if raw.nbytes < OUT_OF_BAND:
            return True
        self._found.buffers.append(buffer)
        memory, readonly = self._memory if self._memory else (None, True)
        self._found.readonly.append(raw.readonly if memory is not buffer else readonly)
        return False

    def reducer_override(self, thing: Any) -> Any:  # noqa: PLR0911  # one per kind
        """How a thing is pickled, where not as pickle does it."""
        known = self._singletons.get(id(thing))
        if known is not None and known[0] is thing:
            self.unshared.add(id(thing))
            return known[1], known[2]
        kind = type(thing)
        if issubclass(kind, type) or kind is types.FunctionType:
            return self._code(thing)
        special = _SPECIAL.get(kind)
        if special is not None:
            return special(thing)
        if kind is types.CodeType:
            self._found.globals.update(code.global_names(thing))
            return code.reduce_code(thing, self._found.lines)
        if kind is refusals.CACHED:
            return refusals.cached_function(thing) if _own(thing) else NotImplemented
        if kind is frames.Apart:
            return self._apart(thing.values)
        np = self._np
        if np is not None:
            if isinstance(thing, np.ndarray):
                return self._array(thing)
            if isinstance(thing, np.void) and thing.base is not None:
                raise Unstorable("a record of an array")
        refusals.refuse(thing)
        if frames.is_block(thing) or frames.is_index(thing):
            return self._pandas(thing)
        if frames.is_series_manager(thing):  # its own state would also say it in an older way
            return kind, (thing.blocks[0], thing.axes[0])
        if frames.is_notes(thing):
            self.notes.append(thing)
            return frames.make_notes, ()
        return NotImplemented

    def _code(self, thing: Any) -> Any:
        kind = type(thing)
        if kind is not types.FunctionType and not code.by_value(thing):
            return cloudpickle._class_reduce(thing)
        if kind is types.FunctionType and not code.by_value(thing):
            return NotImplemented
        lineage = self._lineages.get(id(thing))
        if lineage is not None:
            self._found.refs.add(lineage)
            return resolve, (lineage,)
        self._found.shared.add(id(thing))
        if kind is types.FunctionType:
            return code.reduce_function(thing, self._namespace)
        return classes.reduce_class(thing)

    def _array(self, array: Any) -> Any:
        plain = type(array) is self._np.ndarray
        if not plain:
            refusals.refuse(array)
        owner, outer = arrays.owner_of(array)
        self._found.alive.append(owner)
        if outer is not None:
            self._alone(outer, owner)
        if not plain:
            self._alone(owner, array)
            mask = getattr(array, "_mask", None)
            if isinstance(mask, self._np.ndarray):
                self._alone(arrays.owner_of(mask)[0], array)
            return arrays.reduce_subclass(array)
        self._found.raw.add(id(owner))
        return self._memory_of(array) if owner is array else arrays.reduce_view(array, owner)

    def _alone(self, memory: Any, user: Any) -> None:
        if self._found.alone.setdefault(id(memory), id(user)) != id(user):
            raise Unstorable(f"two arrays in the memory of a {type(memory).__name__}")

    def _memory_of(self, array: Any, apart: bool = False) -> Any:
        reduced, immutable = arrays.reduce_array(array, apart)
        if isinstance(reduced[1][0], pickle.PickleBuffer):
            self._memory = reduced[1][0], immutable
        return reduced

    def _pandas(self, thing: Any) -> Any:
        if frames.is_index(thing):
            self.unshared.add(id(thing))
        reduced = thing.__reduce__()
        if self._together:
            return frames.reduce_shared(thing, reduced)
        reduced, met = frames.reduce_apart(thing, reduced)
        for array in met:
            owner, outer = arrays.owner_of(array)
            self._found.alive.append(owner)
            for memory in (owner, outer):
                if memory is not None and frames.copy_on_write():
                    self._found.copied.add(id(memory))
                elif memory is not None:
                    self._alone(memory, thing)
        return reduced

    def _apart(self, values: Any) -> Any:
        if not isinstance(values, self._np.ndarray):
            made = values.copy()
            self._found.alive.append(made)
            return _identity, (made,)
        flags = values.flags
        straight = flags.c_contiguous or flags.f_contiguous
        if not straight or (values.dtype.hasobject and not flags.writeable):
            values = values.copy(order="K")
            self._found.alive.append(values)
        return self._memory_of(values, apart=True)


def _own(function: Any) -> bool:
    """Whether a cached function can only be had by value."""
    wrapped = getattr(function, "__wrapped__", None)
    return isinstance(wrapped, types.FunctionType) and code.by_value(wrapped)


def _identity(thing: Any) -> Any:
    return thing


_SPECIAL: dict[type, Callable[[Any], Any]] = {
    types.CellType: code.reduce_cell,
    types.MethodType: code.reduce_method,
    typing.TypeVar: classes.reduce_typevar,
    functools.cached_property: classes.reduce_cached_property,
}


@dataclass(frozen=True)
class Setting:
    """What a kernel has one of: the namespace of its functions, and objects known by id."""

    namespace: dict[str, Any]
    singletons: dict[int, tuple[Any, Callable[..., Any], tuple[Any, ...]]]


def probe(
    value: Any, setting: Setting, lineages: Mapping[int, str], together: bool = False
) -> Pickled:
    """Pickle a value, and say what it met; ``why`` is set if that cannot be.

    ``together``: pandas objects keep sharing memory with arrays (see :mod:`.frames`).
    """
    found = Pickled()
    file = io.BytesIO()
    pickler = Pickler(file, found, setting, lineages, together)
    try:
        pickler.dump(value)
    except Unstorable as error:
        found.why = str(error)
    except Exception as error:  # noqa: BLE001  # whatever a value's own code raises
        lines = str(error).splitlines() or [""]
        deep = isinstance(error.__cause__, RecursionError) or isinstance(error, RecursionError)
        found.why = "nested too deep" if deep else f"{type(error).__name__}: {lines[0]}"[:200]
    found.stream = file.getvalue()
    memo = pickler.memo.copy()
    inert = {*pickler.unshared, *setting.singletons}
    for id_, (_, thing) in memo.items():
        kind = type(thing)
        if kind in _ORDERED and not found.why and not _keeps_order(thing, kind):
            found.why = "a set whose order would be another one"
        if kind in _INERT or id_ in inert or _is_inert(kind):
            continue
        found.shared.add(id_)
    for notes in pickler.notes:
        if not found.why and not all(id(thing) in memo for thing in frames.sharers(notes)):
            found.why = "an array in the memory of data frames that are not all here"
    found.alive.append(memo)
    pickler.clear_memo()  # it and its own callback keep each other alive
    pickler.__dict__.clear()
    return found


def _keeps_order(thing: Any, kind: type) -> bool:
    """Whether a set made anew has the same order, also of what is added to it later."""
    if not thing:
        return True
    items = list(thing)
    again = kind(items)
    return list(map(id, again)) == list(map(id, items)) and (
        kind is frozenset or sys.getsizeof(again) >= sys.getsizeof(thing)
    )


def _is_inert(kind: type) -> bool:
    known = _kinds.get(kind)
    if known is None:
        known = _kinds[kind] = _never_changes(kind)
    return known


_kinds: weakref.WeakKeyDictionary[type, bool] = weakref.WeakKeyDictionary()


def _never_changes(kind: type) -> bool:
    if kind.__name__ == "cython_function_or_method":
        return True
    if issubclass(kind, type | enum.Enum) or frames.is_dtype(kind):
        return True
    if f"{kind.__module__}.{kind.__qualname__}" in _INERT_NAMES or kind.__module__ == "pyarrow.lib":
        return True
    np = arrays.numpy()
    return np is not None and issubclass(kind, np.generic | np.dtype) and kind is not np.void


# --- loading --------------------------------------------------------------------------------------


class Resolver:
    """Who knows the object of a lineage; set while values are loaded."""

    current: Callable[[str], Any]


def resolve(lineage: str) -> Any:
    """The function or class of a lineage, in this process."""
    return Resolver.current(lineage)


def load(stream: bytes, lines: list[Any], buffers: list[memoryview]) -> Any:
    """The value of a stream."""
    before = code.Lines.current
    code.Lines.current = lines
    try:
        return pickle.loads(stream, buffers=buffers)
    finally:
        code.Lines.current = before
