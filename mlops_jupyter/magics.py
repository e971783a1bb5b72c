"""``%load_ext mlops_jupyter``: capture from then on, and the magics ``%mlops``, ``%%track`` and
``%%step``.

``%%track`` and ``%%step`` are taken off the cell before it runs, so that the rest runs exactly as
it would without them: last value shown, ``await`` allowed, line numbers right, errors once.
"""

from __future__ import annotations

import re
import shlex
import sys
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from . import capture
from .errors import MLOpsError
from .workspace import Workspace

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_TRACK = re.compile(r"^%%track(?:[ \t]+(.*?))?[ \t]*$")
_STEP = re.compile(r"^%%step[ \t]+\S.*$")
_RED, _PLAIN = "\x1b[31m", "\x1b[0m"


def load(shell: InteractiveShell) -> None:
    """Start capture and add the magics. Loading twice is harmless.

    If the workspace's folder cannot be written, capture is off and one line says so.
    """
    if _transform not in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.append(_transform)
        register = shell.magics_manager.register_function
        register(_mlops, "line", "mlops")
        register(_track, "line_cell", "track")
        register(_step, "line_cell", "step")
    if capture.active() is not None:
        return
    try:
        capture.Capture(shell, Workspace.find()).start()
    except MLOpsError as error:
        sys.stderr.write(f"mlops_jupyter: capture is off: {error}\n")


def unload(shell: InteractiveShell) -> None:
    """Stop capture and remove the magics; what was recorded stays."""
    if (found := capture.active()) is not None:
        found.stop()
    if _transform in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.remove(_transform)
    for kind, names in (("line", ("mlops", "track", "step")), ("cell", ("track", "step"))):
        for name in names:
            shell.magics_manager.magics[kind].pop(name, None)


def _transform(lines: list[str]) -> list[str]:
    """Turn the first line of a ``%%track`` or ``%%step`` cell into a Python line."""
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    if first is None:
        return lines
    line = lines[first].rstrip("\r\n")
    if found := _TRACK.match(line):
        call = f"get_ipython().run_line_magic('track', {found[1] or ''!r})\n"
        return [*lines[:first], call, *lines[first + 1 :]]
    if _STEP.match(line):
        return [*lines[:first], f"# {line}\n", *lines[first + 1 :]]
    return lines


def _track(line: str, cell: str | None = None) -> None:
    """``%%track [NAME]``: all fits of this cell belong to one run."""
    found = capture.active()
    if found is None:
        raise UsageError("Capture is not on, so there is nothing to track.")
    name = line.strip().strip("\"'") or "run"
    if cell is None:
        found.open(name)
    else:
        with found.track(name):
            _run(cell)


def _step(line: str, cell: str | None = None) -> None:
    """``%%step NAME``: this cell begins the pipeline step NAME. In a notebook it just runs."""
    if not line.strip():
        raise UsageError("A step needs a name: %%step NAME")
    if cell is not None:
        _run(cell)


def _run(cell: str) -> None:
    """Run a cell's body when called as a function rather than from a cell's first line."""
    from IPython.core.getipython import get_ipython

    if (shell := get_ipython()) is not None:
        shell.run_cell(cell).raise_error()


def _mlops(line: str) -> Any:
    """``%mlops NOUN VERB ...``: what ``mlops`` does on the command line; see ``%mlops --help``."""
    try:
        arguments = shlex.split(line)
        if arguments == ["runs", "current"]:
            return _view("run").current()
        from .cli import invoke

        return _shown(invoke(arguments))
    except (MLOpsError, ValueError) as error:
        sys.stderr.write(f"{_RED}{error}{_PLAIN}\n")
        return None


def _shown(result: Any) -> Any:
    """The view of a result, if there is a plug-in for it; what is None was printed."""
    from .models import Run
    from .plugins import names

    if isinstance(result, Run) and "run" in names("views"):
        return _view("run")(run=result)
    return None


def _view(name: str) -> Any:
    from .plugins import load

    return load("views", name)
