"""Equality of numbers, lists, dicts, sets and their subclasses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any

from .parts import ATOMS, Answer, Part, attributes, told, told_type
from .volatile import memory_addresses


def same_number(a: complex, b: complex) -> bool:
    """Equal with the same sign of zero, or both NaN."""
    if isinstance(a, complex):
        return same_number(a.real, b.real) and same_number(a.imag, b.imag)
    if math.isnan(a):
        return math.isnan(b.real)
    return a == b and math.copysign(1, a) == math.copysign(1, b.real)


def sequences(a: Any, b: Any) -> Answer:
    """Lists and tuples, item by item; of named tuples by name."""
    base: Any = list if isinstance(a, list) else tuple
    if base.__len__(a) != base.__len__(b):
        return f"{base.__len__(a)} items != {base.__len__(b)} items"
    names = getattr(type(a), "_fields", None)
    pairs = zip(base.__iter__(a), base.__iter__(b), strict=True)
    parts = ((f".{names[at]}" if names else f"[{at}]", x, y) for at, (x, y) in enumerate(pairs))
    return parts if type(a) is base else chain(parts, _besides(a, b))


def mappings(a: Any, b: Any) -> Answer:
    """Dicts, with the order of their keys, which is visible."""
    if dict.__len__(a) != dict.__len__(b):
        only = [key for key in dict.keys(a) if not dict.__contains__(b, key)]
        only += [key for key in dict.keys(b) if not dict.__contains__(a, key)]
        keys = f"{dict.__len__(a)} keys != {dict.__len__(b)} keys"
        return f"{keys}, {told(only[0])} is on one side only" if only else keys
    parts = _pairs(dict.items(a), dict.items(b))
    return parts if type(a) is dict else chain(parts, _besides(a, b))


def _pairs(a: Any, b: Any) -> Iterator[Part]:
    for (left, x), (right, y) in zip(a, b, strict=True):
        yield " key", left, right
        yield f"[{told(left)}]", x, y


def _besides(a: Any, b: Any) -> Iterator[Part]:
    """What an object of a subclass of a container has besides its items."""
    yield from attributes(getattr(a, "__dict__", {}), getattr(b, "__dict__", {}))
    if hasattr(a, "default_factory") and hasattr(b, "default_factory"):
        yield ".default_factory", a.default_factory, b.default_factory


def sets(a: Any, b: Any) -> Answer:
    """Sets, without order (that of text differs from process to process)."""
    if len(a) != len(b):
        return f"{len(a)} elements != {len(b)} elements"
    if all(type(item) in ATOMS for item in chain(a, b)):
        mine, yours = ({(type(item), item) for item in items} for items in (a, b))
        only = mine - yours
        return f"{told(next(iter(only))[1])} is on one side only" if only else None
    pairs = zip(sorted(a, key=_place), sorted(b, key=_place), strict=True)
    return ((" element", x, y) for x, y in pairs)


def _place(item: Any) -> tuple[str, str]:
    """Where an element of a set stands among the others, on either side."""
    return told_type(item), memory_addresses(told(item))


def proxies(a: Any, b: Any) -> Answer:
    """Read-only views of dicts."""
    return iter([("", dict(a), dict(b))])
