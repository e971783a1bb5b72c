"""What is refused, and what is stored by reference although pickle would copy it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import inspect
import io
import logging
import mmap
import socket
import subprocess
import sys
import tempfile
import threading
import types
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from .bundle import Unstorable

Reduction = tuple[Any, ...]
_d: dict[Any, Any] = {}
_o: OrderedDict[Any, Any] = OrderedDict()
_VIEWS = {type(getattr(made, what)()) for made in (_d, _o) for what in ("keys", "values", "items")}
_ITERATORS: set[type] = {
    *map(type, (iter(_d), iter(_d.values()), iter(_d.items()), iter(set()), iter(_o))),
    *map(type, (reversed(_d), reversed(_d.values()), reversed(_d.items()), reversed(_o))),
}
_REFUSED: tuple[type, ...] = (
    io.IOBase,
    types.GeneratorType,
    types.CoroutineType,
    types.AsyncGeneratorType,
    types.FrameType,
    types.TracebackType,
    memoryview,
    mmap.mmap,
    weakref.ref,
    weakref.ProxyType,
    weakref.CallableProxyType,
    weakref.WeakSet,
    weakref.WeakKeyDictionary,
    weakref.WeakValueDictionary,
    weakref.finalize,
    socket.socket,
    threading.Thread,
    threading.Event,
    threading.Condition,
    threading.Semaphore,
    threading.Barrier,
    threading.local,
    type(threading.Lock()),
    type(threading.RLock()),
    subprocess.Popen,
    concurrent.futures.Future,
    concurrent.futures.Executor,
    asyncio.Future,
    asyncio.AbstractEventLoop,
    contextvars.Context,
    contextvars.ContextVar,
    contextvars.Token,
    tempfile.TemporaryDirectory,
    tempfile._TemporaryFileWrapper,
    logging.Handler,
    *_VIEWS,
    *_ITERATORS,
)
# Third-party things by the module and name of a class in their line of descent.
_REFUSED_NAMES = {
    ("ipywidgets.widgets.widget", "Widget"): "a widget",
    ("numpy", "memmap"): "a memory-mapped file",
    ("numpy.lib._npyio_impl", "NpzFile"): "an open file",
    ("bokeh.core.has_props", "HasProps"): "a model of Bokeh",
    ("h5py._hl.base", "HLObject"): "an open file",
    ("torch.utils.data.dataloader", "_BaseDataLoaderIter"): "an iterator",
}


# Things whose finalizer only frees what they have of their own.
_FREEING = {("xgboost.core", "Booster")}
# What exceptions do not take along.
_LOST = {"AttributeError": ("name", "obj"), "NameError": ("name",), "UnboundLocalError": ("name",)}


def refuse(thing: Any) -> None:
    """Refuse what must not be copied.

    Raises
    ------
    Unstorable
        With what it is.
    """
    if isinstance(thing, _REFUSED):
        raise Unstorable(f"a {type(thing).__name__}")
    if isinstance(thing, BaseException):
        _refuse_exception(thing)
    if isinstance(thing, logging.Logger):
        _refuse_logger(thing)
    kind = type(thing)
    if hasattr(kind, "__del__") and (kind.__module__, kind.__name__) not in _FREEING:
        raise Unstorable(f"a {kind.__name__}, which does something when it goes away")
    if kind.__module__ not in ("builtins", "__main__"):
        for base in kind.__mro__:
            what = _REFUSED_NAMES.get((base.__module__, base.__name__))
            if what is not None:
                raise Unstorable(what)


def _refuse_exception(error: BaseException) -> None:
    name = type(error).__name__
    if error.__traceback__ is not None:
        raise Unstorable(f"a {name} with its traceback")
    if error.__cause__ is not None or error.__context__ is not None:
        raise Unstorable(f"a {name} with the one it comes from")
    if error.__suppress_context__ or any(
        getattr(error, what, None) for what in _LOST.get(name, ())
    ):
        raise Unstorable(f"a {name} with more than its arguments")
    make = type(error).__init__
    if isinstance(make, types.FunctionType) and type(error).__reduce__ is BaseException.__reduce__:
        try:
            inspect.signature(make).bind(error, *error.args)
        except TypeError:
            raise Unstorable(f"a {name} that cannot be made again from its arguments") from None


def _refuse_logger(logger: logging.Logger) -> None:
    plain = (
        not logger.handlers
        and not logger.filters
        and logger.level == logging.NOTSET
        and logger.propagate
        and not logger.disabled
    )
    if not plain and logger is not logging.getLogger():
        raise Unstorable(f"the logger {logger.name} was set up")


def cached_function(function: Any) -> Reduction:
    """A function under ``functools.lru_cache``.

    Raises
    ------
    Unstorable
        If it remembers something.
    """
    about = function.cache_info()
    if about.currsize or about.hits or about.misses:
        raise Unstorable("a function that remembers results")
    parameters = function.cache_parameters()
    own = {k: v for k, v in vars(function).items() if k not in ("__wrapped__", "cache_parameters")}
    return remake_cached, (function.__wrapped__, parameters["maxsize"], parameters["typed"], own)


def remake_cached(wrapped: Any, maxsize: int | None, typed: bool, own: dict[str, Any]) -> Any:
    """What :func:`cached_function` took apart."""
    made = functools.lru_cache(maxsize, typed)(wrapped)
    vars(made).update(own)
    return made


CACHED = type(functools.lru_cache(lambda: None))


def get(module: str, name: str) -> Any:
    """The attribute ``name`` (dotted) of a module that is loaded."""
    found: Any = sys.modules[module]
    for part in name.split("."):
        found = getattr(found, part)
    return found


def singletons(shell: Any) -> dict[int, tuple[Any, Callable[..., Any], tuple[Any, ...]]]:
    """Objects of which each process has its own, by their id: the object, and how another process
    gets its own."""
    import dataclasses

    found: list[tuple[Any, Callable[..., Any], tuple[Any, ...]]] = [
        (sys.stdout, get, ("sys", "stdout")),
        (sys.stderr, get, ("sys", "stderr")),
        (sys.__stdout__, get, ("sys", "__stdout__")),
        (sys.__stderr__, get, ("sys", "__stderr__")),
        (sys.stdin, get, ("sys", "stdin")),
        (sys.modules, get, ("sys", "modules")),
        (shell, get_shell, ()),
    ]
    kernel = getattr(shell, "kernel", None)
    if kernel is not None:
        found.append((kernel, get_kernel, ()))
    for name in (
        "MISSING",
        "KW_ONLY",
        "_EMPTY_METADATA",
        "_FIELD",
        "_FIELD_CLASSVAR",
        "_FIELD_INITVAR",
    ):
        if hasattr(dataclasses, name):
            found.append((getattr(dataclasses, name), get, ("dataclasses", name)))
    if hasattr(dataclasses, "_HAS_DEFAULT_FACTORY"):
        default = dataclasses._HAS_DEFAULT_FACTORY
        found.append((default, get, ("dataclasses", "_HAS_DEFAULT_FACTORY")))
    if "numpy.random" in sys.modules:
        numpy_global = sys.modules["numpy.random"].mtrand._rand
        found.append((numpy_global, get, ("numpy.random", "mtrand._rand")))
        bits = numpy_global._bit_generator
        found.append((bits, get, ("numpy.random", "mtrand._rand._bit_generator")))
    if "numpy.ma" in sys.modules:
        for name in ("masked", "core.masked_print_option"):
            found.append((get("numpy.ma", name), get, ("numpy.ma", name)))
    if "random" in sys.modules:
        found.append((sys.modules["random"]._inst, get, ("random", "_inst")))
    if "os" in sys.modules:
        found.append((sys.modules["os"].environ, get, ("os", "environ")))
    if "pandas" in sys.modules and hasattr(sys.modules["pandas"], "Series"):
        for name in ("DataFrame._metadata", "Series._metadata"):  # lists, in each object's state
            found.append((get("pandas", name), get, ("pandas", name)))
    if "matplotlib" in sys.modules and hasattr(sys.modules["matplotlib"], "rcParams"):
        found.append((sys.modules["matplotlib"].rcParams, get, ("matplotlib", "rcParams")))
    return {id(thing): (thing, how, args) for thing, how, args in found if thing is not None}


def get_shell() -> Any:
    """IPython's shell of this process."""
    from IPython.core.getipython import get_ipython

    return get_ipython()


def get_kernel() -> Any:
    """The kernel of this process."""
    return get_shell().kernel
