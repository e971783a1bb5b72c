"""mlops_jupyter: the notebook is the source of the experiment record, the pipeline, the deployment
and the monitor. In a cell: ``%load_ext mlops_jupyter``; in a shell: ``mlops --help``.

Importing this package imports neither mlflow, scikit-learn nor papermill.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import MLOpsError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__version__ = "0.1.0"
__all__ = ["MLOpsError", "load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """``%load_ext mlops_jupyter``: capture from the next cell on, and add the magics."""
    from .magics import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """``%unload_ext mlops_jupyter``: stop capturing; what was recorded stays."""
    from .magics import unload

    unload(shell)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "mlops-jupyter"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from .server import MLOpsExtension

    return [{"module": "mlops_jupyter.server", "app": MLOpsExtension}]
