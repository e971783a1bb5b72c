"""Starting pipelines in processes of their own, which outlive the server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

from ..errors import Unavailable
from ..models import PipelineRun, Scalar, StepResult, now
from ..workspace import ENV, Workspace

_TAIL_BYTES = 8192
_LINE = 300
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def start(workspace: Workspace, notebook: Path, parameters: dict[str, Scalar]) -> PipelineRun:
    """Check, queue and start a notebook as a pipeline: ``mlops run``.

    Returns
    -------
    PipelineRun
        With status ``queued``; the process takes it over under the same id. If the process ends
        without having done so, the run becomes ``failed`` with the last line the process wrote.

    Raises
    ------
    InvalidInput
        If the notebook is not one, or does not declare such parameters. Nothing was started.
    Unavailable
        If no process can be started.
    """
    options = [part for name, value in parameters.items() for part in ("-p", name, str(value))]
    return _start(workspace, notebook, parameters, ["run", *options], str(notebook))


def retrain(workspace: Workspace, alert: str) -> PipelineRun:
    """Queue and start the retraining that an alert asks for: ``mlops alerts retrain``. Otherwise as
    :func:`start`.

    Raises
    ------
    NotFound, Conflict, InvalidInput
        As :func:`mlops_jupyter.monitoring.retraining`. Nothing was started.
    """
    from .. import monitoring

    notebook, parameters = monitoring.retraining(workspace, alert)
    return _start(workspace, notebook, parameters, ["alerts", "retrain"], alert)


def _start(
    workspace: Workspace,
    notebook: Path,
    parameters: dict[str, Scalar],
    words: list[str],
    subject: str,
) -> PipelineRun:
    from .. import pipelines
    from .._store import Store
    from ..pipelines.ids import new_id
    from ..pipelines.parameters import check

    pipeline = pipelines.show(workspace, notebook)
    checked = check(pipeline.parameters, parameters)
    identity = new_id()
    queued = PipelineRun(
        id=identity,
        run_id=None,
        notebook=workspace.relative(notebook),
        status="queued",
        started=now(),
        seconds=None,
        output=pipelines.output_name(notebook, identity),
        steps=[StepResult(step.name, "pending") for step in pipeline.steps],
        parameters=checked,
    )
    Store(workspace).put(queued, new=True)
    workspace.announce("pipelines", identity, "queued")
    try:
        process = _spawn(workspace, identity, command(words, identity, subject))
    except Unavailable as error:
        _fail(workspace, identity, str(error))
        raise
    threading.Thread(
        target=_await_end, args=(workspace, identity, process), name=identity, daemon=True
    ).start()
    return queued


def command(words: list[str], identity: str, subject: str) -> list[str]:
    """The command line of ``mlops`` that runs a pipeline under that id."""
    return [sys.executable, "-m", "mlops_jupyter", *words, "--id", identity, "--", subject]


def log_path(workspace: Workspace, identity: str) -> Path:
    """Where the process writes what it says."""
    return workspace.path("logs", f"pipeline-{identity}.log")


def _spawn(workspace: Workspace, identity: str, line: list[str]) -> subprocess.Popen[bytes]:
    """Start the process: in its own session, so that closing JupyterLab does not end it; in
    ``.mlops/``, where no module of the project can hide one that Python needs."""
    try:
        with open(log_path(workspace, identity), "wb") as log:
            return subprocess.Popen(
                line,
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
    """When the process is gone, its run is over: one that it never took over has failed."""
    from .. import pipelines
    from .._store import Store

    code = process.wait()
    if not workspace.state.is_dir():
        return
    status = Store(workspace).get(PipelineRun, identity).status
    if status == "queued":
        _fail(workspace, identity, _last_line(log_path(workspace, identity)) or _ending(code))
    elif status == "running":
        pipelines.history(workspace)  # closes the runs whose runner is gone


def _fail(workspace: Workspace, identity: str, error: str) -> None:
    from .._store import Store

    store = Store(workspace)
    steps = [replace(step, status="skipped") for step in store.get(PipelineRun, identity).steps]
    store.update(PipelineRun, identity, status="failed", error=error, steps=steps)
    workspace.announce("pipelines", identity, "failed")


def _ending(code: int) -> str:
    if code < 0:
        return f"The pipeline's process was ended by {signal.Signals(-code).name}."
    return f"The pipeline's process ended with exit code {code} and said nothing."


def _last_line(path: Path) -> str:
    """The last line that is not empty, without colours, at most 300 characters."""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    text = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return "".join(c for c in _COLOUR.sub("", text) if c.isprintable())[:_LINE]
