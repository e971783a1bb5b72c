"""Cutting a notebook into steps: contiguous groups of code cells that run as a unit.

The first rule that applies to the notebook decides for all of it:

1. *Marks*: cells tagged ``step:NAME`` or starting with ``%%step NAME``. A mark opens a step that
   goes on until the next mark; code before the first mark is the step ``setup``.
2. *Headings*: markdown headings of level 1 or 2. A step per heading that has code below it, named
   by the heading (lower case, hyphens); code before the first heading is the step ``setup``.
3. *Cells*: each code cell is a step, ``cell-1``, ``cell-2`` and so on.

Left out are blank cells and those tagged ``skip`` (or nbclient's ``skip-execution``). A step that
no mark names and that has nothing but the ``parameters`` cell is called ``parameters``, whatever
the title above it says. The cell that papermill injects belongs to the step it stands in and never
makes or counts as one where another cell can hold it.

Other tags ask something of a cell's whole step: ``cache`` (keep its result though it looked
outside), ``retries:N`` (run it again up to N times when it fails), ``timeout:SECONDS``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..errors import InvalidInput
from ..models import Step
from ..notebook import tags

PARAMETERS = "parameters"
INJECTED = "injected-parameters"
SETUP = "setup"
_SKIP = frozenset({"skip", "skip-execution"})
_MAGIC = re.compile(r"%%step[ \t]+(?P<name>\S.*)")
_NAMELESS = re.compile(r"%%step[ \t]*$")
_SECONDS = re.compile(r"\d{1,9}(\.\d*)?|\.\d+")
_ATX = re.compile(r" {0,3}#{1,2}(?:[ \t]+(?P<text>.*?))?(?:[ \t]+#+)?[ \t]*")
_FENCE = re.compile(r" {0,3}(?P<fence>`{3,}|~{3,})")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*")
_BLOCK = re.compile(r" {0,3}([>|#]|[-*+][ \t]|\d+[.)][ \t])")


@dataclass
class _Open:
    """A step being gathered; ``named`` when a mark gave its name."""

    name: str
    named: bool
    cells: list[int] = field(default_factory=list)


def runs(cell: Any) -> bool:
    """Whether the cell is code that a pipeline runs: not blank and not tagged ``skip``."""
    return cell.cell_type == "code" and bool(cell.source.strip()) and not _SKIP & set(tags(cell))


def cut(notebook: Any) -> list[Step]:
    """The steps of ``notebook`` in its order, without what they need.

    Parameters
    ----------
    notebook:
        An nbformat 4 notebook, before or after papermill injected parameters.

    Returns
    -------
    list of Step
        Unique names; ``cells`` are 0-based indices into ``notebook.cells``. Of ``retries`` and
        ``timeout`` the largest in the step's cells counts.

    Raises
    ------
    InvalidInput
        If a tag or ``%%step`` of a cell that runs is not complete; names the cell, from 1.
    """
    cells = list(enumerate(notebook.cells))
    if any(runs(cell) and _mark(cell) is not None for _, cell in cells):
        groups = _by_marks(cells)
    elif any(True for _, cell in cells for _ in _headings(cell)):
        groups = _by_headings(cells)
    else:
        groups = _by_cells(cells)
    taken: set[str] = set()
    steps = []
    for group in groups:
        if not group.cells:
            continue
        kinds = [set(tags(notebook.cells[index])) for index in group.cells]
        only = all({PARAMETERS, INJECTED} & kind for kind in kinds)
        name = PARAMETERS if only and not group.named else group.name
        wishes = [_wishes(notebook.cells[index], index) for index in group.cells]
        steps.append(
            Step(
                _unique(name, taken),
                group.cells,
                cache=any(wish.cache for wish in wishes),
                retries=max(wish.retries for wish in wishes),
                timeout=max((wish.timeout for wish in wishes if wish.timeout), default=None),
            )
        )
    return steps


@dataclass
class _Wishes:
    """What a cell's tags ask for its step."""

    cache: bool = False
    retries: int = 0
    timeout: float | None = None


