"""The notebook run top to bottom in one kernel, by nbclient: what a pipeline run has to equal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from papermill.parameterize import parameterize_notebook


def run_plain(path: Path, parameters: dict[str, Any]) -> nbformat.NotebookNode:
    """Run the notebook ``path`` in its folder; a cell that fails ends it, as papermill does.

    Parameters are injected by papermill; cells tagged ``skip`` are left out.
    """
    made = nbformat.read(path, as_version=4)
    for cell in made.cells:
        tags = cell.metadata.setdefault("tags", [])
        cell.metadata.tags = [*tags, "skip-execution"] if "skip" in tags else tags
    if parameters:
        made.metadata.setdefault("papermill", {})
        made = parameterize_notebook(made, parameters)
    with tempfile.TemporaryDirectory() as sockets, contextlib.suppress(CellExecutionError):
        # Sockets in a folder of their own: ports can be taken by another kernel meanwhile.
        manager = AsyncKernelManager(
            kernel_name="python3", transport="ipc", ip=os.path.join(sockets, "k")
        )
        client = NotebookClient(made, km=manager, timeout=120, iopub_timeout=30)
        environment = {**os.environ, "MLOPS_COURIER": "off"}
        asyncio.run(client.async_execute(cwd=str(path.parent), env=environment, cleanup_kc=True))
    return made
