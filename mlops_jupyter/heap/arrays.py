"""numpy arrays: memory that several values may share.

An array that owns its memory is stored as that memory, in the layout it has; a view is a view of
its owner again.
"""

from __future__ import annotations

import sys
from pickle import PickleBuffer
from typing import Any

from .bundle import Unstorable
from .mapped import Frozen, Mapped


def numpy() -> Any:
    """numpy, if the notebook uses it."""
    return sys.modules.get("numpy")


# What stands between an array and its owner: numpy.lib.stride_tricks' and Cython's.
_BETWEEN = ("DummyArray", "_memoryviewslice", "memoryview")


def owner_of(array: Any) -> tuple[Any, Any]:
    """The array that owns an array's memory, and the bytearray that owns it in turn, if one does.

    Raises
    ------
    Unstorable
        If something else does, from where it could be changed.
    """
    np = numpy()
    owner, base = array, array.base
    while True:
        if isinstance(base, np.ndarray):
            owner, base = base, base.base
        elif isinstance(base, memoryview):
            base = base.obj
        elif type(base).__name__ in _BETWEEN and hasattr(base, "base"):
            base = base.base
        else:
            break
    if base is None or isinstance(base, bytes | Mapped):
        return owner, None
    if isinstance(base, bytearray):
        return owner, base
    if type(base).__module__.partition(".")[0] == "pyarrow" and not owner.flags.writeable:
        return owner, None
    if type(base).__name__ == "PyCapsule" and "dltensor" not in repr(base):
        return owner, None  # which only frees it
    raise Unstorable(f"an array in the memory of a {type(base).__name__}")


def reduce_array(array: Any, apart: bool = False) -> tuple[tuple[Any, ...], bool]:
    """An array with memory of its own (``apart``: that gets some), and whether that can never be
    written.

    Raises
    ------
    Unstorable
        If its layout cannot be had again.
    """
    frozen = not array.flags.writeable
    if array.dtype.hasobject:
        if frozen or not (array.flags.c_contiguous or array.flags.f_contiguous):
            raise Unstorable("an array of objects with a layout of its own")
        return array.__reduce__(), False
    if not array.nbytes:
        return (make_array, (b"", array.dtype, array.shape, None, not frozen)), False
    immutable = not apart and frozen and not _can_be_written(array.base)
    memory = PickleBuffer(_bytes_of(array))
    args = (memory, array.dtype, array.shape, array.strides, not frozen, immutable)
    return (make_array, args), immutable


def _can_be_written(base: Any) -> bool:
    return base is None or (isinstance(base, Mapped) and not isinstance(base, Frozen))


def _bytes_of(array: Any) -> Any:
    """The memory of an array, in the order in which it lies there."""
    axes = sorted(range(array.ndim), key=lambda axis: (-array.strides[axis], axis))
    straight = array.transpose(axes)
    if not straight.flags.c_contiguous:
        raise Unstorable("an array in scattered memory")
    return straight.reshape(-1).view("u1")


def make_array(
    memory: Any, dtype: Any, shape: Any, strides: Any, writeable: bool, immutable: bool = False
) -> Any:
    """What :func:`reduce_array` took apart."""
    np = sys.modules["numpy"]
    if strides is None:
        made = np.empty(shape, dtype)
    elif isinstance(memory, bytes | bytearray):
        made = np.ndarray(shape, dtype, bytes(memory) if immutable else memory, 0, strides)
        if not immutable:
            made = made.copy(order="K")
    else:
        made = np.ndarray(shape, dtype, memory, 0, strides)
    if not immutable:
        made.flags.writeable = writeable
    return made


def reduce_view(array: Any, owner: Any) -> tuple[Any, ...]:
    """A view of ``owner``.

    Raises
    ------
    Unstorable
        If it cannot be made again as one.
    """
    if array.dtype.char == "T":
        raise Unstorable("a view of an array of strings")
    start = array.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
    if array.dtype.hasobject or owner.dtype.hasobject:
        contiguous = owner.flags.c_contiguous or owner.flags.f_contiguous
        steps = (start, *array.strides)
        if array.dtype != owner.dtype or not contiguous or any(n % owner.itemsize for n in steps):
            raise Unstorable("a view of an array of objects")
    return make_view, (
        owner,
        start,
        array.shape,
        array.strides,
        array.dtype,
        bool(array.flags.writeable),
    )


def make_view(owner: Any, start: int, shape: Any, strides: Any, dtype: Any, writeable: bool) -> Any:
    """What :func:`reduce_view` took apart."""
    np = sys.modules["numpy"]
    held = bool(owner.flags.writeable)
    if writeable and not held:
        owner.flags.writeable = True
    try:
        if 0 in shape or not owner.nbytes:
            flat = owner.reshape(-1)[:0] if dtype.hasobject else _bytes_of(owner)[:0].view(dtype)
            made = flat.reshape(shape)
        elif dtype.hasobject:
            flat = owner.reshape(-1, order="A")[start // owner.itemsize :]
            made = np.lib.stride_tricks.as_strided(flat, shape, strides)
        else:
            low = start + sum(min(0, (n - 1) * s) for n, s in zip(shape, strides, strict=True))
            made = np.ndarray(shape, dtype, _bytes_of(owner)[low:], start - low, strides)
        if made.flags.writeable != writeable:
            made.flags.writeable = writeable
    finally:
        if writeable and not held:
            owner.flags.writeable = False
    return made


def reduce_subclass(array: Any) -> tuple[Any, ...]:
    """An array of another kind (matrix, masked, records), as it pickles itself.

    Raises
    ------
    Unstorable
        If it would come back with another layout.
    """
    if not array.flags.writeable or not (array.flags.c_contiguous or array.flags.f_contiguous):
        raise Unstorable(f"a {type(array).__name__} with a layout of its own")
    make, args, state = array.__reduce__()
    extra = getattr(array, "__dict__", None)
    bare = False
    masked = sys.modules.get("numpy.ma")
    if masked is not None and isinstance(array, masked.MaskedArray):
        extra = {name: value for name, value in vars(array).items() if name not in _MASKED}
        bare = array._mask is masked.nomask
    elif type(array).__reduce__ is not numpy().ndarray.__reduce__:
        extra = None
    if not extra:
        return make, args, state
    return make, args, (state, extra, bare), None, None, fill_subclass


_MASKED = frozenset({"_mask", "_fill_value", "_basedict", "_baseclass"})


def fill_subclass(array: Any, state: tuple[Any, dict[str, Any], bool]) -> None:
    """Give an array of another kind its content and its attributes."""
    content, extra, bare = state
    array.__setstate__(content)
    vars(array).update(extra)
    if bare:
        array._mask = sys.modules["numpy.ma"].nomask
