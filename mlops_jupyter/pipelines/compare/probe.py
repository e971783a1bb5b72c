"""The last cell of a notebook that is verified: it leaves the final variables in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .objects import snapshot


def source(path: Path) -> str:
    """The cell's source. It binds no name and shows nothing."""
    return f'__import__("{__name__}", fromlist=["leave"]).leave({str(path)!r}, globals())'


def leave(path: str, namespace: dict[str, Any]) -> None:
    """Write a snapshot of the user's variables to ``path``.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    hidden = shell.user_ns_hidden if shell is not None else {}
    mine = {
        name: value
        for name, value in namespace.items()
        if not name.startswith("_") and hidden.get(name, hidden) is not value
    }
    Path(path).write_bytes(snapshot(mine))
