"""What a notebook of the corpus is: a name, its cells, and how they may be edited."""

from __future__ import annotations

import ast
import inspect
import io
import tokenize
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from pipelines_support import notebook

Cell = str | tuple[str, str]
KINDS = ("raw", "markdown")


@dataclass(frozen=True)
class Case:
    """A notebook that exercises one hard thing, crossing steps.

    ``cells`` are text as :func:`pipelines_support.notebook` takes it; ``("raw", text)`` and
    ``("markdown", text)`` are cells of those kinds. Without headings or marks each code cell is a
    step of its own.

    Parameters
    ----------
    name:
        The hard thing.
    edits:
        An alternative source by cell; cells without one get :func:`edited`. An empty text leaves
        the cell out of editing.
    refused:
        A regular expression of the error with which the notebook is refused before anything runs.
    files:
        Content by name, put beside the notebook.
    parameters:
        What the run is given.
    metadata:
        Metadata by cell.
    slow:
        Takes more than ten seconds with all its edits.
    """

    name: str
    cells: tuple[Cell, ...]
    edits: dict[int, str] = field(default_factory=dict)
    refused: str = ""
    files: dict[str, str | bytes] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    metadata: dict[int, dict[str, Any]] = field(default_factory=dict)
    slow: bool = False

    def source(self, index: int) -> str:
        cell = self.cells[index]
        return cell[1] if isinstance(cell, tuple) else cell

    def tags(self, index: int) -> list[str]:
        cell = self.cells[index]
        return cell[0].split(",") if isinstance(cell, tuple) and cell[0] else []

    def notebook(self, edit: int | None = None) -> nbformat.NotebookNode:
        """The notebook, with one of its cells edited if ``edit`` says so."""
        made = notebook(*self.cells)
        for index, cell in enumerate(made.cells):
            cell.id = f"cell-{index}"
            cell.metadata.update(self.metadata.get(index, {}))
            for kind in set(KINDS) & set(self.tags(index)):
                made.cells[index] = getattr(nbformat.v4, f"new_{kind}_cell")(
                    cell.source, id=cell.id
                )
        if edit is not None:
            made.cells[edit].source = self.edit(edit)
        return made

    def edit(self, index: int) -> str:
        given = self.edits.get(index)
        return edited(self.source(index)) if given is None else given

    def editable(self) -> list[int]:
        """The code cells that have another source to be tried."""
        made = self.notebook()
        return [
            index
            for index, cell in enumerate(made.cells)
            if cell.cell_type == "code" and self.edit(index) not in ("", cell.source)
        ]

    def write(self, folder: Path, edit: int | None = None) -> Path:
        """Put the notebook and the files beside it into ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        path = folder / "case.ipynb"
        nbformat.write(self.notebook(edit), path)
        return path


def edited(source: str) -> str:
    """Another cell that does nearly the same: its first number is one more, or, where there is
    none, a new name is bound at the end. Empty where neither can be done safely."""
    if not source.strip() or source.lstrip().startswith(("%%", "!", "?")):
        return ""
    try:
        ast.parse(source)
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (SyntaxError, tokenize.TokenError):
        return ""
    lines = source.splitlines(keepends=True)
    for token in tokens:
        if token.type == tokenize.NUMBER and token.string.isdigit() and len(token.string) < 6:
            (row, start), (_, end) = token.start, token.end
            line = lines[row - 1]
            lines[row - 1] = f"{line[:start]}{int(token.string) + 1}{line[end:]}"
            return "".join(lines)
    return f"{source}\nedited_marker = 1"


def cells(text: str) -> tuple[Cell, ...]:
    """Cells from one text, apart by lines ``---``; a first line ``[tags]`` gives tags."""
    found: list[Cell] = []
    for part in inspect.cleandoc(text).split("\n---\n"):
        source = part.strip("\n")
        first, _, rest = source.partition("\n")
        if first.startswith("[") and first.endswith("]") and first[1:2].isalpha():
            found.append((first[1:-1], rest))
        else:
            found.append(source)
    return tuple(found)


class Corpus(dict[str, Case]):
    """Cases by name."""

    def add(self, name: str, text: str, **options: Any) -> None:
        """Add a case whose cells :func:`cells` reads from ``text``."""
        assert name not in self, name
        self[name] = Case(name, cells(text), **options)
