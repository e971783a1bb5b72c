"""Kinds of things of which nobody can tell whether two are one: told apart by value, unchanging."""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import pathlib
import pickle
import re
import types
import uuid
import weakref

from . import arrays, frames
from .names import ATOMS

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


def is_inert(kind: type) -> bool:
    """Whether sharing things of that kind means nothing."""
    if kind in _INERT:
        return True
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
