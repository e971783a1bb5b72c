"""Starting a pipeline in a process of its own, which outlives the server."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from ..errors import Unavailable
from ..models import PipelineRun, Scalar, StepResult, now
from ..workspace import ENV, Workspace

_TAIL_BYTES = 8192
_LINE = 300


def start(workspace: Workspace, notebook: Path, parameters: dict[str, Scalar]) -> PipelineRun:
    """Check, queue and start a notebook as a pipeline.

    Returns
    -------
    PipelineRun
        With status ``queued``; the process takes it over under the same id. If the process ends
        without finishing it, the run becomes ``failed`` with the last line the process wrote.

    Raises
    ------
    InvalidInput
        If the notebook is not one, or does not declare such parameters. Nothing was started.
    Unavailable
        If no process can be started.
    """
    from .. import pipelines
    from .._store import Store
    from ..pipelines.parameters import check

    pipeline = pipelines.show(workspace, notebook)
    check(pipeline.parameters, parameters)
    identity = f"{datetime.now(timezone.utc):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    queued = PipelineRun(
        id=identity,
        run_id=None,
        notebook=workspace.relative(notebook),
        status="queued",
        started=now(),
        seconds=None,
        output=f".mlops/pipelines/{identity}/{notebook.name}",
        steps=[StepResult(step.name, "pending") for step in pipeline.steps],
        parameters=parameters,
    )
    Store(workspace).put(queued, new=True)
    workspace.announce("pipelines", identity, "queued")
    try:
        process = _spawn(workspace, notebook, parameters, identity)
    except Unavailable as error:
        _fail(workspace, identity, str(error))
        raise
    threading.Thread(
        target=_await_end, args=(workspace, identity, process), name=identity, daemon=True
    ).start()
    return queued


def command(notebook: Path, parameters: dict[str, Scalar], identity: str) -> list[str]:
    """The command line that runs the pipeline under that id."""
    options = [part for name, value in parameters.items() for part in ("-p", name, _as_text(value))]
    return [
        sys.executable,
        "-m",
        "mlops_jupyter",
        "run",
        *options,
        "--id",
        identity,
        "--",
        str(notebook),
    ]


def _as_text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def log_path(workspace: Workspace, identity: str) -> Path:
    """Where the process writes what it says."""
    return workspace.path("logs", f"pipeline-{identity}.log")


def _spawn(
    workspace: Workspace, notebook: Path, parameters: dict[str, Scalar], identity: str
) -> subprocess.Popen[bytes]:
    """Start the process: its own session, so that closing JupyterLab does not end it; its working
    folder is ``.mlops/``, where no module of the project can hide one that Python needs."""
    try:
        with open(log_path(workspace, identity), "wb") as log:
            return subprocess.Popen(
                command(notebook, parameters, identity),
                cwd=workspace.state,
                env={**os.environ, ENV: str(workspace.root)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise Unavailable(
            f"The pipeline's process cannot be started: {error.strerror or error}.",
            hint="Free memory or disk space, or pass shorter parameters.",
        ) from error


def _await_end(workspace: Workspace, identity: str, process: subprocess.Popen[bytes]) -> None:
    """When the process is gone, its run is over: one that it did not finish has failed."""
    from .._store import Store

    code = process.wait()
    if not workspace.state.is_dir():
        return
    if Store(workspace).get(PipelineRun, identity).status in ("queued", "running"):
        _fail(workspace, identity, _last_line(log_path(workspace, identity)) or _ending(code))


def _fail(workspace: Workspace, identity: str, error: str) -> None:
    from .._store import Store

    store = Store(workspace)
    run = store.get(PipelineRun, identity)
    steps = [
        replace(step, status="failed" if step.status == "running" else "skipped")
        if step.status in ("running", "pending")
        else step
        for step in run.steps
    ]
    store.update(PipelineRun, identity, status="failed", error=error, steps=steps)
    workspace.announce("pipelines", identity, "failed")


def _ending(code: int) -> str:
    if code < 0:
        return f"The pipeline's process was ended by {signal.Signals(-code).name}."
    return f"The pipeline's process ended with exit code {code} and said nothing."


def _last_line(path: Path) -> str:
    """The last line that is not empty, without control sequences, at most 300 characters."""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    text = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return "".join(c for c in text if c.isprintable())[:_LINE]
