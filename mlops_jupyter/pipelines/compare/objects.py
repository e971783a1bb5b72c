"""Equality of objects by what pickling takes of them, and snapshots that hold what it cannot."""

from __future__ import annotations

import contextlib
import copyreg
import importlib
import io
import pickle
import sys
import types
from collections.abc import Iterator
from itertools import chain
from typing import Any, ClassVar

from .parts import Answer, Live, Part, attributes, is_enum, told, told_type

# Objects that stand for something going on: their type is all that two runs have in common.
_LIVE = (
    ("threading", "Thread"),
    ("threading", "local"),
    ("concurrent.futures", "Executor"),
    ("concurrent.futures", "Future"),
    ("asyncio", "Future"),
    ("asyncio", "AbstractEventLoop"),
    ("multiprocessing.pool", "Pool"),
    ("multiprocessing.process", "BaseProcess"),
    ("subprocess", "Popen"),
    ("logging", "Handler"),
    ("weakref", "ref"),
    ("io", "FileIO"),
    ("io", "BufferedReader"),
    ("io", "BufferedWriter"),
    ("io", "BufferedRandom"),
    ("io", "TextIOWrapper"),
    ("socket", "socket"),
)
_OF_EXCEPTIONS = ("__cause__", "__suppress_context__")
# Pickled by where they can be imported from, if cloudpickle does not take them by value.
_BY_NAME = (type, types.FunctionType, types.BuiltinFunctionType)


def objects(a: Any, b: Any) -> Answer:
    """Any two objects of one type."""
    if is_live(a):
        return None
    if is_enum(a):
        return iter([(".name", a.name, b.name), (" type", type(a), type(b))])
    if hasattr(a, "cache_info") and hasattr(a, "__wrapped__"):
        return iter(
            [
                (".__wrapped__", a.__wrapped__, b.__wrapped__),
                (".cache_info()", tuple(a.cache_info()), tuple(b.cache_info())),
            ]
        )
    left, right = reduced(a), reduced(b)
    if left is None or right is None:
        return None
    return chain(iter([(" type", type(a), type(b))]), _recipes(left, right))


def exceptions(a: BaseException, b: BaseException) -> Answer:
    """Two exceptions, whatever libraries have registered to pickle them with."""
    more = ((f".{name}", getattr(a, name), getattr(b, name)) for name in _OF_EXCEPTIONS)
    arguments = _arguments(a.args, b.args)
    return chain(iter([(" type", type(a), type(b))]), arguments, attributes(vars(a), vars(b)), more)


def stand_in(a: Live, b: Live) -> Answer:
    """Two values that no pickle could hold."""
    return None if a.type == b.type else f"{a.type} != {b.type}"


def is_live(value: Any) -> bool:
    """Whether it stands for something going on in the process."""
    return any(
        isinstance(value, getattr(sys.modules[module], name, ()))
        for module, name in _LIVE
        if module in sys.modules
    )


