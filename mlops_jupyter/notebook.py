"""Reading and writing notebook files, and the few facts about cells that all rooms share."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InvalidInput, NotFound
from .workspace import write_atomic

if TYPE_CHECKING:
    from nbformat import NotebookNode


def read(path: Path) -> NotebookNode:
    """Read a notebook as nbformat 4.

    Raises
    ------
    NotFound
        If there is no such file.
    InvalidInput
        If it is not a notebook, or not one in Python.
    """
    import nbformat

    try:
        notebook: NotebookNode = nbformat.read(path, as_version=4)
    except FileNotFoundError as error:
        raise NotFound(f"There is no notebook {path.name!r}.", hint="Check the path.") from error
    except (
        nbformat.reader.NotJSONError,
        nbformat.ValidationError,
        json.JSONDecodeError,
        UnicodeDecodeError,
        AttributeError,
        KeyError,
    ) as error:
        raise InvalidInput(
            f"{path.name} is not a Jupyter notebook.", hint="Open and save it in JupyterLab."
        ) from error
    language = notebook.metadata.get("kernelspec", {}).get("language", "python")
    if language.lower() not in ("python", "ipython"):
        raise InvalidInput(
            f"{path.name} is a {language} notebook.", hint="Only Python notebooks can be run."
        )
    return notebook


class Node(dict[str, Any]):
    """A part of a notebook read without nbformat: keys are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    @classmethod
    def of(cls, value: Any) -> Any:
        """``value`` with all dicts in it as nodes."""
        if isinstance(value, dict):
            return cls((key, cls.of(item)) for key, item in value.items())
        return [cls.of(item) for item in value] if isinstance(value, list) else value


def read_plain(path: Path) -> Node | None:
    """Read a notebook of nbformat 4 without nbformat, whose import takes the better part of a
    second; ``None`` if it is anything unusual. Cells get ids as nbformat gives them (4.5)."""
    try:
        notebook = json.loads(path.read_text("utf-8"), object_hook=Node)
        if notebook.nbformat != 4:
            return None
        notebook["nbformat_minor"] = max(notebook.nbformat_minor, 5)
        for cell in notebook.cells:
            cell.setdefault("id", secrets.token_hex(4))
            if not isinstance(cell.source, str):
                cell["source"] = "".join(cell.source)
            if not isinstance(cell.metadata, Node) or (
                cell.cell_type == "code" and not isinstance(cell.outputs, list)
            ):
                return None
            if cell.cell_type == "code":
                cell["outputs"], cell["execution_count"] = [], None
        return notebook if isinstance(notebook.metadata, Node) else None
    except (OSError, ValueError, AttributeError, TypeError):
        return None


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook whole or not at all.

    Raises
    ------
    Unavailable
        If it cannot be written.
    """
    import nbformat

    write_atomic(path, nbformat.writes(notebook) + "\n")


def tags(cell: Any) -> list[str]:
    """The cell's tags."""
    found = cell.get("metadata", {}).get("tags", [])
    return [tag for tag in found if isinstance(tag, str)]
