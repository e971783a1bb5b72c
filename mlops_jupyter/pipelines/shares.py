"""Names that may stand for the same object, or for objects one of which holds the other."""

from __future__ import annotations


class Shares:
    """Groups of names; a name is in one group at most. Joining costs the smaller group's size."""

    def __init__(self) -> None:
        self._group: dict[str, set[str]] = {}

    def join(self, name: str, other: str) -> None:
        """From now on both may share an object."""
        one = self._group.setdefault(name, {name})
        two = self._group.setdefault(other, {other})
        if one is two:
            return
        if len(one) < len(two):
            one, two = two, one
        one |= two
        for member in two:
            self._group[member] = one

    def leave(self, name: str) -> None:
        """The name stands for something new."""
        group = self._group.pop(name, None)
        if group is not None:
            group.discard(name)

    def group(self, name: str) -> frozenset[str]:
        """All names that may share an object with ``name``, itself among them."""
        return frozenset(self._group.get(name, {name}))

    def size(self, name: str) -> int:
        """How many names :meth:`group` has, 0 if the name shares nothing."""
        found = self._group.get(name)
        return len(found) if found and len(found) > 1 else 0
