"""Filters for warnings."""

from __future__ import annotations

import re
import sys
import types
import warnings
from collections.abc import Iterable
from types import FrameType
from typing import Any, SupportsIndex

from ..origin import importing
from .base import Ambient, Unstorable

_HOOKS = ("warn", "warn_explicit", "showwarning", "formatwarning")


class Warnings(Ambient):
    """The filters in order, and functions of :mod:`warnings` that were replaced.

    Filters that a library adds while it is imported do not count until somebody else changes the
    filters: any kernel that imports the library has them.
    """

    name = "warnings"

    def __init__(self) -> None:
        self._start = list(warnings.filters)
        self._functions = {hook: getattr(warnings, hook) for hook in _HOOKS}
        self._imported: list[object] = []
        self._seen: tuple[object, ...] = ()
        self._value: Any = None
        warnings.filters = _Filters(warnings.filters, self._imported)

    def _own(self) -> list[Any]:
        """The filters without those that imported libraries added."""
        imported = {id(entry) for entry in self._imported}
        return [entry for entry in warnings.filters if id(entry) not in imported]

    def capture(self) -> Any:
        """The filters, if any but libraries' differ from the start, and replaced functions.

        Raises
        ------
        Unstorable
            If a function of the notebook replaces one of the module.
        """
        seen = (*warnings.filters, *(getattr(warnings, hook) for hook in _HOOKS))
        if len(seen) != len(self._seen) or any(
            a is not b for a, b in zip(seen, self._seen, strict=True)
        ):
            self._value = self._captured()
            self._seen = seen
        return self._value

    def _captured(self) -> Any:
        replaced = []
        for hook, original in self._functions.items():
            function = getattr(warnings, hook)
            if function is not original:
                if not isinstance(function, types.FunctionType) or function.__module__ in (
                    None,
                    "__main__",
                ):
                    raise Unstorable(f"warnings.{hook} was replaced")
                replaced.append((hook, function))
        filters = None
        if self._own() != self._start:
            filters = tuple(_plain(entry) for entry in warnings.filters)
        return (filters, tuple(replaced)) if filters is not None or replaced else None

    def restore(self, value: Any) -> None:
        """Make the filters these, in this order."""
        filters, replaced = value or (None, ())
        for hook, function in {**self._functions, **dict(replaced)}.items():
            setattr(warnings, hook, function)
        if filters is None:
            own = {id(entry) for entry in [*self._start, *self._imported]}
            kept = [entry for entry in warnings.filters if id(entry) in own]
            present = {id(entry) for entry in kept}
            wanted = kept + [entry for entry in self._start if id(entry) not in present]
        else:
            wanted = [self._entry(_filter(entry)) for entry in filters]
        warnings.resetwarnings()
        warnings.filters[:] = wanted  # type: ignore[index]  # typeshed: a Sequence; it is a list

    def _entry(self, wanted: Any) -> Any:
        known = [*self._start, *self._imported]
        return next((entry for entry in known if entry == wanted), wanted)


class _Filters(list[Any]):
    """The list of filters, which notes those that are added while a library is imported."""

    def __init__(self, entries: Iterable[Any], imported: list[object]) -> None:
        super().__init__(entries)
        self._imported = imported

    def insert(self, index: SupportsIndex, entry: Any) -> None:
        super().insert(index, entry)
        self._note(entry, sys._getframe(1))

    def append(self, entry: Any) -> None:
        super().append(entry)
        self._note(entry, sys._getframe(1))

    def _note(self, entry: Any, frame: FrameType) -> None:
        if importing(frame):
            self._imported.append(entry)


def _plain(entry: Any) -> tuple[Any, ...]:
    action, message, category, module, line = entry
    return action, _text(message), category, _text(module), line


def _filter(entry: Any) -> tuple[Any, ...]:
    action, message, category, module, line = entry
    return action, _pattern(message), category, _pattern(module), line


def _text(pattern: Any) -> Any:
    return (pattern.pattern, pattern.flags) if isinstance(pattern, re.Pattern) else pattern


def _pattern(text: Any) -> Any:
    return re.compile(*text) if isinstance(text, tuple) else text
