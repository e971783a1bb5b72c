"""Continuing a pipeline run that failed or was cancelled.

What it did is not done again: its steps are in the cache, and those that a cache must not answer
for (they asked a network, say) count for the run that continues it. A continued run that fails can
be continued as well. Such a chain of runs is known by its first one: where one of the later ones
made a trace, the trace is given to the first.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import notebook as notebooks
from ..errors import Conflict, InvalidInput, MLOpsError, NotFound
from ..models import PipelineRun, Scalar
from ..redaction import MASK
from ..workspace import Workspace
from . import parameters as contract
from . import runner
from .past import Executed


def find(workspace: Workspace, what: str) -> PipelineRun:
    """The run that a notebook's path (its last one) or an id names, whatever its status.

    Raises
    ------
    NotFound
        If there is no such notebook or run, or the notebook never ran.
    """
    try:
        notebook = workspace.resolve(what, "notebook")
    except NotFound:
        if what.endswith(".ipynb"):
            raise
        return runner.find(workspace, what)
    run = runner.last(workspace, notebook)
    if run is None:
        name = workspace.relative(notebook)
        raise NotFound(f"{name} was never run here.", hint=f"Run it: mlops run {name}")
    return run


def resumable(workspace: Workspace, what: str) -> tuple[PipelineRun, Path]:
    """The run that would be continued, and its notebook.

    Raises
    ------
    NotFound
        As :func:`find`; or if the notebook is not there any more.
    Conflict
        If the run succeeded, goes on or has not begun: there is nothing to continue.
    """
    run = find(workspace, what)
    if run.status == "succeeded":
        raise Conflict(
            f"Run {run.id} of {run.notebook} succeeded: there is nothing to resume.",
            hint=f"Run it again: mlops run {run.notebook}",
        )
    if run.status in ("running", "queued"):
        raise Conflict(f"Run {run.id} of {run.notebook} is going on.", hint="Wait for it.")
    place = Path(what).expanduser()
    if what == run.id or not place.is_file():
        place = workspace.resolve(run.notebook, "notebook")
    return run, place.absolute()


def resume(
    workspace: Workspace,
    what: str,
    *,
    secrets: Mapping[str, str] | None = None,
    **options: Any,
) -> PipelineRun:
    """Continue a notebook's last run, or the run with an id, with its parameters; waits until it
    ended. The notebook may have been edited meanwhile: steps whose code changed run.

    Parameters
    ----------
    what:
        Path of the notebook, or id of the run.
    secrets:
        As for :func:`~mlops_jupyter.pipelines.run`; the run's secrets have to be given again.
    options:
        Others of :func:`~mlops_jupyter.pipelines.run`.

    Raises
    ------
    NotFound, Conflict
        As :func:`resumable`.
    InvalidInput
        If a secret is not given again, or the notebook does not have a parameter any more; and as
        for :func:`~mlops_jupyter.pipelines.run`.
    Unavailable
        As for :func:`~mlops_jupyter.pipelines.run`.
    """
    run, notebook = resumable(workspace, what)
    values = _parameters(workspace, run, notebook, secrets or {})
    return runner.run(workspace, notebook, values, secrets=secrets, resume=run.id, **options)


def _parameters(
    workspace: Workspace, run: PipelineRun, notebook: Path, secrets: Mapping[str, str]
) -> dict[str, Any]:
    """What the run was given and is given again."""
    known = {parameter.name for parameter in contract.declared(notebooks.read(notebook))}
    for name in run.parameters:
        if name not in known:
            raise InvalidInput(
                f"Run {run.id} was given the parameter {name!r}, which {notebook.name} does not "
                "have any more.",
                hint=f"Declare it again, or begin anew: mlops run {run.notebook}",
            )
    values = {name: value for name, value in run.parameters.items() if name not in secrets}
    for name, value in values.items():
        if value == MASK:
            raise InvalidInput(
                f"The value of the parameter {name!r} was a secret and is not kept.",
                hint=f"Give it again: --param-env {name}=VARIABLE",
            )
    return _exact(workspace, run, values)


def _exact(workspace: Workspace, run: PipelineRun, values: dict[str, Scalar]) -> dict[str, Any]:
    """The values as they were: the record has lists and dicts as text."""
    if not any(isinstance(value, str) and value[:1] in ("[", "{") for value in values.values()):
        return values
    with contextlib.suppress(MLOpsError):
        given = Executed.of(workspace, run).parameters
        return {name: given.get(name, value) for name, value in values.items()}
    return values
