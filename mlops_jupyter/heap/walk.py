"""What a value reaches that cannot be pickled: a walk over the objects it refers to."""

from __future__ import annotations

import gc
import types
import weakref
from collections.abc import Iterator
from typing import Any

from . import arrays, code
from .bundle import EVERYTHING, Unstorable
from .inert import is_inert
from .pickling import Pickled

_MOST = 200_000


def walk(value: Any, shell: Any, stop: frozenset[int]) -> Pickled:
    """Objects, memory and global names that a value reaches; ``globals`` says ``*`` where the walk
    ended early. Ids in ``stop`` are not looked into."""
    found = Pickled(why="live")
    seen: set[int] = set()
    pending = [value]
    np = arrays.numpy()
    skipped = stop | {id(shell), id(shell.user_ns), id(shell.user_module), id(gc.garbage)}
    while pending:
        thing = pending.pop()
        if id(thing) in skipped:
            found.met.add(id(thing))
        if id(thing) in seen or id(thing) in skipped:
            continue
        seen.add(id(thing))
        kind = type(thing)
        if kind is types.ModuleType or (
            isinstance(thing, type | types.FunctionType) and not code.by_value(thing)
        ):
            continue
        found.globals.update(_names(thing))
        if not is_inert(kind):
            found.shared.add(id(thing))
        if np is not None and isinstance(thing, np.ndarray):
            found.raw.update(_memory(thing))
        if len(seen) > _MOST:
            found.globals.add(EVERYTHING)
            break
        pending += _referents(thing, kind)
    found.alive.append(value)
    return found


def _referents(thing: Any, kind: type) -> list[Any]:
    if kind is types.FunctionType:
        inside = [thing.__closure__, thing.__defaults__, thing.__kwdefaults__, vars(thing)]
        return [item for item in inside if item]
    if kind is types.FrameType:
        return list(thing.f_locals.values()) if thing.f_locals is not thing.f_globals else []
    if isinstance(thing, weakref.ref):
        return [thing()]
    np = arrays.numpy()
    if np is not None and isinstance(thing, np.void):
        return [thing.base]
    if np is not None and isinstance(thing, np.ndarray):  # the collector does not know them
        inside = thing.ravel().tolist() if thing.dtype.hasobject else []
        return (
            [thing.base, *inside, *vars(thing).values()]
            if kind is not np.ndarray
            else [
                thing.base,
                *inside,
            ]
        )
    return gc.get_referents(thing)


def _names(thing: Any) -> Iterator[str]:
    found = getattr(thing, "__code__", None) if isinstance(thing, types.FunctionType) else None
    for name in ("gi_code", "cr_code", "ag_code"):
        if isinstance(thing, types.GeneratorType | types.CoroutineType | types.AsyncGeneratorType):
            found = found or getattr(thing, name, None)
    if isinstance(found, types.CodeType):
        yield from code.global_names(found)


def _memory(array: Any) -> Iterator[int]:
    try:
        owner, outer = arrays.owner_of(array)
    except Unstorable:
        return
    yield id(owner)
    if outer is not None:
        yield id(outer)
