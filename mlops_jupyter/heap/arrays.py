"""numpy arrays and what pandas keeps in them: memory that several values may share.

An array that owns its memory goes out of band; a view is a view of its owner again. pandas' blocks
may share memory with each other only where pandas itself keeps track of it (copy on write), which
does not survive pickling: those are copied.
"""

from __future__ import annotations

import sys
from typing import Any

from .bundle import Unstorable
from .mapped import Mapped


def numpy() -> Any:
    """numpy, if the notebook uses it."""
    return sys.modules.get("numpy")


def owner_of(array: Any) -> tuple[Any, Any]:
    """The array that owns an array's memory, and what owns it in turn where that is a bytearray.

    Raises
    ------
    Unstorable
        If something else does, from where it could be changed.
    """
    np = numpy()
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    base = owner.base
    while isinstance(base, memoryview):
        base = base.obj
    if base is None or isinstance(base, bytes | Mapped) or not owner.flags.writeable:
        return owner, None
    if isinstance(base, bytearray):
        return owner, base
    if type(base).__module__.partition(".")[0] in ("pyarrow", "pandas", "scipy"):
        return owner, None
    raise Unstorable(f"an array in the memory of a {type(base).__name__}")


def reduce_view(array: Any, owner: Any) -> tuple[Any, ...]:
    """A view of ``owner``.

    Raises
    ------
    Unstorable
        If it cannot be made again as one.
    """
    if array.dtype.hasobject or not (owner.flags.c_contiguous or owner.flags.f_contiguous):
        raise Unstorable("a view of an array of objects or of scattered memory")
    start = array.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
    return make_view, (
        owner,
        start,
        array.shape,
        array.strides,
        array.dtype,
        bool(array.flags.writeable),
    )


def make_view(
    owner: Any, start: int, shape: Any, strides: Any, dtype: Any, writeable: bool
) -> Any:
    """What :func:`reduce_view` took apart."""
    np = sys.modules["numpy"]
    flat = owner.reshape(-1, order="A").view("u1") if owner.size else owner
    low = start + sum(min(0, (n - 1) * s) for n, s in zip(shape, strides, strict=True))
    if 0 in shape or not owner.size:
        made = np.empty(shape, dtype)
    else:
        made = np.ndarray(shape, dtype, flat[low:], start - low, strides)
    made.flags.writeable = writeable
    return made


class Copied:
    """Values of a pandas object, which get memory of their own."""

    def __init__(self, values: Any) -> None:
        self.values = values


def memory_of(values: Any) -> list[Any]:
    """The arrays in which pandas' values are kept, as far as they are numpy's."""
    np = numpy()
    if isinstance(values, np.ndarray):
        return [values]
    found = (getattr(values, name, None) for name in ("_ndarray", "_data", "_mask"))
    return [array for array in found if isinstance(array, np.ndarray)]


def is_block(thing: Any) -> bool:
    """Whether it is one of pandas' blocks."""
    kind = type(thing)
    return kind.__module__ == "pandas.core.internals.blocks" and hasattr(thing, "mgr_locs")


def is_index(thing: Any) -> bool:
    """Whether it is a pandas index."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(thing, getattr(pandas, "Index", ()))


def copy_on_write() -> bool:
    """Whether pandas objects never see each other's writes."""
    pandas = sys.modules["pandas"]
    if int(pandas.__version__.partition(".")[0]) >= 3:
        return True
    return bool(pandas.get_option("mode.copy_on_write"))
