"""Pickling values so that what they share is known, and unpickling them."""

from __future__ import annotations

import datetime
import decimal
import fractions
import io
import pathlib
import pickle
import re
import sys
import types
import uuid
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudpickle import cloudpickle

from . import arrays, code, refusals
from .bundle import Unstorable

OUT_OF_BAND = 1 << 16
ATOMS = (int, float, complex, bool, type(None), str, bytes)
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
        arrays.Copied,
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
        "numpy.dtype",
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
    raw, copied:
        Ids of memory that it uses as it is, and of memory that it has a copy of (by pandas).
    refs, globals:
        As in :class:`~mlops_jupyter.heap.Bundle`.
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
    refs: set[str] = field(default_factory=set)
    globals: set[str] = field(default_factory=set)
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
    shell:
        IPython's, whose namespace functions belong to.
    lineages:
        Id to lineage of functions and classes that are referred to, not contained.
    """

    def __init__(
        self, file: io.BytesIO, found: Pickled, shell: Any, lineages: Mapping[int, str]
    ) -> None:
        super().__init__(file, protocol=5, buffer_callback=self._buffer)
        self._found = found
        self._namespace = shell.user_ns
        self._lineages = lineages
        self._singletons = refusals.singletons(shell)
        self._np = arrays.numpy()
        self.unshared: set[int] = set()

    def _buffer(self, buffer: pickle.PickleBuffer) -> bool:
        try:
            raw = buffer.raw()
        except BufferError:
            return True
        if raw.nbytes < OUT_OF_BAND:
            return True
        self._found.buffers.append(buffer)
        return False

    def reducer_override(self, thing: Any) -> Any:  # noqa: PLR0911  # one place per kind of thing
        """How a thing is pickled, where not as pickle does it."""
        known = self._singletons.get(id(thing))
        if known is not None and known[0] is thing:
            self.unshared.add(id(thing))
            return known[1], known[2]
        kind = type(thing)
        if issubclass(kind, type) or kind is types.FunctionType:
            return self._code(thing)
        if kind is types.CodeType:
            self._found.globals.update(code.global_names(thing))
            return code.reduce_code(thing, self._found.lines)
        if kind is types.CellType:
            return code.reduce_cell(thing)
        if kind is refusals.CACHED:
            return NotImplemented if not _own(thing) else refusals.cached_function(thing)
        if kind is arrays.Copied:
            return _identity, (self._copy(thing.values),)
        np = self._np
        if np is not None and isinstance(thing, np.ndarray):
            return self._array(thing)
        refusals.refuse(thing)
        if arrays.is_block(thing):
            return self._block(thing)
        if arrays.is_index(thing):
            self.unshared.add(id(thing))
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
        if thing in _BUILT_IN_KINDS:
            return cloudpickle._class_reduce(thing)
        return code.reduce_class(thing)

    def _array(self, array: Any) -> Any:
        owner, outer = arrays.owner_of(array)
        if outer is not None:
            self._found.copied.add(id(outer))
        if type(array) is not self._np.ndarray:
            self._found.copied.add(id(owner))
            self._found.alive.append(owner)
            return NotImplemented
        self._found.raw.add(id(owner))
        if owner is array:
            return NotImplemented
        self._found.alive.append(owner)
        return arrays.reduce_view(array, owner)

    def _block(self, block: Any) -> Any:
        reduced = block.__reduce__()
        values, *others = reduced[1]
        if isinstance(values, self._np.ndarray) or arrays.memory_of(values):
            for array in arrays.memory_of(values):
                owner, outer = arrays.owner_of(array)
                self._found.alive.append(owner)
                self._found.copied.update(id(o) for o in (owner, outer) if o is not None)
            return (reduced[0], (arrays.Copied(values), *others), *reduced[2:])
        return reduced

    def _copy(self, values: Any) -> Any:
        made = values.copy(order="K") if isinstance(values, self._np.ndarray) else values.copy()
        self._found.alive.append(made)
        return made


_BUILT_IN_KINDS = frozenset({type(None), type(NotImplemented), type(Ellipsis)})


def _own(function: Any) -> bool:
    """Whether a cached function can only be had by value."""
    wrapped = getattr(function, "__wrapped__", None)
    return isinstance(wrapped, types.FunctionType) and code.by_value(wrapped)


def _identity(thing: Any) -> Any:
    return thing


def probe(value: Any, shell: Any, lineages: Mapping[int, str]) -> Pickled:
    """Pickle a value, and say what it met; ``why`` is set if that cannot be."""
    found = Pickled()
    file = io.BytesIO()
    pickler = Pickler(file, found, shell, lineages)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pickler.dump(value)
    except Unstorable as error:
        found.why = str(error)
    except RecursionError:
        found.why = "nested too deep"
    except Exception as error:  # noqa: BLE001  # whatever a value's own code raises
        lines = str(error).splitlines() or [""]
        found.why = f"{type(error).__name__}: {lines[0]}"[:200]
    found.stream = file.getvalue()
    memo = pickler.memo.copy()
    inert = pickler.unshared
    for id_, (_, thing) in memo.items():
        kind = type(thing)
        if kind in _ORDERED and len(thing) > 1 and not found.why:
            items = list(thing)
            if list(kind(items)) != items:
                found.why = "a set whose order would be another one"
        if kind in _INERT or id_ in inert or _is_inert(thing, kind):
            continue
        found.shared.add(id_)
    found.alive.append(memo)
    return found


def _is_inert(thing: Any, kind: type) -> bool:
    if isinstance(thing, type) or f"{kind.__module__}.{kind.__qualname__}" in _INERT_NAMES:
        return True
    return kind.__module__ == "numpy" and isinstance(thing, sys.modules["numpy"].generic)


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
