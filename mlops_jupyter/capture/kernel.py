"""Facts about the kernel this code runs in, and the courier it starts."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..workspace import Workspace

if TYPE_CHECKING:
    import subprocess

if sys.platform != "win32":
    import resource

_DISTRIBUTIONS = ("scikit-learn", "numpy", "pandas", "scipy", "mlflow", "mlops_jupyter")


def notebook(workspace: Workspace, names: Mapping[str, Any]) -> str | None:
    """The notebook this kernel belongs to, relative to the workspace, or ``None`` if nobody says.

    ``MLOPS_NOTEBOOK`` is set by the pipeline runner, ``JPY_SESSION_NAME`` by a Jupyter server,
    ``__vsc_ipynb_file__`` (among the user's ``names``) by VS Code.
    """
    given = (
        os.environ.get("MLOPS_NOTEBOOK")
        or os.environ.get("JPY_SESSION_NAME")
        or names.get("__vsc_ipynb_file__")
    )
    if not isinstance(given, str) or not given.endswith(".ipynb"):
        return None
    return workspace.relative(given) if os.path.isabs(given) else Path(given).as_posix()


def folder(workspace: Workspace) -> str | None:
    """The working folder relative to the workspace, or ``None`` outside of it."""
    with contextlib.suppress(OSError, ValueError):
        return Path.cwd().relative_to(workspace.root.resolve()).as_posix()
    return None


def environment() -> dict[str, str]:
    """Versions of Python and of the distributions a model depends on."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": sys.version.split()[0], "platform": sys.platform}
    for name in _DISTRIBUTIONS:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def peak_mb() -> float | None:
    """The process' peak resident memory so far in MB, ``None`` where the system does not say."""
    if sys.platform == "win32":
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kB on Linux, bytes on macOS
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)


def running_cell() -> tuple[Any, int | None]:
    """IPython's ``ExecutionInfo`` of the cell from which this is called and the cell's number, both
    ``None`` outside of a cell."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_name == "run_cell_async":
            return frame.f_locals.get("info"), frame.f_locals.get("execution_count")
    return None, None


def spawn_courier(workspace: Workspace) -> subprocess.Popen[bytes]:
    """Start the courier in a session of its own, away from the kernel's pipes and its Ctrl-C.

    Raises
    ------
    Unavailable
        If the workspace's folder cannot be written.
    """
    import subprocess

    log = workspace.path("logs", "courier.log")
    with open(log, "ab") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "mlops_jupyter.courier", str(workspace.root)],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd=log.parent,  # where -m looks first: no module of the user's lies there
            start_new_session=True,
        )
