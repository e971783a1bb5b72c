"""Equality of numpy's, pandas' and matplotlib's objects.

The libraries are taken from ``sys.modules`` by the caller and never imported here.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from .parts import Answer, Part, told, unlike
from .pictures import same_picture

_Rule = Callable[[Any, Any], Answer]
_FLAGS = ("writeable", "c_contiguous", "f_contiguous")


def of_numpy(numpy: Any, value: Any) -> _Rule | None:
    """The rule for a value of numpy's."""
    if isinstance(value, numpy.ma.MaskedArray):
        return _masked
    if isinstance(value, numpy.ndarray):
        return _array
    if isinstance(value, numpy.generic) and not isinstance(value, numpy.void):
        return _scalar
    return _dtype if isinstance(value, numpy.dtype) else None


def _dtype(a: Any, b: Any) -> str | None:
    return None if a == b else f"dtype {a} != dtype {b}"


def _scalar(a: Any, b: Any) -> str | None:
    numpy = sys.modules["numpy"]
    return unlike(a, b) if _differing(numpy, numpy.asarray(a), numpy.asarray(b)) else None


def _masked(a: Any, b: Any) -> Iterator[Part]:
    numpy = sys.modules["numpy"]
    yield ".mask", numpy.ma.getmaskarray(a), numpy.ma.getmaskarray(b)
    yield ".data", a.data, b.data
    yield ".fill_value", a.fill_value, b.fill_value


def _array(a: Any, b: Any) -> Answer:
    if form := _form(a, b):
        return form
    own = getattr(a, "__dict__", None)
    besides = iter([(".__dict__", own, b.__dict__)]) if own else iter(())
    if a.dtype.names:
        return chain(((f"[{name!r}]", a[name], b[name]) for name in a.dtype.names), besides)
    numpy = sys.modules["numpy"]
    if a.dtype.hasobject:
        items = ((f"[{_at(at)}]", a[at], b[at]) for at in numpy.ndindex(a.shape))
        return chain(items, besides)
    differs = _differing(numpy, numpy.asarray(a), numpy.asarray(b))
    if not numpy.any(differs):
        return besides
    at = tuple(int(index) for index in numpy.argwhere(differs)[0])
    segment = f"[{_at(at)}]" if at else ""
    if a.dtype.kind in "mM":
        return iter([(segment, str(a[at]), str(b[at]))])
    return iter([(segment, a[at].item(), b[at].item())])


def _form(a: Any, b: Any) -> str | None:
    """Differences in what an array is besides its values."""
    if a.dtype != b.dtype:
        return f"dtype {a.dtype} != dtype {b.dtype}"
    if a.shape != b.shape:
        return f"shape {a.shape} != shape {b.shape}"
    for flag in _FLAGS:
        if getattr(a.flags, flag) != getattr(b.flags, flag):
            return f"{flag} {getattr(a.flags, flag)} != {flag} {getattr(b.flags, flag)}"
    return None


def _differing(numpy: Any, a: Any, b: Any) -> Any:
    """Where two arrays differ; NaN and NaT equal themselves, zeros have a sign."""
    differs = a != b
    if a.dtype.kind in "fc":
        differs &= ~(numpy.isnan(a) & numpy.isnan(b))
    elif a.dtype.kind in "mM":
        differs &= ~(numpy.isnat(a) & numpy.isnat(b))
    if a.dtype.kind == "f":
        differs |= (a == 0) & (numpy.signbit(a) != numpy.signbit(b))
    return differs


def _at(index: tuple[int, ...]) -> str:
    return ", ".join(map(str, index))


def of_pandas(pandas: Any, value: Any) -> _Rule | None:
    """The rule for a value of pandas'."""
    kinds: list[tuple[Any, _Rule]] = [
        (pandas.DataFrame, _frame),
        (pandas.Series, _series),
        (pandas.MultiIndex, _multi_index),
        (pandas.Index, _index),
        (pandas.Categorical, _categorical),
        (pandas.api.extensions.ExtensionArray, _extension),
    ]
    return next((rule for kind, rule in kinds if isinstance(value, kind)), None)


def _frame(a: Any, b: Any) -> Iterator[Part]:
    yield ".shape", a.shape, b.shape
    yield ".columns", a.columns, b.columns
    yield ".index", a.index, b.index
    yield ".attrs", a.attrs, b.attrs
    for at in range(min(a.shape[1], b.shape[1])):
        yield f"[{told(a.columns[at])}]", _column(a, at), _column(b, at)


def _column(frame: Any, at: int) -> Any:
    """A column's array, writeable or not as pandas hands it out today, which says nothing."""
    return _plain(frame.iloc[:, at].array)


def _plain(array: Any) -> Any:
    inner = getattr(array, "_ndarray", None)
    if inner is None or type(array).__name__ != "NumpyExtensionArray":
        return array
    return inner if inner.dtype.hasobject else inner.copy()


def _series(a: Any, b: Any) -> Iterator[Part]:
    yield ".name", a.name, b.name
    yield ".index", a.index, b.index
    yield ".attrs", a.attrs, b.attrs
    yield "", _plain(a.array), _plain(b.array)


def _multi_index(a: Any, b: Any) -> Iterator[Part]:
    yield ".names", list(a.names), list(b.names)
    yield ".levels", list(a.levels), list(b.levels)
    yield ".codes", [c.tolist() for c in a.codes], [c.tolist() for c in b.codes]


def _index(a: Any, b: Any) -> Iterator[Part]:
    yield ".name", a.name, b.name
    yield ".freq", str(getattr(a, "freq", None)), str(getattr(b, "freq", None))
    yield "", _plain(a.array), _plain(b.array)


def _categorical(a: Any, b: Any) -> Iterator[Part]:
    yield ".ordered", a.ordered, b.ordered
    yield ".categories", a.categories, b.categories
    yield ".codes", a.codes.tolist(), b.codes.tolist()


def _extension(a: Any, b: Any) -> Answer:
    if str(a.dtype) != str(b.dtype):
        return f"dtype {a.dtype} != dtype {b.dtype}"
    if len(a) != len(b):
        return f"{len(a)} items != {len(b)} items"
    if (inner := getattr(a, "_ndarray", None)) is not None and not inner.dtype.hasobject:
        return iter([("", inner.copy(), b._ndarray.copy())])
    if a.equals(b):
        return None
    missing = list(a.isna())
    values = ((f"[{at}]", a[at], b[at]) for at in range(len(a)) if not missing[at])
    return chain(iter([(".isna()", missing, list(b.isna()))]), values)


def of_matplotlib(artist: Any, value: Any) -> _Rule | None:
    """The rule for figures and what is drawn on them: the picture they give."""
    return _drawing if isinstance(value, artist.Artist) else None


def _drawing(a: Any, b: Any) -> str | None:
    left, right = _drawn(a), _drawn(b)
    return same_picture(left, right) if left and right else None


def _drawn(value: Any) -> bytes:
    figure = value if hasattr(value, "savefig") else getattr(value, "figure", None)
    if figure is None:
        return b""
    target = io.BytesIO()
    figure.savefig(target, format="png")
    return target.getvalue()
