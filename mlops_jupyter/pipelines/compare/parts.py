"""What the rules of comparing share: parts of two values, and how values are told."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

# Where it is, behind the path of the whole, and the two values there.
Part: TypeAlias = tuple[str, Any, Any]
# What a rule says of two values: how they differ, or their parts, or that they are equal.
Answer: TypeAlias = str | Iterator[Part] | None

ATOMS = (type(None), bool, int, str, bytes, range, type(Ellipsis), type(NotImplemented))
_WIDTH = 60
# What is drawn at random, or computed when somebody first asks for it.
_NOT_COMPARED = frozenset({"_cache", "_item_cache", "uuid"})


@dataclass(frozen=True)
class Live:
    """Stands in a snapshot for a value that no pickle can hold."""

    type: str


def same_class_name(a: type, b: type) -> bool:
    """Whether two types are one class that each side has defined for itself."""
    return a.__qualname__ == b.__qualname__ and a.__module__ == b.__module__


def is_enum(value: Any) -> bool:
    """Whether it is a member of an enum."""
    enum = sys.modules.get("enum")
    return enum is not None and isinstance(value, enum.Enum)


def told_type(value: Any) -> str:
    """The type's name, with its module where that says more."""
    kind = type(value)
    if isinstance(value, Live):
        return value.type
    name, module = kind.__qualname__, kind.__module__
    return name if module in ("builtins", "__main__") else f"{module}.{name}"


def told(value: Any) -> str:
    """A short text of any value."""
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001  # the repr is the user's code
        text = f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def unlike(a: Any, b: Any) -> str:
    """Two values that differ; of long text the place where it does."""
    if isinstance(a, str | bytes) and max(len(a), len(b)) > _WIDTH:
        pairs = enumerate(zip(a, b, strict=False))
        at = next((at for at, (x, y) in pairs if x != y), min(len(a), len(b)))
        start = max(0, at - _WIDTH // 2)
        return f"from {start} on {told(a[start : start + 50])} != {told(b[start : start + 50])}"
    return f"{told(a)} != {told(b)}"


def attributes(a: dict[Any, Any], b: dict[Any, Any]) -> Iterator[Part]:
    """The attributes of an object, by name; their order is nobody's business."""
    mine = [name for name in a if name not in _NOT_COMPARED]
    yours = {name for name in b if name not in _NOT_COMPARED}
    if {*mine} != yours:
        yield " attributes", sorted(map(str, mine)), sorted(map(str, yours))
    for name in mine:
        if name in yours:
            yield f".{name}", a[name], b[name]
