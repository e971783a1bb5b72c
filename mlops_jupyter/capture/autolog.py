"""Knowing when a scikit-learn estimator is fitted or scored, without a line in the notebook.

``fit``, ``fit_predict``, ``fit_transform`` and ``score`` of every estimator class, the user's own
included, are replaced by :class:`Tracked`: on the class it gives the original function (so
signatures, metadata routing and ``super()`` see what they expect), on an instance a bound method
that reports the call, and in a pickle it is the original function again: nothing of ours travels
into a model or to a worker process.

A call is *top-level* if the user's code made it: it is not inside another tracked call of its
thread, and its caller is not scikit-learn itself (cross validation, meta-estimators, their
threads). Only top-level calls are reported.
"""

from __future__ import annotations

import functools
import operator
import os
import sys
import threading
import types
import weakref
from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

METHODS = ("fit", "fit_predict", "fit_transform", "score")
_MODULE = "sklearn.base"
_ROOTS = ("TransformerMixin", "BaseEstimator")
# Set while a pipeline runs a step again only for what it leaves in the kernel.
REPLAY = "MLOPS_REPLAY"


class Listener(Protocol):
    """Hears of top-level calls. Neither method may raise."""

    def before(self, estimator: Any, method: str, args: tuple[Any, ...], kwargs: Any) -> Any:
        """A call begins; what is returned comes back in :meth:`after`."""

    def after(self, token: Any, estimator: Any, result: Any, failed: bool, seconds: float) -> None:
        """The call ended with ``result``, or ``failed`` with an exception."""


class _Calls(threading.local):
    depth = 0


_calls = _Calls()


class Tracked:
    """A method that reports its top-level calls. Attributes it lacks are the original's."""

    def __init__(self, original: Any, method: str, hook: Hook) -> None:
        functools.update_wrapper(self, original)
        self._original = original
        self._method = method
        self._hook = hook

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        found = self._original.__get__(instance, owner)
        if instance is None or not isinstance(found, types.MethodType):
            return found
        if found.__func__ is self._original:
            return types.MethodType(self, instance)
        return types.MethodType(Tracked(found.__func__, self._method, self._hook), instance)

    def __call__(self, instance: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call the original; report it if it is top-level."""
        __tracebackhide__ = True
        hook = self._hook
        package = str(sys._getframe(1).f_globals.get("__name__", "")).partition(".")[0]
        listener, silent = hook.listener, REPLAY in os.environ
        if _calls.depth or silent or listener is None or hook.is_nested(package):
            _calls.depth += 1
            try:
                return self._original(instance, *args, **kwargs)
            finally:
                _calls.depth -= 1
        _calls.depth += 1
        if package != "joblib":
            hook.busy.add(threading.get_ident())
        failed, result, token = True, None, None
        try:
            token = listener.before(instance, self._method, args, kwargs)
            started = perf_counter()
            try:
                result = self._original(instance, *args, **kwargs)
                failed = False
                return result
            finally:
                seconds = perf_counter() - started
                listener.after(token, instance, result, failed, seconds)
        finally:
            hook.busy.discard(threading.get_ident())
            _calls.depth -= 1

    def __reduce__(self) -> Any:
        return operator.itemgetter(0), ((self._original,),)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_original"], name)


class Hook:
    """Puts :class:`Tracked` on all estimator classes: now if scikit-learn is imported, else when it
    is (as a finder on ``sys.meta_path``). Nothing is imported."""

    def __init__(self, listener: Listener) -> None:
        self.listener: Listener | None = listener
        self.busy: set[int] = set()
        self._wrapped: list[tuple[weakref.ref[type], str]] = []
        self._roots: list[type] = []

    def install(self) -> None:
        """Start reporting."""
        module = sys.modules.get(_MODULE)
        if module is not None and hasattr(module, _ROOTS[-1]):
            self._enter(module)
        else:
            sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Stop reporting and put every original back."""
        self.listener = None
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        for root in self._roots:
            del root.__init_subclass__
        self._roots.clear()
        for reference, name in self._wrapped:
            cls = reference()
            found = cls.__dict__.get(name) if cls is not None else None
            if cls is not None and isinstance(found, Tracked):
                setattr(cls, name, found._original)
        self._wrapped.clear()

    def repair(self) -> None:
        """Wrap the notebook's own classes again: unpickling an instance that came back from a
        worker sets the class's methods anew."""
        for reference, name in list(self._wrapped):
            cls = reference()
            if cls is not None and cls.__module__ == "__main__":
                self._wrap(cls, name, again=True)

    def is_nested(self, package: str) -> bool:
        """Whether a call that ``package`` makes is not the user's: scikit-learn's own, or in a
        thread of joblib's while an estimator is being fitted elsewhere."""
        return package == "sklearn" or (package == "joblib" and bool(self.busy))

    # --- finding the classes ------------------------------------------------------------------

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        """Let the import of ``sklearn.base`` end in :meth:`install`; leave all else alone."""
        if name != _MODULE:
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        loader: Any = spec.loader
        execute = loader.exec_module

        def exec_module(module: types.ModuleType) -> None:
            del loader.exec_module
            execute(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
                self._enter(module)

        loader.exec_module = exec_module
        return spec

    def _enter(self, module: types.ModuleType) -> None:
        for name in _ROOTS:
            root = getattr(module, name)
            if "__init_subclass__" in root.__dict__:
                continue
            self._follow(root)
            self._roots.append(root)
            self._walk(root)

    def _follow(self, root: Any) -> None:
        """Have each new subclass of ``root`` wrapped, after all others had their say."""

        def __init_subclass__(cls: Any, /, **kwargs: Any) -> None:
            super(root, cls).__init_subclass__(**kwargs)
            self.wrap(cls)

        setattr(root, "__init_subclass__", classmethod(__init_subclass__))  # noqa: B010

    def _walk(self, cls: type) -> None:
        self.wrap(cls)
        children: list[type] = cls.__subclasses__()
        for child in children:
            self._walk(child)

    def wrap(self, cls: type) -> None:
        """Wrap the methods that ``cls`` or one of its bases defines."""
        for base in cls.__mro__[:-1]:
            for name in METHODS:
                self._wrap(base, name)

    def _wrap(self, cls: type, name: str, *, again: bool = False) -> None:
        found = cls.__dict__.get(name)
        kind = type(found)
        if kind is not types.FunctionType and kind.__name__ != "_AvailableIfDescriptor":
            return
        setattr(cls, name, Tracked(found, name, self))
        if not again:
            self._wrapped.append((weakref.ref(cls), name))
