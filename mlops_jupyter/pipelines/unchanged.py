"""The short way when nothing changed: all steps come from the cache, and no kernel starts.

Nothing heavy is imported here (nbformat, papermill, MLflow): the notebook is read as plain JSON,
and the MLflow runs are written down for the courier. Where anything is unusual the answer is
``None``, and the long way is taken.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from filelock import Timeout

from .. import deferred
from ..blobs import Blobs
from ..capture.kernel import spawn_courier
from ..errors import MLOpsError, NotFound
from ..models import PipelineRun, StepResult, now
from ..notebook import Node, read_plain, tags
from ..workspace import Workspace, write_atomic
from .assembly import Assembly
from .job import Job, lock_name, run_key
from .state import State, put_back
from .steps import INJECTED, PARAMETERS, cut
from .traces import Trace, Traces, code_keys, counts

CACHED = "nothing changed"


def unchanged(  # noqa: PLR0911  # each is a reason to take the long way
    job: Job,
    blobs: Blobs,
    resumed: str | None,
    on_change: Callable[[PipelineRun], None] | None,
) -> PipelineRun | None:
    """The run of a notebook whose every step is in the cache, or ``None`` if one is not.

    Raises
    ------
    Unavailable
        If a file or the database cannot be written; if MLflow, which is elsewhere, cannot be
        reached by a CI job.
    """
    began, started = time.perf_counter(), now()
    notebook = read_plain(Path(job.notebook))
    if notebook is None:
        return None
    kernel = notebook.metadata.get("kernelspec", {}).get("name") or "python3"
    _inject(notebook, job)
    steps = cut(notebook)
    try:
        keys = code_keys(notebook, steps, kernel, job.given())
    except SyntaxError:
        return None
    folder = Path(job.folder)
    traces = Traces(blobs, folder, sealed="://" not in blobs.url)
    state, found = State(), list[Trace]()
    first = counts(steps)
    for number, key in enumerate(keys):
        trace, _ = traces.find(key, state, first[number], resumed)
        if trace is None:
            return None
        found.append(trace)
        state = state.after(number, trace.delta, trace.label, keeps=bool(trace.surroundings))
    if blobs.shown != blobs.url and any(trace.logged for trace in found):
        return None  # the courier cannot be told the secret in the cache's URL
    assembly = Assembly(notebook, Node.of)
    try:
        for number, (step, trace) in enumerate(zip(steps, found, strict=True)):
            packed = json.loads(blobs.get(trace.outputs))
            assembly.add(step.cells, packed, first[number])
            for index in step.cells:
                if INJECTED in tags(notebook.cells[index]):
                    notebook.cells[index].source = packed.get("injected") or ""
        put_back(blobs, folder, state.files, set(state.files))
    except MLOpsError:
        return None
    workspace = Workspace(job.workspace)
    try:
        with workspace.lock(lock_name(job.id), timeout=0):
            if _known(workspace, job.id):
                return None
            seconds = time.perf_counter() - began
            _mark(notebook, workspace, job, started, seconds)
            text = json.dumps(notebook, indent=1, ensure_ascii=False)
            write_atomic(Path(job.output or ""), f"{text}\n")
            run = PipelineRun(
                id=job.id,
                run_id=None,
                notebook=workspace.relative(job.notebook),
                status="succeeded",
                started=started,
                seconds=seconds,
                output=workspace.relative(job.output or ""),
                steps=[StepResult(step.name, "cached", 0.0, CACHED) for step in steps],
                parameters=job.shown(),
            )
            return _store(workspace, run, blobs, found, on_change)
    except Timeout:
        return None


def _inject(notebook: Node, job: Job) -> None:
    """A cell where papermill puts its own, with the values in the notebook's metadata."""
    about = notebook.metadata.setdefault("papermill", Node())
    about["parameters"] = Node(job.parameters)
    if not job.parameters and not job.secrets:
        return
    metadata = Node(tags=[INJECTED])
    cell = Node(
        cell_type="code",
        source="parameters",
        metadata=metadata,
        outputs=[],
        execution_count=None,
        id="injected",
    )
    places = {
        tag: [n for n, cell in enumerate(notebook.cells) if tag in tags(cell)]
        for tag in (INJECTED, PARAMETERS)
    }
    if places[INJECTED]:
        notebook.cells[places[INJECTED][0]] = cell
    elif places[PARAMETERS]:
        notebook.cells.insert(places[PARAMETERS][0] + 1, cell)
    else:
        notebook.cells.insert(0, cell)


def _mark(notebook: Node, workspace: Workspace, job: Job, started: str, seconds: float) -> None:
    """What papermill notes about an execution."""
    about = {
        "exception": None,
        "start_time": started,
        "end_time": now(),
        "duration": seconds,
    }
    notebook.metadata["papermill"] |= {
        **about,
        "input_path": workspace.relative(job.notebook),
        "output_path": workspace.relative(job.output or ""),
    }
    for cell in notebook.cells:
        cell.metadata.setdefault("tags", [])
        cell.metadata["papermill"] = {
            "exception": False,
            "start_time": started,
            "end_time": started,
            "duration": 0.0,
            "status": "completed",
        }


def _known(workspace: Workspace, id: str) -> bool:
    """Whether there was a run of that name already (the long way says what is wrong with it)."""
    from .._store import Store

    with contextlib.suppress(NotFound):
        return Store(workspace).get(PipelineRun, id).status != "queued"
    return False


def _place(workspace: Workspace, url: str) -> str:
    """A cache's URL, its folder relative to the workspace if it is in there."""
    inside = "://" not in url and Path(url).is_relative_to(workspace.root)
    return workspace.relative(url) if inside else url


def _store(
    workspace: Workspace,
    run: PipelineRun,
    blobs: Blobs,
    traces: list[Trace],
    on_change: Callable[[PipelineRun], None] | None,
) -> PipelineRun:
    from .._store import Store

    run = Store(workspace).put(run)
    deferred.write(
        workspace,
        deferred.Deferred(
            run.id,
            run_key(run.id),
            run.notebook,
            run.started,
            run.seconds or 0.0,
            run.output,
            Path(run.notebook).name,
            run.parameters,
            [step.name for step in run.steps],
            sources=[trace.run for trace in traces],
            logged=[trace.logged for trace in traces],
            cache=_place(workspace, blobs.url),
        ),
    )
    workspace.announce("pipelines", run.id, run.status)
    if workspace.config.tracking_uri and os.environ.get("CI"):
        deferred.deliver(workspace)  # this machine may be gone when the command is over
        run = Store(workspace).get(PipelineRun, run.id)
    else:
        spawn_courier(workspace)
    if on_change is not None:
        on_change(run)
    return run
