"""Which values belong together because they share something."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from . import arrays
from .pickling import Pickled


def components(found: Mapping[str, Pickled]) -> list[list[str]]:
    """Roots that share objects or memory, each group sorted; groups in order of their first root."""
    parent = {root: root for root in found}

    def top(root: str) -> str:
        while parent[root] != root:
            parent[root] = parent[parent[root]]
            root = parent[root]
        return root

    holder: dict[int, str] = {}
    copiers: dict[int, str] = {}
    for root, pickled in found.items():
        for id_ in (*pickled.shared, *pickled.raw):
            parent[top(root)] = top(holder.setdefault(id_, root))
    for root, pickled in found.items():
        for id_ in pickled.copied:
            if id_ in holder:
                parent[top(root)] = top(holder[id_])
            other = copiers.setdefault(id_, root)
            if other != root and not _independent():
                parent[top(root)] = top(other)
    for cycle in _cycles({root: pickled.refs & set(found) for root, pickled in found.items()}):
        for root in cycle:
            parent[top(root)] = top(cycle[0])
    groups: dict[str, list[str]] = {}
    for root in found:
        groups.setdefault(top(root), []).append(root)
    return [sorted(group) for group in groups.values()]


def _independent() -> bool:
    """Whether pandas objects with the same memory never see each other's writes."""
    return arrays.copy_on_write()


def conflict(group: Iterable[Pickled]) -> str:
    """Why a group cannot be stored together, if it cannot."""
    raw: set[int] = set()
    copied: set[int] = set()
    twice = False
    for pickled in group:
        if pickled.why:
            return pickled.why
        twice |= bool(copied & pickled.copied)
        raw |= pickled.raw | pickled.shared
        copied |= pickled.copied
    if raw & copied:
        return "an array in the memory of a data frame"
    if twice and not _independent():
        return "pandas objects that may see each other's writes"
    return ""


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
