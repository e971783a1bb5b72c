"""Functions and classes of the notebook by their hidden names, as long as they exist."""

from __future__ import annotations

import types
import weakref
from collections.abc import Collection, Iterator
from typing import Any

from . import code


class Lineages:
    """The functions and classes that have a lineage; none is kept alive by having one."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._things: dict[str, weakref.ref[Any]] = {}
        self._ids: dict[int, str] = {}
        #: Lineages that exist elsewhere.
        self.known: Collection[str] = ()

    def __contains__(self, lineage: str) -> bool:
        return self.get(lineage) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._things))

    def get(self, lineage: str) -> Any:
        """The function or class, or ``None``."""
        ref = self._things.get(lineage)
        thing = ref() if ref is not None else None
        if ref is not None and thing is None:
            del self._things[lineage]
        return thing

    def of(self, thing: Any) -> str | None:
        """The lineage of a thing, if it has one."""
        lineage = self._ids.get(id(thing))
        return lineage if lineage is not None and self.get(lineage) is thing else None

    def alive(self) -> dict[str, Any]:
        """All that exist, by lineage."""
        return {lineage: thing for lineage in self if (thing := self.get(lineage)) is not None}

    def add(self, lineage: str, thing: Any) -> None:
        """Give a thing its lineage."""
        self._things[lineage] = weakref.ref(thing)
        self._ids[id(thing)] = lineage

    def remove(self, lineage: str) -> None:
        """Forget a lineage."""
        self._things.pop(lineage, None)
        self._ids = {id_: name for id_, name in self._ids.items() if name != lineage}

    def adopt(self, name: str, value: Any) -> None:
        """Give what the notebook bound to a name a lineage, if it is code of the notebook."""
        if not isinstance(value, type | types.FunctionType) or self.of(value) is not None:
            return
        if not code.by_value(value) or (
            isinstance(value, types.FunctionType) and code.home_of(value, self._namespace) is None
        ):
            return
        first = lineage = f"{name}#{code.fingerprint(value)}"
        number = 1
        while lineage in self or lineage in self.known:
            number += 1
            lineage = f"{first}.{number}"
        self.add(lineage, value)
