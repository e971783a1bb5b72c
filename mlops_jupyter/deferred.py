"""MLflow runs that are written down now and made later, by the courier or whoever looks next.

A run of a pipeline in which nothing changed is over before MLflow could be imported. What MLflow
is to hold of it is a file under ``.mlops/deferred/``; delivering is idempotent (runs have keys).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import Timeout

from .errors import NotFound
from .models import PipelineRun, Scalar, from_dict, to_json
from .workspace import Workspace, write_atomic

if TYPE_CHECKING:
    from ._mlflow import Tracking

_FOLDER = "deferred"


@dataclass(frozen=True)
class Deferred:
    """A run and its steps, all of them over.

    Attributes
    ----------
    id, key:
        The pipeline run's name, and its key in MLflow.
    text:
        File (in the workspace) whose text becomes the run's artifact ``artifact``.
    steps:
        Names, in order.
    sources:
        For each step the id of the pipeline run from which its results come.
    logged:
        For each step the key of what it logged with MLflow when it ran, or ``""``.
    cache:
        Where that is kept: a URL, or a folder (relative to the workspace, if it is in there).
    """

    id: str
    key: str
    notebook: str
    started: str
    seconds: float
    text: str
    artifact: str
    parameters: dict[str, Scalar] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    status: str = "cached"
    sources: list[str] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)
    cache: str = ""


def write(workspace: Workspace, run: Deferred) -> None:
    """Write a run down.

    Raises
    ------
    Unavailable
        If that is not possible.
    """
    write_atomic(workspace.path(_FOLDER, f"{run.id}.json"), to_json(run))


def pending(workspace: Workspace) -> list[Path]:
    """What is to be delivered, oldest first."""
    return sorted((workspace.state / _FOLDER).glob("*.json"))


def deliver(workspace: Workspace) -> int:
    """Make the runs; how many there were. One process does it at a time.

    Raises
    ------
    Unavailable
        If MLflow's store cannot be reached; what is left stays.
    """
    if not pending(workspace):
        return 0
    try:
        with workspace.lock(_FOLDER, timeout=0):
            files = pending(workspace)
            for file in files:
                with contextlib.suppress(FileNotFoundError, ValueError, TypeError):
                    _deliver(workspace, from_dict(Deferred, json.loads(file.read_text("utf-8"))))
                file.unlink(missing_ok=True)
            return len(files)
    except Timeout:
        return 0


def _deliver(workspace: Workspace, run: Deferred) -> None:
    from ._mlflow import Tracking

    tracking = Tracking(workspace)
    ended = (
        datetime.fromisoformat(run.started.replace("Z", "+00:00")) + timedelta(seconds=run.seconds)
    ).isoformat()
    parent = tracking.start_run(
        run.notebook, kind="pipeline", notebook=run.notebook, key=run.key, started=run.started
    )
    tracking.log(parent, parameters=dict(run.parameters), metrics={"seconds": run.seconds})
    with contextlib.suppress(OSError):
        tracking.log_text(parent, (workspace.root / run.text).read_text("utf-8"), run.artifact)
    if any(run.logged):
        _log_again(workspace, tracking, parent, run)
    children = []
    for number, name in enumerate(run.steps):
        source = {"mlops.cached_from": run.sources[number]} if run.sources else {}
        child = tracking.start_run(
            name,
            kind="step",
            parent_id=parent,
            notebook=run.notebook,
            key=f"{run.key}-{number}",
            started=run.started,
            tags={"mlops.status": run.status, **source},
        )
        tracking.log(child, metrics={"seconds": 0.0})
        tracking.end_run(child, "FINISHED", ended)
        children.append(child)
    tracking.end_run(parent, "FINISHED", ended)
    _note(workspace, run.id, parent, children)


def _log_again(workspace: Workspace, tracking: Tracking, parent: str, run: Deferred) -> None:
    """Log to the run what its steps logged when they ran; doing it twice shows no second time."""
    from ._mlflow import Ledger
    from .blobs import Blobs

    blobs = Blobs(run.cache if "://" in run.cache else workspace.root / run.cache)
    ledger = Ledger(tracking, parent, blobs)
    for key in filter(None, run.logged):
        ledger.write(key)


def _note(workspace: Workspace, id: str, parent: str, children: Sequence[str]) -> None:
    """Let the pipeline run know its MLflow runs."""
    from dataclasses import replace

    from ._store import Store

    store = Store(workspace)
    with contextlib.suppress(NotFound):
        known = store.get(PipelineRun, id)
        steps = [replace(s, run_id=child) for s, child in zip(known.steps, children, strict=False)]
        store.put(replace(known, run_id=parent, steps=steps))
        workspace.announce("pipelines", id, "delivered")