def is_array(value: Any) -> bool:
    """Whether it is a NumPy array, of whatever class."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def reduced(value: Any) -> Any:
    """What ``__reduce_ex__`` says, or ``None`` if the value refuses."""
    try:
        own = copyreg.dispatch_table.get(type(value))
        return own(value) if own else value.__reduce_ex__(4)
    except Exception:  # noqa: BLE001  # whatever it raises, it cannot be pickled
        return None


def _recipes(a: Any, b: Any) -> Iterator[Part]:
    """Two results of ``__reduce_ex__``."""
    if isinstance(a, str) or isinstance(b, str):
        yield "", a, b
        return
    left, right = ((*recipe, None, None, None)[:5] for recipe in (a, b))
    yield " maker", left[0], right[0]
    yield from _arguments(left[1], right[1])
    yield from _states(left[2], right[2])
    items = [list(recipe[3]) if recipe[3] is not None else [] for recipe in (left, right)]
    if len(items[0]) != len(items[1]):
        yield " items", len(items[0]), len(items[1])
    yield from ((f"[{at}]", x, y) for at, (x, y) in enumerate(zip(*items, strict=False)))
    keyed = [list(recipe[4]) if recipe[4] is not None else [] for recipe in (left, right)]
    yield " keys", [key for key, _ in keyed[0]], [key for key, _ in keyed[1]]
    yield from ((f"[{told(k)}]", x, y) for (k, x), (_, y) in zip(*keyed, strict=False))


def _arguments(a: Any, b: Any) -> Iterator[Part]:
    if len(a) != len(b):
        yield " arguments", a, b
    elif len(a) == 1:
        yield "", a[0], b[0]
    else:
        yield from ((f" argument {at}", x, y) for at, (x, y) in enumerate(zip(a, b, strict=True)))


def _states(a: Any, b: Any) -> Iterator[Part]:
    if isinstance(a, dict) and isinstance(b, dict):
        yield from attributes(a, b)
    elif _with_slots(a) and _with_slots(b):
        for mine, yours in zip(a, b, strict=True):
            yield from attributes(mine or {}, yours or {})
    else:
        yield " state", a, b


def _with_slots(state: Any) -> bool:
    return (
        isinstance(state, tuple)
        and len(state) == 2
        and all(item is None or isinstance(item, dict) for item in state)
    )


def snapshot(namespace: dict[str, Any]) -> bytes:
    """A namespace as one pickle, so that what its values share stays shared. What cannot be
    pickled, anywhere inside, becomes :class:`~mlops_jupyter.pipelines.compare.parts.Live`.

    Meant for a kernel: only cloudpickle is imported.
    """
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
        """cloudpickle's, with stand-ins."""

        def reducer_override(self, value: Any) -> Any:
            """How to pickle ``value``."""
            if is_live(value):
                return Live, (told_type(value),)
            if isinstance(value, type) and value.__module__ not in ("__main__", *sys.modules):
                with contextlib.suppress(Exception):  # numpy.rec, say: else taken by value
                    importlib.import_module(value.__module__)
            try:
                own = self.dispatch_table.get(type(value))
                found = own(value) if own else super().reducer_override(value)
            except Exception:  # noqa: BLE001  # whatever it raises, it cannot be pickled
                return Live, (told_type(value),)
            if found is NotImplemented and is_array(value) and reduced(value) is None:
                return value.view(sys.modules["numpy"].ndarray).__reduce_ex__(4)
            if found is not NotImplemented or isinstance(value, _BY_NAME):
                return found
            return reduced(value) or (Live, (told_type(value),))

    target = io.BytesIO()
    Pickler(target, protocol=5).dump(namespace)
    return target.getvalue()


class StandIn:
    """An instance of a class that cannot be imported here, or what a function that cannot be would
    have made: what it was made from."""

    made_from: list[Any]

    def __new__(cls, *args: Any, **options: Any) -> StandIn:
        """Whatever pickle makes it from."""
        made = object.__new__(cls)
        made.made_from = [args, options]
        return made

    def __init__(self, *args: Any, **options: Any) -> None:
        """As ``__new__``."""

    def __setstate__(self, state: Any) -> None:
        self.made_from.append(state)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.made_from.append((key, value))

    def append(self, value: Any) -> None:
        """Take an item, as a list does."""
        self.made_from.append(value)


def loaded(data: bytes) -> dict[str, Any]:
    """A namespace from its :func:`snapshot`. Modules that only the notebook could import, as those
    that an import hook of its own makes, are done without."""
    return dict(_Unpickler(io.BytesIO(data)).load())


class _Unpickler(pickle.Unpickler):
    _missing: ClassVar[dict[tuple[str, str], type[StandIn]]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """A class or function by its name."""
        if (module, name) == ("cloudpickle.cloudpickle", "subimport"):
            return _module
        try:
            return super().find_class(module, name)
        except (ImportError, AttributeError):
            made = type(name, (StandIn,), {"__module__": module})
            return self._missing.setdefault((module, name), made)


def _module(name: str) -> Any:
    """A module that is one of the values."""
    try:
        return importlib.import_module(name)
    except Exception:  # noqa: BLE001  # whatever it does, it is not to be had here
        return StandIn("module", name)
