"""The MLflow runs of a pipeline run: the parent, a child for each step, and what cells log.

All is written by a clerk, in order, while steps run; the one who waits is the end.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models import PipelineStatus, StepResult, now
from ..workspace import Workspace
from .clerk import Clerk
from .job import Job, run_key

if TYPE_CHECKING:
    from .._mlflow import Ledger, Noted, Tracking
    from ..blobs import Blobs
    from .plan import Result

_WORDS = ("mlflow", "mlops")
_ENDS: dict[str, str] = {"succeeded": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}
_DONE: dict[str, str] = {"ran": "FINISHED", "cached": "FINISHED", "failed": "FAILED"}


class Tracked:
    """One pipeline run in MLflow. From :meth:`begin` to :meth:`wait` a clerk's thread writes.

    Parameters
    ----------
    job:
        What runs.
    notebook, started:
        Its name in the workspace, and since when.
    redact:
        Masks secrets.

    Attributes
    ----------
    run_id, steps:
        MLflow's ids of the run and, by their numbers, of the steps that have one so far.
    """

    def __init__(self, job: Job, notebook: str, started: str, redact: Callable[[str], str]) -> None:
        self._job = job
        self._notebook = notebook
        self._started = started
        self._redact = redact
        self._workspace = Workspace(job.workspace)
        self._apart: contextlib.ExitStack | None = None  # with the process that records
        self._ledger: Ledger | None = None  # where cells speak of MLflow
        self._opened = False
        self._ended: set[int] = set()
        self.run_id: str | None = None
        self.steps: dict[int, str] = {}

    @cached_property
    def _tracking(self) -> Tracking:
        from .._mlflow import Apart, Tracking

        if self._apart is None:
            return Tracking(self._workspace)
        tracking = Apart(self._workspace)
        self._apart.callback(tracking.close)
        return tracking

    def expect(self, notebook: Any) -> None:
        """``notebook`` will run. Where no cell speaks of MLflow or of us, another process imports
        MLflow meanwhile; it ends with :meth:`close`."""
        code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
        if self._apart is None and not _speaks(code, _WORDS) and "mlflow" not in sys.modules:
            self._apart = contextlib.ExitStack()
            _ = self._tracking

    def close(self) -> None:
        """Nothing is recorded any more."""
        if self._apart is not None:
            self._apart.close()

    # --- around the run -----------------------------------------------------------------------

    def begin(self) -> None:
        """Have a clerk."""
        self._clerk = Clerk()

    def open(self) -> None:
        """Have the run made. MLflow's import is heavy: the first kernel starts before."""
        if not self._opened:
            self._opened = True
            self._clerk.do(self._open)

    def _open(self) -> None:
        self.run_id = self._tracking.start_run(
            self._notebook,
            kind="pipeline",
            notebook=self._notebook,
            key=run_key(self._job.id),
            started=self._started,
        )
        if self._job.shown():
            self._tracking.log(self.run_id, parameters=dict(self._job.shown()))

    def variables(self, sources: Collection[str], blobs: Blobs | None) -> dict[str, str]:
        """What the environment tells cells, so that they log to this run. Where none speaks of
        MLflow or of us, nobody waits for the run.

        Parameters
        ----------
        sources:
            The cells'.
        blobs:
            The cache, where what they log is kept; ``None``: nothing is cached.
        """
        if not _speaks(sources, _WORDS):
            return {}
        self.open()
        self._clerk.wait()
        run_id = self.run_id or ""
        if blobs is not None and _speaks(sources, _WORDS[:1]):
            from .._mlflow import Ledger

            self._ledger = Ledger(self._tracking, run_id, blobs, self._redact)
            self._ledger.begin()
        return {"MLOPS_PIPELINE_RUN": run_id, **self._tracking.variables(run_id)}

    def do(self, work: Callable[[], None]) -> None:
        """Have ``work`` done in its turn. Where cells speak of MLflow it is done at once: what the
        next step logs is not this one's."""
        self._clerk.do(work)
        if self._ledger is not None:
            self._clerk.wait()

    def wait(self) -> None:
        """Return when all is written.

        Raises
        ------
        MLOpsError
            If something could not be.
        """
        self._clerk.wait()

    def stop(self) -> None:
        """The clerk ends when all is written."""
        self._clerk.close()

    def end_steps(self, results: Sequence[StepResult], status: PipelineStatus) -> None:
        """Give the runs of steps that did not come to their end the one of the pipeline."""
        for number, result in enumerate(results):
            if number in self.steps and number not in self._ended:
                self._tracking.end_run(self.steps[number], _DONE.get(result.status, _ENDS[status]))

    def end(self, status: PipelineStatus, notebook: Any, seconds: float) -> None:
        """Give the run its end, and the executed notebook."""
        from nbformat import writes

        if self._ledger is not None:
            self._ledger.flush()
        if self.run_id:
            name = Path(self._job.notebook).name
            self._tracking.log_text(self.run_id, writes(notebook), name)
            self._tracking.log(self.run_id, metrics={"seconds": seconds})
            self._tracking.end_run(self.run_id, _ENDS[status])

    # --- steps --------------------------------------------------------------------------------

    def started(self, step: int, name: str) -> None:
        """A step begins to run."""
        self.open()
        self._clerk.do(partial(self._start, step, name, now()))

    def repaired(self, step: int) -> None:
        """A step's result does not count; it will run again."""
        if self._ledger is not None:
            self._clerk.do(partial(self._ledger.repaired, step))

    def begins(self, step: int, before: Sequence[int]) -> None:
        """A step is about to run; in a fresh kernel the steps ``before`` it run again first. What
        cached steps had logged is in MLflow when this returns, for the step may ask for it."""
        if self._ledger is not None:
            self._clerk.do(partial(self._ledger.begins, step, before))
            self._clerk.wait()

    def logged(self, step: int, began: datetime) -> Noted | None:
        """Keep what a step logged with MLflow that ran; ``None``: no cell speaks of MLflow. Of use
        inside of what :meth:`do` is given.

        Raises
        ------
        OSError
            If it cannot be kept.
        """
        if self._ledger is None:
            return None
        return self._ledger.look(step, int(began.timestamp() * 1000))

    def committed(self, step: int, name: str, result: Result, part: Any) -> None:
        """A step's result is final; ``part`` is the notebook of its cells."""
        self.open()
        tags: dict[str, str] = {"mlops.status": result.status}
        if result.trace is not None:
            tags["mlops.cached_from"] = result.trace.run
            if self._ledger is not None and result.trace.logged:
                self._clerk.do(partial(self._ledger.cached, step, result.trace.logged))
        self._clerk.do(partial(self._end, step, name, result, tags, part, now()))

    def _start(self, step: int, name: str, moment: str) -> None:
        if step not in self.steps:
            self.steps[step] = self._tracking.start_run(
                name,
                kind="step",
                parent_id=self.run_id,
                notebook=self._notebook,
                started=moment,
            )

    def _end(
        self, step: int, name: str, result: Result, tags: dict[str, str], part: Any, moment: str
    ) -> None:
        from nbformat import writes

        self._start(step, name, moment)
        run_id = self.steps[step]
        self._tracking.log(run_id, metrics={"seconds": result.seconds}, tags=tags)
        self._tracking.log_text(run_id, writes(part), "step.ipynb")
        self._tracking.end_run(run_id, _DONE[result.status], moment)
        self._ended.add(step)


def _speaks(sources: Collection[str], words: Sequence[str]) -> bool:
    return any(word in source for source in sources for word in words)
