"""What pandas keeps in numpy arrays.

pandas' objects may share memory where pandas itself keeps track of it (copy on write). Objects
that nobody else looks into get memory of their own when they come back: none can tell. Where an
array of the notebook lies in the same memory, the memory stays shared, and pandas' own notes of who
shares it come along.
"""

from __future__ import annotations

import sys
from typing import Any

from . import arrays
from .bundle import Unstorable


class Apart:
    """Values of a pandas object, which get memory of their own."""

    def __init__(self, values: Any) -> None:
        self.values = values


def memory_of(values: Any) -> list[Any]:
    """The arrays in which pandas' values are kept, as far as they are numpy's."""
    np = arrays.numpy()
    if isinstance(values, np.ndarray):
        return [values]
    names = ("_ndarray", "_data", "_mask", "_sparse_values")
    found = (getattr(values, name, None) for name in names)
    return [array for array in found if isinstance(array, np.ndarray)]


def is_block(thing: Any) -> bool:
    """Whether it is one of pandas' blocks."""
    kind = type(thing)
    return kind.__module__ == "pandas.core.internals.blocks" and hasattr(thing, "mgr_locs")


def is_index(thing: Any) -> bool:
    """Whether it is a pandas index."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(thing, getattr(pandas, "Index", ()))


def is_series_manager(thing: Any) -> bool:
    """Whether it is what holds the one block of a series."""
    kind = type(thing)
    return kind.__name__ == "SingleBlockManager" and kind.__module__.startswith("pandas.")


def is_notes(thing: Any) -> bool:
    """Whether it is pandas' notes of who shares some memory."""
    return type(thing).__name__ == "BlockValuesRefs" and type(thing).__module__.startswith("pandas")


def is_dtype(kind: type) -> bool:
    """Whether things of that kind are pandas' data types, which never change."""
    pandas = sys.modules.get("pandas")
    api = getattr(pandas, "api", None)
    return api is not None and issubclass(kind, api.extensions.ExtensionDtype)


def keeps_indexes_apart() -> bool:
    """Whether what is made from a frame gets an index object of its own."""
    return int(sys.modules["pandas"].__version__.partition(".")[0]) >= 3


def copy_on_write() -> bool:
    """Whether pandas objects never see each other's writes."""
    pandas = sys.modules["pandas"]
    if int(pandas.__version__.partition(".")[0]) >= 3:
        return True
    return bool(pandas.get_option("mode.copy_on_write"))


def reduce_apart(thing: Any, reduced: tuple[Any, ...]) -> tuple[tuple[Any, ...], list[Any]]:
    """A block's or an index's reduction with memory of its own; and the arrays it is taken from."""
    met: list[Any] = []

    def apart(value: Any) -> Any:
        if isinstance(value, list | dict | tuple) and type(value) in (list, dict, tuple):
            if isinstance(value, dict):
                return {key: apart(item) for key, item in value.items()}
            return type(value)(apart(item) for item in value)
        if isinstance(value, arrays.numpy().ndarray) or _is_extension(value):
            met.extend(memory_of(value))
            return Apart(value)
        return value

    return (reduced[0], apart(reduced[1]), *reduced[2:]), met


def _is_extension(value: Any) -> bool:
    return isinstance(value, sys.modules["pandas"].api.extensions.ExtensionArray)


def reduce_shared(thing: Any, reduced: tuple[Any, ...]) -> tuple[Any, ...]:
    """A block's or an index's reduction with the memory and the notes that it has.

    Raises
    ------
    Unstorable
        If this pandas keeps no such notes.
    """
    if is_block(thing):
        if not hasattr(thing, "refs") or not copy_on_write():
            raise Unstorable("an array in the memory of a data frame")
        notes = thing.refs
    else:
        notes = None if type(thing).__name__ == "RangeIndex" else thing.__dict__.get("_references")
        if notes is None:
            return reduced
    return make_shared, (reduced[0], reduced[1], notes), *reduced[2:]


def make_shared(make: Any, args: Any, notes: Any) -> Any:
    """What :func:`reduce_shared` took apart."""
    made = make(*args)
    if is_block(made):
        made.refs = notes
        notes.add_reference(made)
    else:
        made._references = notes
        notes.add_index_reference(made)
    return made


def make_notes() -> Any:
    """Notes of nothing."""
    return sys.modules["pandas"]._libs.internals.BlockValuesRefs()


def sharers(notes: Any) -> list[Any]:
    """Who shares the memory, by pandas' notes."""
    return [thing for ref in notes.referenced_blocks if (thing := ref()) is not None]
