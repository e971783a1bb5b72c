"""Plug-in lookup by entry points; the built-in ones register the same way as a stranger's.

A family is an entry-point group ``mlops_jupyter.<family>``: ``statistics``, ``executors``,
``targets``, ``views``. Nothing is imported before it is asked for.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from .errors import MissingDependency, NotFound

_EXTRAS = {"executors": "dask", "targets": "serve", "statistics": "monitor", "views": "all"}


@lru_cache
def _family(family: str) -> dict[str, EntryPoint]:
    found = entry_points(group=f"mlops_jupyter.{family}")
    return {point.name: point for point in sorted(found, key=lambda point: point.name)}


def names(family: str) -> list[str]:
    """Names of all plug-ins of ``family``, sorted."""
    return list(_family(family))


def load(family: str, name: str) -> Any:
    """Import and return the plug-in ``name`` of ``family``.

    Raises
    ------
    NotFound
        If no installed package registers that name.
    MissingDependency
        If the plug-in is there but a library it needs is not installed.
    """
    point = _family(family).get(name)
    if point is None:
        known = ", ".join(names(family)) or "none"
        raise NotFound(f"There is no {family[:-1]} named {name!r}.", hint=f"Known: {known}.")
    try:
        return point.load()
    except ModuleNotFoundError as error:
        missing = error.name or "a library"
        raise MissingDependency(
            f"The {family[:-1]} {name!r}", _EXTRAS.get(family, "all"), missing
        ) from error
