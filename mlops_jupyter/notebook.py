"""Reading and writing notebook files, and the few facts about cells that all rooms share."""

from __future__ import annotations

import json
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
