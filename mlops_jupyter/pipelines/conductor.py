"""The conductor: accompanies one execution of a notebook and keeps its record true.

Before and after each step it updates the :class:`~mlops_jupyter.models.PipelineRun` in the store,
announces the change, and has the runs in MLflow follow (:mod:`.tracked`). While it works it holds
the lock ``pipeline-<id>``: a run that says ``running`` and whose lock is free has lost its runner
(:func:`mlops_jupyter.pipelines.history`).
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from filelock import Timeout

from ..errors import Conflict, NotFound
from ..models import PipelineRun, PipelineStatus, StepResult, StepStatus, now
from ..workspace import Workspace
from . import secrets
from .job import Job, lock_name
from .steps import cut
from .tracked import Tracked
from .work import DIED

if TYPE_CHECKING:
    from .._mlflow import Noted
    from .._store import Store
    from ..blobs import Blobs
    from .plan import Result

OnChange = Callable[[PipelineRun], None]
CANCELLED = "the run was cancelled"
_FEW, _PAUSE = 50, 0.25


class Conductor:
    """Keeps the record of one run (a :class:`~mlops_jupyter.pipelines.scheduler.Watcher`); use
    :meth:`over` around it.

    Parameters
    ----------
    job:
        What runs.
    on_change:
        Called with the :class:`~mlops_jupyter.models.PipelineRun` after each change.
    resumed:
        The run that it continues.
    """

    def __init__(
        self, job: Job, on_change: OnChange | None = None, resumed: str | None = None
    ) -> None:
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
            parameters=job.shown(),
            resumed=resumed,
        )
        self._on_change = on_change
        self._lock = self.workspace.lock(lock_name(job.id), timeout=0)
        self._error: str | None = None
        self.uncached: str | None = None
        self._began = self._stored = 0.0
        self._redactor = secrets.redactor({secret.name: secret.variable for secret in job.secrets})
        self._tracked = Tracked(job, self.state.notebook, self.state.started, self._redactor.text)

    def expect(self, notebook: Any) -> None:
        """``notebook`` will run: what that needs is got ready meanwhile; :meth:`close` ends it."""
        self._tracked.expect(notebook)

    def close(self) -> None:
        """Nothing is recorded any more."""
        self._tracked.close()

    @cached_property
    def _store(self) -> Store:
        from .._store import Store

        return Store(self.workspace)

    def environment(self, sources: Collection[str], blobs: Blobs | None) -> dict[str, str]:
        """What kernels are told: whose run it is, where its records go, and that the runner
        delivers their journals. Where no cell speaks of MLflow or of us, nobody waits for it.

        Parameters
        ----------
        sources:
            The cells'.
        blobs:
            The cache, where what cells log with MLflow is kept; ``None``: nothing is cached.
        """
        return {
            "MLOPS_COURIER": "off",
            "MLOPS_NOTEBOOK": self.state.notebook,
            "MLOPS_WORKSPACE": str(self.workspace.root),
            **secrets.environment(self.job.secrets),
            **self._tracked.variables(sources, blobs),
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
        self.steps = cut(notebook)
        results = [StepResult(step.name, "pending") for step in self.steps]
        self.state = replace(self.state, steps=results)
        self.expect(notebook)
        return self._around()

    @contextlib.contextmanager
    def _around(self) -> Iterator[Conductor]:
        try:
            self._lock.acquire()
        except Timeout as error:
            self.close()
            raise Conflict(
                f"Pipeline run {self.job.id!r} is going on.", hint="Wait for it."
            ) from error
        try:
            with _stop_signals():
                self._refuse_second()
                self._began = time.perf_counter()
                self._tracked.begin()
                kind: type[BaseException] | None = None
                try:
                    self._change("running")
                    yield self
                    self._tracked.open()
                    self._tracked.wait()
                except BaseException as error:
                    kind = type(error)
                    self._note(error)
                    with contextlib.suppress(Exception):  # the clerk's, which is known by now
                        self._tracked.open()
                    raise
                finally:
                    self._tracked.stop()
                    self._close(kind)
        finally:
            self._lock.release()
            self.close()

    def _refuse_second(self) -> None:
        try:
            known = self._store.get(PipelineRun, self.job.id)
        except NotFound:
            return
        if known.status != "queued":
            raise Conflict(
                f"There was a pipeline run {self.job.id!r} already.", hint="Choose another id."
            )

    def _note(self, error: BaseException) -> None:
        if self._error is None and isinstance(error, Exception):
            lines = str(error).strip().splitlines()
            self._error = f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]

    def _close(self, kind: type[BaseException] | None) -> None:
        """Give everything its end, whatever happened; kernels and clerk are gone."""
        status: PipelineStatus = "failed" if self._error else "succeeded"
        if kind is not None and not issubclass(kind, Exception):
            status, self._error = "cancelled", CANCELLED
        try:
            steps = self.state.steps
            stopped = any(step.status == "failed" for step in steps)
            for number, step in enumerate(steps):
                if step.status == "running" and not stopped:
                    self._set_step(number, status="failed", reason=self._error or "")
            self._tracked.end_steps(steps, "cancelled" if stopped else status)
            if status != "cancelled":
                self._deliver()
            self._tracked.end(status, self._notebook, time.perf_counter() - self._began)
        finally:
            self._finish(status)
        if status == "cancelled":
            self._deliver()

    def _deliver(self) -> None:
        """The kernel is gone: what its journal says becomes runs in MLflow."""
        from .. import deferred, runs

        runs.deliver(self.workspace)
        deferred.deliver(self.workspace)

    def _finish(self, status: PipelineStatus) -> None:
        reason = {
            "succeeded": "the notebook ended itself",
            "cancelled": CANCELLED,
        }.get(status, "an earlier step failed")
        steps = [
            replace(step, status="skipped", reason=reason)
            if step.status in ("pending", "running")
            else step
            for step in self.state.steps
        ]
        self.state = replace(
            self.state,
            status=status,
            error=self._error,
            seconds=time.perf_counter() - self._began,
            steps=[
                replace(step, run_id=self._tracked.steps.get(number))
                for number, step in enumerate(steps)
            ],
        )
        self._change(status)

    def _change(self, change: str) -> None:
        """Tell of a change. Long pipelines are stored a few times a second, not at each one."""
        self.state = replace(self.state, run_id=self._tracked.run_id)
        moment, ended = time.perf_counter(), self.state.status != "running"
        if ended or len(self.state.steps) <= _FEW or moment - self._stored > _PAUSE:
            self._stored = moment
            self._store.put(self.state)
        self.workspace.announce("pipelines", self.job.id, change)
        if self._on_change is not None:
            self._on_change(self.state)

    # --- steps --------------------------------------------------------------------------------

    def started(self, step: int, why: str) -> None:
        """A step begins to run."""
        self._set_step(step, status="running", reason=why)
        self._tracked.started(step, self.steps[step].name)

    def repaired(self, step: int, why: str) -> None:
        """A step's result does not count; it will run again."""
        self._set_step(step, status="pending", reason=why)
        self._tracked.repaired(step)

    def begins(self, step: int, before: Sequence[int]) -> None:
        """A step is about to run; in a fresh kernel the steps ``before`` it run again first."""
        self._tracked.begins(step, before)

    def logged(self, step: int, began: datetime) -> Noted | None:
        """See :meth:`.tracked.Tracked.logged`."""
        return self._tracked.logged(step, began)

    def committed(self, step: int, result: Result) -> None:
        """A step's result is final."""
        reason = result.why
        if result.error is not None and not result.ends:
            index, name, message = result.error
            lines = message.strip().splitlines()
            what = f"{name}: {lines[0]}" if lines else name
            if name == DIED:
                what = message
            reason = self._redactor.text(f"cell {self._number(index)}: {what}")[:300]
            self._error = f"step {self.steps[step].name}, {reason}"
        status: StepStatus = result.status
        self._set_step(
            step,
            status=status,
            seconds=result.seconds,
            reason=reason,
            attempts=result.attempts,
        )
        from nbformat.v4 import new_notebook

        cells = [self._notebook.cells[index] for index in self.steps[step].cells]
        part = new_notebook(cells=cells, metadata=self._notebook.metadata)
        self._tracked.committed(step, self.steps[step].name, result, part)

    def cached(self, keep: Callable[[], None]) -> None:
        """Have a step's trace kept. A cache that cannot be written costs only time."""
        self._tracked.do(partial(self._try, keep))

    def _try(self, keep: Callable[[], None]) -> None:
        try:
            keep()
        except OSError as error:
            self.uncached = str(error)

    def _number(self, index: int) -> int:
        """The cell's number in the original notebook, from 1."""
        shifted = self._injected is not None and index > self._injected
        return index + 1 - shifted

    def _set_step(self, number: int, **changes: Any) -> None:
        steps = list(self.state.steps)
        steps[number] = replace(steps[number], **changes)
        self.state = replace(self.state, steps=steps)
        self._change(f"{steps[number].name} {steps[number].status}")


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
