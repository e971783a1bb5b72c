"""Fingerprints of the data that reaches a fit: rows, columns, and a digest of the full content.

The digest is BLAKE2b (RFC 7693, 16 bytes) over types, shape and the raw buffers. Equal data in
equal types gives an equal digest in every process; the index of a DataFrame, which no estimator
sees, is left out. Neither numpy nor pandas is imported: data of a library can only be here if that
library is already.
"""

from __future__ import annotations

import hashlib
import sys
from typing import Any

from ..models import Dataset


def fingerprint(data: Any, role: str) -> Dataset:
    """Fingerprint of ``data``, a ``(rows, columns)`` or ``(rows,)`` table, array or sequence.

    Pandas objects, numpy arrays, scipy's sparse matrices and whatever numpy can read as an array.
    Anything else gets its length and an empty digest.

    Parameters
    ----------
    data:
        What was passed to ``fit``.
    role:
        ``"X"`` or ``"y"``.
    """
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, pandas.Series):
        data = data.to_frame(role if data.name is None else data.name)
    if pandas is not None and isinstance(data, pandas.DataFrame):
        return _frame(pandas, data, role)
    if hasattr(data, "tocsr") and hasattr(data, "shape"):
        return _sparse(data, role)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        try:
            array = numpy.asarray(data)
        except (TypeError, ValueError, RuntimeError):
            array = None
        if array is not None and array.ndim:
            width = array.shape[1] if array.ndim > 1 else 1
            columns = [f"x{number}" for number in range(width)] if array.ndim > 1 else [role]
            digest = hashlib.blake2b(f"array{array.shape}".encode(), digest_size=16)
            _array(digest, numpy, array)
            return Dataset(role, int(array.shape[0]), columns, digest.hexdigest())
    return Dataset(role, len(data) if hasattr(data, "__len__") else 0, [], "")


def sample(data: Any, rows: int = 5) -> Any:
    """A copy of the first ``rows`` rows of ``data`` in its own type, or ``None``."""
    if hasattr(data, "iloc"):
        return data.iloc[:rows].copy()
    if hasattr(data, "tocsr"):
        return data.tocsr()[:rows].copy()
    if hasattr(data, "__array__") and hasattr(data, "copy"):
        return data[:rows].copy()
    if isinstance(data, list):
        return data[:rows]
    return None


def _frame(pandas: Any, frame: Any, role: str) -> Dataset:
    import numpy

    names = [str(name) for name in frame.columns]
    digest = hashlib.blake2b(f"frame{frame.shape}".encode(), digest_size=16)
    for position, name in enumerate(names):
        column = frame.iloc[:, position]
        digest.update(f"\0{name}\0{column.dtype}\0".encode("utf-8", "surrogatepass"))
        values = column.to_numpy() if isinstance(column.dtype, numpy.dtype) else None
        if values is not None and values.dtype.kind in "biufcmM":
            _array(digest, numpy, values)
        else:
            _objects(digest, pandas, column)
    return Dataset(role, len(frame), names, digest.hexdigest())


def _objects(digest: Any, pandas: Any, column: Any) -> None:
    """Text, categories, extension types: pandas' own hash of each value (64 bits)."""
    try:
        hashes = pandas.util.hash_pandas_object(column, index=False)
    except TypeError:  # values that cannot be hashed, such as lists
        hashes = pandas.util.hash_pandas_object(column.map(repr), index=False)
    digest.update(memoryview(hashes.to_numpy()).cast("B"))


def _array(digest: Any, numpy: Any, array: Any) -> None:
    digest.update(array.dtype.str.encode() + b"\0")
    if array.dtype.hasobject:
        for value in array.ravel():
            digest.update(f"{type(value).__name__}:{value!r}\0".encode("utf-8", "surrogatepass"))
    elif array.size:
        digest.update(numpy.ascontiguousarray(array).reshape(-1).view(numpy.uint8).data)


def _sparse(data: Any, role: str) -> Dataset:
    import numpy

    rows = data.tocsr()
    digest = hashlib.blake2b(f"sparse{rows.shape}".encode(), digest_size=16)
    for part in (rows.data, rows.indices, rows.indptr):
        _array(digest, numpy, part)
    columns = [f"x{number}" for number in range(rows.shape[1])]
    return Dataset(role, int(rows.shape[0]), columns, digest.hexdigest())
