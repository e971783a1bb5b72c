"""The first line in which two texts differ."""

from __future__ import annotations

_WIDTH = 60


def first_in_text(a: str, b: str) -> str:
    """The first line that differs, on both sides; empty if none does.

    >>> first_in_text("x\\na 1", "x\\na 2")
    "line 2: 'a 1' != 'a 2'"
    """
    if a == b:
        return ""
    left, right = a.split("\n"), b.split("\n")
    number = next(
        (at for at, (x, y) in enumerate(zip(left, right, strict=False)) if x != y),
        min(len(left), len(right)),
    )
    where = f"line {number + 1}: " if max(len(left), len(right)) > 1 else ""
    if number >= len(left) or number >= len(right):
        one, more = (right, "more") if number >= len(left) else (left, "no more")
        return f"{where}{more}: {short(one[number])}"
    x, y = left[number], right[number]
    start = next((at for at, (p, q) in enumerate(zip(x, y, strict=False)) if p != q), 0)
    start = max(0, start - _WIDTH // 2) if max(len(x), len(y)) > _WIDTH else 0
    return f"{where}{short(x[start:])} != {short(y[start:])}"


def short(text: str) -> str:
    """A text as one short literal."""
    return repr(text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…")
