"""The conductor: accompanies one execution of a notebook and keeps its record true.

Before and after each step it updates the :class:`~mlops_jupyter.models.PipelineRun` in the store,
announces the change, and opens or closes the step's MLflow run, a child of the pipeline's. While
it works it holds the lock ``pipeline-<id>``: a run that says ``running`` and whose lock is free
has lost its runner (:func:`mlops_jupyter.pipelines.history`).
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from filelock import Timeout

from ..errors import Conflict, NotFound
from ..models import PipelineRun, PipelineStatus, Scalar, StepResult, StepStatus, now, to_json
from ..notebook import tags
from ..workspace import Workspace
from .steps import INJECTED, cut, runs

if TYPE_CHECKING:
    from .._mlflow import Tracking
    from .._store import Store

OnChange = Callable[[PipelineRun], None]
CANCELLED = "the run was cancelled"
_ENDS: dict[str, str] = {"succeeded": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}


@dataclass(frozen=True)
class Job:
    """One run of a notebook, ready to be sent to where it runs.

    ``workspace``, ``notebook``, ``folder`` (the kernel's) and ``output`` are absolute paths;
    ``output`` is ``None`` when papermill's caller keeps it elsewhere.
    """

    id: str
    workspace: str
    notebook: str
    folder: str
    output: str | None
    parameters: dict[str, Any] = field(default_factory=dict)


def lock_name(id: str) -> str:
    """The lock that the runner of a pipeline run holds."""
    return f"pipeline-{id}"


def run_key(id: str) -> str:
    """What the pipeline run's parent run is called in MLflow's ``mlops.key`` tag."""
    return f"pipeline-{id}"


class Conductor:
    """A watcher (see :mod:`mlops_jupyter._papermill`) of one run; use :meth:`over` around it.

    Parameters
    ----------
    job:
        What runs.
    on_change:
        Called with the :class:`~mlops_jupyter.models.PipelineRun` after each change.
    """

    def __init__(self, job: Job, on_change: OnChange | None = None) -> None:
        self.job = job
        self.workspace = Workspace(job.workspace)
        self.folder = Path(job.folder)
        self.state = PipelineRun(
            id=job.id,
            run_id=None,
            notebook=self.workspace.relative(job.notebook),
            status="running",
            started=now(),
            seconds=None,
            output=self.workspace.relative(job.output) if job.output else "",
            steps=[],
            parameters={name: _scalar(value) for name, value in job.parameters.items()},
        )
        self._on_change = on_change
        self._lock = self.workspace.lock(lock_name(job.id), timeout=0)
        self._error: str | None = None
        self._current: int | None = None
        self._began = self._step_began = 0.0

    @cached_property
    def _tracking(self) -> Tracking:
        from .._mlflow import Tracking

        return Tracking(self.workspace)

    @cached_property
    def _store(self) -> Store:
        from .._store import Store

        return Store(self.workspace)

    @property
    def environment(self) -> dict[str, str]:
        """What the kernel is told: whose run it is, and that the runner delivers its journal."""
        return {
            "MLOPS_COURIER": "off",
            "MLOPS_NOTEBOOK": self.state.notebook,
            "MLOPS_PIPELINE_RUN": self.state.run_id or "",
            "MLOPS_WORKSPACE": str(self.workspace.root),
        }

    # --- around the whole run -----------------------------------------------------------------

    def over(self, notebook: Any, injected: int | None = None) -> AbstractContextManager[Conductor]:
        """The run of ``notebook`` (as papermill prepared it) happens inside this context.

        Parameters
        ----------
        notebook:
            Changed in place while it runs; what it is at the end becomes the run's artifact.
        injected:
            Index of the cell that papermill added, if it added one.

        Raises
        ------
        Conflict
            If a run with this id is going on or was already.
        """
        self._notebook, self._injected = notebook, injected
        steps = cut(notebook)
        self._step_of = {index: number for number, step in enumerate(steps) for index in step.cells}
        self._last = {step.cells[-1] for step in steps}
        self.state = replace(self.state, steps=[StepResult(step.name, "pending") for step in steps])
        return self._around()

    @contextlib.contextmanager
    def _around(self) -> Iterator[Conductor]:
        try:
            self._lock.acquire()
        except Timeout as error:
            raise Conflict(
                f"Pipeline run {self.job.id!r} is going on.", hint="Wait for it."
            ) from error
        try:
            with _stop_signals():
                self._refuse_second()
                self._began = time.perf_counter()
                kind: type[BaseException] | None = None
                try:
                    self._open()
                    yield self
                except BaseException as error:
                    kind = type(error)
                    self._note(error)
                    raise
                finally:
                    self._close(kind)
        finally:
            self._lock.release()

    def _refuse_second(self) -> None:
        try:
            known = self._store.get(PipelineRun, self.job.id)
        except NotFound:
            return
        if known.status != "queued":
            raise Conflict(
                f"There was a pipeline run {self.job.id!r} already.", hint="Choose another id."
            )

    def _open(self) -> None:
        self._change("running")
        run_id = self._tracking.start_run(
            self.state.notebook,
            kind="pipeline",
            notebook=self.state.notebook,
            key=run_key(self.job.id),
        )
        self.state = replace(self.state, run_id=run_id)
        if self.job.parameters:
            self._tracking.log(run_id, parameters=self.job.parameters)
        self._change("running")

    def _note(self, error: BaseException) -> None:
        if self._error is None and isinstance(error, Exception):
            lines = str(error).strip().splitlines()
            self._error = f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]

    def _close(self, kind: type[BaseException] | None) -> None:
        """Give everything its end, whatever happened."""
        status: PipelineStatus = "failed" if self._error else "succeeded"
        if kind is not None and not issubclass(kind, Exception):
            status, self._error = "cancelled", CANCELLED
        try:
            if self._current is not None:
                ended: StepStatus = "ran" if status == "succeeded" else "failed"
                self._end_step(ended, self._error or "", _ENDS[status])
            if status != "cancelled":
                self._deliver()
            if self.state.run_id:
                self._end_parent(status)
        finally:
            self._finish(status)
        if status == "cancelled":
            self._deliver()

    def _deliver(self) -> None:
        """The kernel is gone: what its journal says becomes runs in MLflow."""
        from ..runs import deliver

        deliver(self.workspace)

    def _end_parent(self, status: PipelineStatus) -> None:
        import nbformat

        run_id = self.state.run_id or ""
        self._tracking.log_text(
            run_id, nbformat.writes(self._notebook), Path(self.job.notebook).name
        )
        self._tracking.log(run_id, metrics={"seconds": time.perf_counter() - self._began})
        self._tracking.end_run(run_id, _ENDS[status])

    def _finish(self, status: PipelineStatus) -> None:
        reason = {
            "succeeded": "the notebook ended itself",
            "cancelled": CANCELLED,
        }.get(status, "an earlier step failed")
        steps = [
            replace(step, status="skipped", reason=reason) if step.status == "pending" else step
            for step in self.state.steps
        ]
        self.state = replace(
            self.state,
            status=status,
            error=self._error,
            seconds=time.perf_counter() - self._began,
            steps=steps,
        )
        self._change(status)

    def _change(self, change: str) -> None:
        self._store.put(self.state)
        self.workspace.announce("pipelines", self.job.id, change)
        if self._on_change is not None:
            self._on_change(self.state)

    # --- cells and steps ----------------------------------------------------------------------

    def before(self, index: int) -> bool:
        """A cell comes next; false if it is to be left out."""
        number = self._step_of.get(index)
        if number is not None and number != self._current:
            self._start_step(number)
        cell = self._notebook.cells[index]
        return number is not None or cell.cell_type != "code" or runs(cell)

    def after(self, index: int) -> None:
        """A cell ran."""
        if index in self._last:
            self._end_step("ran", "", "FINISHED")

    def failed(self, index: int, name: str, message: str) -> None:
        """A cell raised. ``SystemExit`` without a code ends the notebook, as papermill sees it."""
        if name == "SystemExit" and message in ("", "0"):
            self._end_step("ran", "", "FINISHED")
            return
        lines = message.strip().splitlines()
        what = f"{name}: {lines[0]}" if lines else name
        if name == "DeadKernelError":
            what = message
        reason = f"cell {self._number(index)}: {what}"[:300]
        step = self.state.steps[self._current or 0].name
        self._error = f"step {step}, {reason}"
        self._end_step("failed", reason, "FAILED")

    def _number(self, index: int) -> int:
        """The cell's number in the original notebook, from 1."""
        shifted = self._injected is not None and index > self._injected
        return index + 1 - shifted

    def _start_step(self, number: int) -> None:
        self._current = number
        self._step_began = time.perf_counter()
        name = self.state.steps[number].name
        run_id = self._tracking.start_run(
            name, kind="step", parent_id=self.state.run_id, notebook=self.state.notebook
        )
        self._set_step(number, status="running", run_id=run_id)

    def _end_step(self, status: StepStatus, reason: str, end: str) -> None:
        number, self._current = self._current, None
        if number is None:
            return
        seconds = time.perf_counter() - self._step_began
        run_id = self.state.steps[number].run_id
        if run_id:
            self._tracking.log(run_id, metrics={"seconds": seconds})
            self._tracking.end_run(run_id, end)
        self._set_step(number, status=status, seconds=seconds, reason=reason)

    def _set_step(self, number: int, **changes: Any) -> None:
        steps = list(self.state.steps)
        steps[number] = replace(steps[number], **changes)
        self.state = replace(self.state, steps=steps)
        self._change(f"{steps[number].name} {steps[number].status}")


def injected_cell(notebook: Any, original: Any | None) -> int | None:
    """Index of the cell that papermill added to ``original`` (which may not be known), if any."""
    found = [index for index, cell in enumerate(notebook.cells) if INJECTED in tags(cell)]
    before = [cell for cell in original.cells if INJECTED in tags(cell)] if original else []
    return found[0] if len(found) > len(before) else None


def _scalar(value: Any) -> Scalar:
    return value if value is None or isinstance(value, str | int | float) else to_json(value)


@contextlib.contextmanager
def _stop_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the run as Ctrl-C does, where nobody else handles them."""
    changed: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                changed[number] = signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in changed.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