def _wishes(cell: Any, index: int) -> _Wishes:
    found = _Wishes()
    for tag in tags(cell):
        word, _, value = (part.strip() for part in tag.partition(":"))
        if tag.strip() == "cache":
            found.cache = True
        elif word == "retries":
            if not (value.isascii() and value.isdigit()) or len(value) > 4:
                raise _bad(index, tag, "a whole number of times", "retries:2")
            found.retries = max(found.retries, int(value))
        elif word == "timeout":
            seconds = float(value) if _SECONDS.fullmatch(value) else 0.0
            if seconds <= 0:
                raise _bad(index, tag, "a number of seconds above 0", "timeout:60")
            found.timeout = max(found.timeout or 0.0, seconds)
        elif word == "step" and not value:
            raise _bad(index, tag, "a name", "step:load")
    if _NAMELESS.match(cell.source.lstrip().partition("\n")[0]):
        raise _bad(index, "%%step", "a name", "%%step load")
    return found


def _bad(index: int, tag: str, needs: str, example: str) -> InvalidInput:
    kind = "" if tag.startswith("%%") else "the tag "
    return InvalidInput(
        f"Cell {index + 1}: {kind}{tag[:60]!r} needs {needs}.", hint=f"For example: {example}"
    )


def slug(text: str) -> str:
    """``text`` of a markdown heading as a step's name: lower case, words joined by hyphens.

    >>> slug("2. **Train** the [model](x.md)")
    '2-train-the-model'
    """
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)|<[^>]*>", r"\1", text)
    return re.sub(r"[\W_]+", "-", text.lower()).strip("-") or "section"


def _unique(name: str, taken: set[str]) -> str:
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name}-{number}"
    taken.add(candidate)
    return candidate


def _mark(cell: Any) -> str | None:
    """The step name that a tag or the ``%%step`` magic gives, if one does."""
    for tag in tags(cell):
        prefix, _, name = tag.partition(":")
        if prefix.strip() == "step" and name.strip():
            return name.strip()
    found = _MAGIC.match(cell.source.lstrip().partition("\n")[0])
    return found["name"].strip() if found else None


def _by_marks(cells: list[tuple[int, Any]]) -> list[_Open]:
    groups = [_Open(SETUP, named=False)]
    for index, cell in cells:
        if not runs(cell):
            continue
        name = _mark(cell)
        if name is not None and not (groups[-1].named and groups[-1].name == name):
            groups.append(_Open(name, named=True))
        groups[-1].cells.append(index)
    return groups


def _by_headings(cells: list[tuple[int, Any]]) -> list[_Open]:
    groups = [_Open(SETUP, named=False)]
    for index, cell in cells:
        groups += [_Open(slug(text), named=False) for text in _headings(cell)]
        if runs(cell):
            groups[-1].cells.append(index)
    return groups


def _by_cells(cells: list[tuple[int, Any]]) -> list[_Open]:
    groups: list[_Open] = []
    number = 0
    for index, cell in cells:
        if not runs(cell):
            continue
        if INJECTED in tags(cell) and groups:
            groups[-1].cells.append(index)
        else:
            number += INJECTED not in tags(cell)
            groups.append(_Open(f"cell-{number}", named=False, cells=[index]))
    return groups


def _headings(cell: Any) -> Iterator[str]:
    """The text of each level 1 or 2 heading of a markdown cell, as CommonMark reads them: ``#``
    and ``##`` lines, and lines underlined with ``=`` or ``-``; none inside code fences."""
    if cell.cell_type != "markdown":
        return
    fence, previous = "", ""
    for line in cell.source.splitlines():
        opened = _FENCE.match(line)
        if fence:
            if opened and opened["fence"].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
            previous = ""
        elif opened:
            fence, previous = opened["fence"], ""
        elif found := _ATX.fullmatch(line):
            yield (found["text"] or "").strip()
            previous = ""
        elif previous and _UNDERLINE.fullmatch(line):
            yield previous
            previous = ""
        else:
            previous = "" if _BLOCK.match(line) or line.startswith("    ") else line.strip()
