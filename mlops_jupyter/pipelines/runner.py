"""Showing a notebook as a pipeline, running it, and the history of runs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import Timeout

from .. import notebook as notebooks
from .. import plugins
from ..blobs import Blobs
from ..cache import open_cache
from ..errors import InvalidInput
from ..models import Pipeline, PipelineRun
from ..workspace import Workspace, write_atomic
from . import parameters as contract
from . import secrets as secret_parameters
from .analysis import analyse
from .ids import checked
from .job import Job, Options, lock_name, run_key
from .source import check_syntax
from .steps import cut
from .unchanged import unchanged

if TYPE_CHECKING:
    from ..executors.base import Executor
    from .conductor import Conductor

OnChange = Callable[[PipelineRun], None]
RUNNER_DIED = "the runner died"
EXECUTED = "executed"


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
    cache: str | None = None,
    use_cache: bool = True,
    resume: str | None = None,
    secrets: Mapping[str, str] | None = None,
    id: str | None = None,
    on_change: OnChange | None = None,
) -> PipelineRun:
    """Run ``notebook`` with ``parameters``, giving what running it from top to bottom gives; waits
    until it ended.

    Kernels work in the notebook's folder. Steps whose inputs are what they were in an earlier run
    are not run again. A cell that fails does not raise here: the run's status is ``failed`` and its
    ``error`` says where.

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
        How many steps may run at the same time where none needs the other.
    cache:
        Where results are kept, a folder or a URL; default: as configured.
    use_cache:
        Whether results of earlier runs are used.
    resume:
        The id of a run that is continued: also those of its steps count as done that would
        otherwise not be taken from a cache, as those that read from a network; so do those of the
        runs that it continued itself.
    secrets:
        Parameter name to the variable of the environment that holds its value, which is never
        written anywhere.
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
    content = notebooks.read_plain(notebook) or notebooks.read(notebook)
    check_syntax(content, cut(content), notebook.name)
    declared = contract.declared(content)
    values = contract.check(declared, parameters)
    hidden = secret_parameters.check(declared, secrets or {}, os.environ, parameters)
    if workers < 1:
        raise InvalidInput(f"There cannot be {workers} workers.", hint="Give 1 or more.")
    name, _, address = executor.partition(":")
    kind = plugins.load("executors", name)
    id = checked(id)
    target = output or executed_path(workspace, output_name(notebook, id))
    target = target.absolute()
    if target.resolve() == notebook.resolve():
        raise InvalidInput("The output would replace the notebook itself.", hint="Choose another.")
    if target.is_dir():
        raise InvalidInput(f"The output {target.name!r} is a folder.", hint="Name a file.")
    blobs = open_cache(workspace, cache)
    job = Job(
        id,
        str(workspace.root),
        str(notebook),
        str(notebook.parent),
        str(target),
        values,
        tuple(hidden),
    )
    first = _first(workspace, blobs, resume)
    if use_cache and (run := unchanged(job, blobs, first, on_change)) is not None:
        return _link(workspace, run, resume)
    from .conductor import Conductor
    from .predictions import check_input, predict

    check_input(predict(content, cut(content)), notebook.name)
    options = Options(blobs.url, use_cache, first, workers)
    conductor = Conductor(job, on_change, resume)
    with (
        contextlib.closing(conductor),
        kind(workers=workers, address=address) as pool,
        blobs.lease(),
    ):
        conductor.expect(content)
        try:
            return _run(conductor, pool, options)
        except (KeyboardInterrupt, SystemExit):
            with contextlib.suppress(LookupError):
                _settle(workspace, id)
            raise


def _first(workspace: Workspace, blobs: Blobs, resume: str | None) -> str | None:
    """What a chain of continued runs is known by."""
    if resume is None:
        return None
    from .past import joined

    return joined(workspace, blobs, find(workspace, resume))


def _link(workspace: Workspace, run: PipelineRun, resume: str | None) -> PipelineRun:
    """Note in the store which run this one continued."""
    if resume is None:
        return run
    from .._store import Store

    return Store(workspace).update(PipelineRun, run.id, resumed=resume)


def _run(conductor: Conductor, executor: Executor, options: Options) -> PipelineRun:
    from .. import _kernels, _papermill

    path = Path(conductor.job.notebook)
    _papermill.execute(
        path,
        conductor.job.parameters,
        _kernels.kernel_name(notebooks.read(path)),
        conductor=conductor,
        executor=executor,
        settings=options,
    )
    return conductor.state


def output_name(notebook: Path, id: str) -> str:
    """Where the executed notebook goes if nobody says: a path in the workspace that JupyterLab can
    open (it hides ``.mlops/``)."""
    return f"{EXECUTED}/{notebook.stem}-{id}.ipynb"


def executed_path(workspace: Workspace, name: str) -> Path:
    """The path of an :func:`output_name`; its folder ignores itself in git, as ``.mlops/`` does."""
    ignore = workspace.ensure().root / EXECUTED / ".gitignore"
    if not ignore.exists():
        write_atomic(ignore, "*\n")
    return workspace.root / name


def history(workspace: Workspace, limit: int = 50) -> list[PipelineRun]:
    """Pipeline runs, newest first. One that says ``running`` but whose runner is gone is stored
    as ``cancelled``, and its MLflow runs are closed as KILLED."""
    from .._store import Store

    found = Store(workspace).all(PipelineRun, limit)
    return [_settle(workspace, run.id) if run.status == "running" else run for run in found]


def find(workspace: Workspace, id: str) -> PipelineRun:
    """The pipeline run ``id``, closed as :func:`history` does if its runner is gone.

    Raises
    ------
    NotFound
        If there is none.
    """
    from .._store import Store

    run = Store(workspace).get(PipelineRun, id)
    return _settle(workspace, id) if run.status == "running" else run


def last(workspace: Workspace, notebook: Path) -> PipelineRun | None:
    """The notebook's last pipeline run, closed as :func:`history` does; ``None`` without one."""
    from .._store import Store

    name = workspace.relative(notebook)
    runs = (run for run in Store(workspace).all(PipelineRun) if run.notebook == name)
    run = next(runs, None)
    return run and find(workspace, run.id)


def _settle(workspace: Workspace, id: str) -> PipelineRun:
    """The run ``id``, closed if its runner is gone."""
    from .._store import Store

    store = Store(workspace)
    try:
        with workspace.lock(lock_name(id), timeout=0):
            run = store.get(PipelineRun, id)
            if run.status != "running":
                return run
            parent = _kill_runs(workspace, run)
            steps = [
                replace(step, status="failed", reason=RUNNER_DIED)
                if step.status == "running"
                else replace(step, status="skipped", reason=RUNNER_DIED)
                if step.status == "pending"
                else step
                for step in run.steps
            ]
            run = replace(run, run_id=run.run_id or parent, steps=steps)
            run = store.put(replace(run, status="cancelled", error=RUNNER_DIED))
    except Timeout:
        return store.get(PipelineRun, id)
    workspace.announce("pipelines", id, "cancelled")
    return run


def _kill_runs(workspace: Workspace, killed: PipelineRun) -> str:
    """Close the MLflow runs of a pipeline run; its parent run, which is made if its runner did not
    come to that."""
    from .._mlflow import Tracking

    tracking = Tracking(workspace)
    parent = tracking.start_run(
        killed.notebook,
        kind="pipeline",
        notebook=killed.notebook,
        key=run_key(killed.id),
        started=killed.started or None,
    )
    for run in [*tracking.runs(parent_id=parent, kind="step"), tracking.run(parent)]:
        if run.status == "RUNNING":
            tracking.end_run(run.run_id, "KILLED")
    return parent
