"""Pickling values so that what they share is known, and unpickling them."""

from __future__ import annotations

import functools
import io
import math
import pickle
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudpickle import cloudpickle

from . import arrays, classes, code, frames, instances, libraries, nans, refusals
from .bundle import Unstorable
from .inert import is_inert
from .mapped import address

OUT_OF_BAND = 1 << 16
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
    places, foreign:
        Address and length of arrays' memory, by id, and of what Arrow uses.
    readonly:
        Of each buffer, whether it is to come back as memory that cannot be written.
    refs, globals:
        As in :class:`~mlops_jupyter.heap.Bundle`.
    met:
        Ids of things with lineages that a walk met.
    kinds:
        Classes of the objects that it contains.
    makes_classes:
        Whether loading it makes classes.
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
    places: dict[int, tuple[int, int]] = field(default_factory=dict)
    foreign: list[tuple[int, int]] = field(default_factory=list)
    readonly: list[bool] = field(default_factory=list)
    refs: set[str] = field(default_factory=set)
    globals: set[str] = field(default_factory=set)
    met: set[int] = field(default_factory=set)
    kinds: set[type] = field(default_factory=set)
    makes_classes: bool = False
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
        self._reducers: dict[type, Callable[[Any], Any] | None] = {}
        self.unshared: set[int] = set()
        self.notes: list[Any] = []

    def _buffer(self, buffer: pickle.PickleBuffer) -> bool:
        try:
            raw = buffer.raw()
        except BufferError:
            return True
        if type(raw.obj).__module__ == "pyarrow.lib" and raw.nbytes:
            place = address(raw)
            if place is not None:
                self._found.foreign.append(place)
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
        return self._instance(thing, kind)

    def _instance(self, thing: Any, kind: type) -> Any:
        if kind not in self._reducers:
            self._reducers[kind] = instances.reducer_of(kind) or libraries.reducer_of(kind)
        reduce = self._reducers[kind]
        return NotImplemented if reduce is None else reduce(thing)

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
        self._found.makes_classes = True
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
        start = owner.__array_interface__["data"][0]
        self._found.places[id(owner)] = start, owner.nbytes
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
        if frames.is_index(thing) and not frames.keeps_indexes_apart():
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


class NanPickler(Pickler):
    """Also says which NaN is which: containers find one only by its identity."""

    def __init__(self, file: io.BytesIO, found: Pickled, *setting: Any) -> None:
        super().__init__(file, found, *setting)
        self._nans = nans.Numbers()

    def persistent_id(self, thing: Any) -> Any:
        """The number of a NaN."""
        if type(thing) is not float or not math.isnan(thing):
            return None
        number, shared = self._nans.of(thing)
        if shared:
            self._found.shared.add(id(thing))
            self._found.alive.append(thing)
        return number


class ComparingPickler(NanPickler):
    """Its streams do not tell whether equal strings are one; they are for comparing only."""

    def __init__(self, file: io.BytesIO, found: Pickled, *setting: Any) -> None:
        super().__init__(file, found, *setting)
        self._strings: dict[str, str] = {}

    def persistent_id(self, thing: Any) -> Any:
        """A string's stand-in, or a NaN's number."""
        if type(thing) is str:
            return self._strings.setdefault(thing, thing)
        return super().persistent_id(thing)


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
    types.MappingProxyType: classes.reduce_proxy,
    functools.cached_property: classes.reduce_cached_property,
}


@dataclass(frozen=True)
class Setting:
    """What a kernel has one of: the namespace of its functions, and objects known by id."""

    namespace: dict[str, Any]
    singletons: dict[int, tuple[Any, Callable[..., Any], tuple[Any, ...]]]


def comparable(
    value: Any, setting: Setting, lineages: Mapping[int, str], together: bool = False
) -> Pickled:
    """Pickle a value so that equal values have equal streams more often than with
    :func:`probe`."""
    return _probe(ComparingPickler, value, setting, lineages, together)


def probe(
    value: Any, setting: Setting, lineages: Mapping[int, str], together: bool = False
) -> Pickled:
    """Pickle a value, and say what it met; ``why`` is set if that cannot be.

    ``together``: pandas objects keep sharing memory with arrays (see :mod:`.frames`).
    """
    found = _probe(Pickler, value, setting, lineages, together)
    if not found.why and nans.may_hold(found.stream):
        return _probe(NanPickler, value, setting, lineages, together)
    return found


def _probe(
    kind: type[Pickler],
    value: Any,
    setting: Setting,
    lineages: Mapping[int, str],
    together: bool,
) -> Pickled:
    found = Pickled()
    file = io.BytesIO()
    pickler = kind(file, found, setting, lineages, together)
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
        found.kinds.add(kind)
        if kind in _ORDERED and not found.why and not _keeps_order(thing, kind):
            found.why = "a set whose order would be another one"
        idle = id_ in inert or is_inert(kind)
        if idle and not (issubclass(kind, nans.KINDS) and nans.is_nan(thing)):
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


# --- loading --------------------------------------------------------------------------------------


class Resolver:
    """Who knows the object of a lineage; set while values are loaded."""

    current: Callable[[str], Any]


def resolve(lineage: str) -> Any:
    """The function or class of a lineage, in this process."""
    return Resolver.current(lineage)


def load(stream: bytes, lines: list[Any], buffers: Iterable[Any]) -> Any:
    """The value of a stream."""
    before = code.Lines.current
    code.Lines.current = lines
    try:
        return nans.Unpickler(io.BytesIO(stream), buffers=buffers).load()
    finally:
        code.Lines.current = before
