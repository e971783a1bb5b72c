"""Showing a notebook as a pipeline, running it, and the history of runs."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from concurrent.futures import Future, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import Timeout

from .. import notebook as notebooks
from .. import plugins
from ..errors import InvalidInput
from ..models import Pipeline, PipelineRun
from ..workspace import Workspace, write_atomic
from . import parameters as contract
from .analysis import analyse
from .conductor import Conductor, Job, OnChange, lock_name, run_key
from .ids import checked
from .source import check_syntax
from .steps import cut

RUNNER_DIED = "the runner died"
EXECUTED = "executed"
_POLL_SECONDS = 0.2


def show(workspace: Workspace, notebook: Path) -> Pipeline:
    """``notebook`` as a pipeline: its parameters, its steps and what each needs.

    Raises
    ------
    NotFound
        If there is no such file.
    InvalidInput
        If it is not a Python notebook, or a cell has a syntax error.
    """
    content = notebooks.read(notebook)
    steps = cut(content)
    check_syntax(content, steps, notebook.name)
    return Pipeline(
        workspace.relative(notebook), contract.declared(content), analyse(content, steps)
    )


def run(
    workspace: Workspace,
    notebook: Path,
    parameters: Mapping[str, Any],
    *,
    output: Path | None = None,
    executor: str = "local",
    workers: int = 1,
    id: str | None = None,
    on_change: OnChange | None = None,
) -> PipelineRun:
    """Run ``notebook`` from top to bottom with ``parameters``; returns when it ended.

    The kernel works in the notebook's folder. A cell that fails does not raise here: the run's
    status is ``failed`` and its ``error`` says where.

    Parameters
    ----------
    parameters:
        Values by name; strings are converted to the declared types.
    output:
        Where the executed notebook is written; default ``executed/<its name>-<id>.ipynb`` in the
        workspace.
    executor:
        A plug-in's name, for one that connects to a scheduler ``name:address``.
    workers:
        At most this many workers; a notebook's steps form one chain, which one worker runs.
    id:
        The run's name, if it has to be known before.
    on_change:
        Called with the state after each change.

    Raises
    ------
    NotFound, InvalidInput
        As :func:`show`, for a parameter that is unknown or of the wrong type, an output that is
        the notebook itself or a folder. Nothing ran.
    Unavailable
        If the kernel, MLflow's store, the database or the disk is not usable.
    """
    notebook = Path(notebook).absolute()
    content = notebooks.read(notebook)
    check_syntax(content, cut(content), notebook.name)
    values = contract.check(contract.declared(content), parameters)
    if workers < 1:
        raise InvalidInput(f"There cannot be {workers} workers.", hint="Give 1 or more.")
    name, _, address = executor.partition(":")
    kind = plugins.load("executors", name)
    id = checked(id)
    target = output.absolute() if output else _executed(workspace, notebook, id)
    if target.resolve() == notebook.resolve():
        raise InvalidInput("The output would replace the notebook itself.", hint="Choose another.")
    if target.is_dir():
        raise InvalidInput(f"The output {target.name!r} is a folder.", hint="Name a file.")
    job = Job(id, str(workspace.root), str(notebook), str(notebook.parent), str(target), values)
    try:
        with kind(workers=1, address=address) as pool:
            if pool.in_process:
                result: PipelineRun = pool.submit(execute, job, on_change).result()
                return result
            return _follow(workspace, pool.submit(execute, job), id, on_change)
    except (KeyboardInterrupt, SystemExit):
        with contextlib.suppress(LookupError):
            _settle(workspace, id)
        raise


def output_name(notebook: Path, id: str) -> str:
    """Where the executed notebook goes if nobody says: a path in the workspace that JupyterLab can
    open (it hides ``.mlops/``)."""
    return f"{EXECUTED}/{notebook.stem}-{id}.ipynb"


def _executed(workspace: Workspace, notebook: Path, id: str) -> Path:
    """The default output's path; its folder ignores itself in git, as ``.mlops/`` does."""
    ignore = workspace.ensure().root / EXECUTED / ".gitignore"
    if not ignore.exists():
        write_atomic(ignore, "*\n")
    return workspace.root / output_name(notebook, id)


def execute(job: Job, on_change: OnChange | None = None) -> PipelineRun:
    """Run a job here, in this thread; what an executor calls."""
    from .. import _papermill

    conductor = Conductor(job, on_change)
    content = notebooks.read(Path(job.notebook))
    _papermill.execute(
        Path(job.notebook),
        job.parameters,
        _papermill.kernel_name(content),
        conductor=conductor,
    )
    return conductor.state


def _follow(
    workspace: Workspace, future: Future[PipelineRun], id: str, on_change: OnChange | None
) -> PipelineRun:
    """Wait for a run that goes on elsewhere; its events tell what changed meanwhile."""
    from .._store import Store

    store, tail = Store(workspace), workspace.follow()
    done = False
    while not done:
        done = bool(wait([future], timeout=_POLL_SECONDS).done)
        changed = any(event.noun == "pipelines" and event.id == id for event in tail.read())
        if changed and on_change is not None:
            on_change(store.get(PipelineRun, id))
    return future.result()


def history(workspace: Workspace, limit: int = 50) -> list[PipelineRun]:
    """Pipeline runs, newest first. One that says ``running`` but whose runner is gone is stored
    as ``cancelled``, and its MLflow runs are closed as KILLED."""
    from .._store import Store

    found = Store(workspace).all(PipelineRun, limit)
    return [_settle(workspace, run.id) if run.status == "running" else run for run in found]


def _settle(workspace: Workspace, id: str) -> PipelineRun:
    """The run ``id``, closed if its runner is gone."""
    from .._store import Store

    store = Store(workspace)
    try:
        with workspace.lock(lock_name(id), timeout=0):
            run = store.get(PipelineRun, id)
            if run.status != "running":
                return run
            _kill_runs(workspace, id)
            steps = [
                replace(step, status="failed", reason=RUNNER_DIED)
                if step.status == "running"
                else replace(step, status="skipped", reason=RUNNER_DIED)
                if step.status == "pending"
                else step
                for step in run.steps
            ]
            run = store.put(replace(run, status="cancelled", error=RUNNER_DIED, steps=steps))
    except Timeout:
        return store.get(PipelineRun, id)
    workspace.announce("pipelines", id, "cancelled")
    return run


def _kill_runs(workspace: Workspace, id: str) -> None:
    from .._mlflow import Tracking

    tracking = Tracking(workspace)
    parent = tracking.run_by_key(run_key(id))
    if parent is None:
        return
    for run in [*tracking.runs(parent_id=parent, kind="step"), tracking.run(parent)]:
        if run.status == "RUNNING":
            tracking.end_run(run.run_id, "KILLED")
