"""Words and figures as a terminal shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_COLOURS = {
    "green": ("FINISHED", "succeeded", "ran", "ready", "ok", "passed", "resolved"),
    "cyan": ("cached", "acknowledged"),
    "blue": ("RUNNING", "running", "starting", "queued"),
    "yellow": ("drift", "open"),
    "red": ("FAILED", "failed", "KILLED", "cancelled", "invalid", "refused"),
}
_COLOUR_OF = {word: colour for colour, words in _COLOURS.items() for word in words}


def coloured(status: str | None) -> str:
    """A status word in its colour."""
    colour = _COLOUR_OF.get(status or "")
    return f"[{colour}]{status}[/]" if colour else escape(status or "-")


def number(value: float | None, digits: int = 4) -> str:
    """A figure, or a dash."""
    return "-" if value is None else f"{value:.{digits}g}"


def figures(values: Mapping[str, float]) -> str:
    """Named figures on one line."""
    return escape(", ".join(f"{name} {number(value)}" for name, value in sorted(values.items())))


def seconds(value: float | None) -> str:
    """A duration in seconds, or a dash."""
    return "-" if value is None else f"{value:.2f} s"


def clock(stamp: str | None) -> str:
    """A moment (UTC) to the second, or a dash."""
    return (stamp or "-")[:19].replace("T", " ")


def text(value: object | None) -> str:
    """Anything as plain text, or a dash; markup in it is not obeyed."""
    return "-" if value is None or value == "" else escape(str(value))


def table(console: Console, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Print a table; columns whose name starts with ``>`` are right-aligned."""
    names = list(columns)
    grid = Table(box=None, pad_edge=False, header_style="bold", show_header=any(names))
    for name in names:
        right = name.startswith(">")
        grid.add_column(name.lstrip(">"), justify="right" if right else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(str(item) for item in row))
    console.print(grid)
