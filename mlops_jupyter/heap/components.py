"""Which values belong together because they share something."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping

from .pickling import Pickled

#: To be pickled with pandas objects keeping the memory that they share with arrays.
TOGETHER = "together"


def components(found: Mapping[str, Pickled]) -> list[list[str]]:
    """Roots that share objects or memory, each group sorted, in order of their first roots."""
    parent = {root: root for root in found}

    def top(root: str) -> str:
        while parent[root] != root:
            parent[root] = parent[parent[root]]
            root = parent[root]
        return root

    holder: dict[int, str] = {}
    for root, pickled in found.items():
        for id_ in (*pickled.shared, *pickled.raw, *pickled.alone):
            parent[top(root)] = top(holder.setdefault(id_, root))
    for root, pickled in found.items():
        for id_ in pickled.copied & holder.keys():
            parent[top(root)] = top(holder[id_])
    for cycle in _cycles({root: pickled.refs & set(found) for root, pickled in found.items()}):
        for root in cycle:
            parent[top(root)] = top(cycle[0])
    groups: dict[str, list[str]] = {}
    for root in found:
        groups.setdefault(top(root), []).append(root)
    return [sorted(group) for group in groups.values()]


def find_foreign(found: Mapping[str, Pickled]) -> None:
    """Note which values lie in the memory of an array without saying so: Arrow's may."""
    places = sorted(
        (start, size, id_)
        for pickled in found.values()
        for id_, (start, size) in pickled.places.items()
        if size
    )
    for pickled in found.values():
        for start, size in pickled.foreign:
            at = bisect.bisect_left(places, (start + size,)) - 1
            while at >= 0 and places[at][0] + places[at][1] > start:
                pickled.raw.add(places[at][2])
                pickled.why = pickled.why or "a value in the memory of an array"
                at -= 1


def conflict(group: Iterable[Pickled]) -> str:
    """Why a group cannot be stored, if it cannot; :data:`TOGETHER` if it can be, so."""
    used: set[int] = set()
    copied: set[int] = set()
    alone: dict[int, int] = {}
    for pickled in group:
        if pickled.why:
            return pickled.why
        for memory, user in pickled.alone.items():
            if alone.setdefault(memory, user) != user:
                return "values that share memory in a way of their own"
        used |= pickled.raw | pickled.shared
        copied |= pickled.copied
    for memory, user in alone.items():
        if memory in copied or (memory in used and memory != user):
            return "values that share memory in a way of their own"
    return TOGETHER if used & copied else ""


def _cycles(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of roots that refer to each other in a circle (Tarjan's components of more than
    one)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(root: str) -> None:
        index[root] = low[root] = len(index)
        stack.append(root)
        for other in edges[root]:
            if other not in index:
                visit(other)
                low[root] = min(low[root], low[other])
            elif other in stack:
                low[root] = min(low[root], index[other])
        if low[root] == index[root]:
            place = stack.index(root)
            group = stack[place:]
            del stack[place:]
            if len(group) > 1:
                found.append(group)

    for root, others in edges.items():
        if others and root not in index:
            visit(root)
    return found
