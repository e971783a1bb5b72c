"""One execution of a notebook, from the plan to the executed notebook."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import Future
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from ..blobs import Blobs
from ..executors.local import LocalExecutor
from ..notebook import tags
from . import secrets
from .assembly import Assembly, pack
from .conductor import Conductor
from .job import Options
from .plan import Result, plan_of
from .recording import record
from .scheduler import Scheduler
from .steps import INJECTED
from .traces import Traces
from .work import Home, Outcome, Pool, StepJob, run_step

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from .._kernels import OnOutput
    from .._papermill import Book
    from ..executors.base import Executor


class Execution:
    """Runs a notebook's steps and puts the executed notebook together.

    Parameters
    ----------
    notebook:
        As papermill prepared it; changed in place.
    kernel:
        Name of the kernel.
    conductor:
        Keeps the record.
    book:
        papermill's.
    executor:
        Where steps run.
    """

    def __init__(
        self,
        notebook: NotebookNode,
        kernel: str,
        conductor: Conductor,
        book: Book,
        executor: Executor,
        options: Options,
        *,
        start_timeout: float = 60,
        client: dict[str, Any] | None = None,
        on_output: OnOutput | None = None,
    ) -> None:
        from nbformat import from_dict

        from .. import _kernels

        self._notebook = notebook
        self._conductor = conductor
        self._book = book
        self._executor = executor
        self._folder = conductor.folder
        self._on_output = on_output
        self._plan = plan_of(
            conductor.state.notebook, notebook, conductor.steps, kernel, conductor.job.given()
        )
        sources = [cell.source for cells in self._plan.cells for _, cell in cells]
        steps = _kernels.takes_steps(kernel)
        self._blobs = Blobs(options.cache) if steps else None
        self._home = Home(
            conductor.job.id,
            kernel,
            str(self._folder),
            options.cache if steps else None,
            conductor.environment(sources, self._blobs),
            start_timeout,
            client or {},
        )
        self._traces: Traces | None = None
        self._here: LocalExecutor | None = None
        self._alone = False
        if any("autolog" in source for source in sources):
            options = replace(options, workers=1)  # else nobody knows which step logged what
        if any(_OF_THE_PROCESS.search(source) for source in sources):
            # what it remembers holds in one process only: the notebook runs there, from its start
            options = replace(options, use_cache=False, workers=1)
            self._alone = True
        elif self._blobs is not None:
            self._traces = Traces(self._blobs, self._folder, sealed="://" not in options.cache)
        variables = {secret.name: secret.variable for secret in conductor.job.secrets}
        self._redactor = secrets.redactor(variables)
        self._assembly = Assembly(notebook, from_dict)
        self._options = options
        self._pool = Pool(self._home, options.workers)

    def run(self) -> None:
        """Run all steps, until one fails."""
        options = self._options
        self._scheduler = Scheduler(
            self._plan,
            self._home,
            self._blobs,
            self._traces if options.use_cache else None,
            self._submit,
            options.workers,
            self,
            options.resumed,
            alone=self._alone,
        )
        try:
            if self._scheduler.run() is not None and self._scheduler.busy:
                self._kill()
        except BaseException:
            self._kill()
            raise
        finally:
            self._scheduler.drain()
            self._pool.close()
            if not self._executor.in_process:
                self._executor.everywhere(end_there, self._home.run)
            if self._here is not None:
                self._here.close()

    def _kill(self) -> None:
        """End all kernels at once, wherever they are."""
        self._pool.kill()
        if not self._executor.in_process:
            self._executor.everywhere(kill_there, self._home.run)

    def _submit(self, job: StepJob) -> Future[Outcome]:
        copies = [(index, deepcopy(cell)) for index, cell in job.part.cells]
        job.part.cells[:] = copies
        self._conductor.begins(job.part.index, [part.index for part in job.before])
        if self._executor.in_process:
            return self._executor.submit(run_step, self._pool, job, self._on_output)
        if not job.alone:
            return self._executor.submit(run_there, job)
        # one kernel for all steps: it cannot be in several places
        self._here = self._here or LocalExecutor()
        return self._here.submit(run_step, self._pool, job, self._on_output)

    # --- what the scheduler tells -------------------------------------------------------------

    def started(self, step: int, why: str) -> None:
        """A step begins to run."""
        self._conductor.started(step, why)

    def repaired(self, step: int, why: str) -> None:
        """A step will run again."""
        self._conductor.repaired(step, why)

    def committed(self, step: int, result: Result) -> None:
        """A step's result is final: its outputs go into the notebook, its trace into the cache."""
        plan, indices = self._plan, self._plan.steps[step].cells
        failed: int | None = None
        times: list[tuple[datetime, datetime]] = []
        packed: dict[str, Any] = {"cells": [], "ids": {}, "updates": [], "widgets": {}}
        if result.trace is not None:
            packed = json.loads(result.outputs)
            moment = datetime.now(timezone.utc)
            times = [(moment, moment)] * len(indices)
        elif (outcome := result.outcome) is not None and outcome.displayed is not None:
            times = outcome.times
            packed = self._packed(outcome)
            failed = outcome.error[0] if outcome.error and not result.ends else None
            if outcome.finished is not None and self._blobs is not None and self._traces:
                self._keep(self._blobs, self._traces, step, result, packed, times)
        self._assembly.add(indices[: len(times)], packed, plan.counts[step])
        self._book.cells(indices[: len(times)], times, failed)
        self._conductor.committed(step, result)

    def _packed(self, outcome: Outcome) -> dict[str, Any]:
        """What a step showed, without secrets."""
        assert outcome.displayed is not None
        packed = pack(outcome.cells[: len(outcome.times)], outcome.displayed)
        redactor = self._redactor
        if redactor:
            packed["cells"] = [[redactor.output(o) for o in outputs] for outputs in packed["cells"]]
            packed["updates"] = redactor.value(packed["updates"])
            packed["widgets"] = redactor.value(packed["widgets"])
        packed["injected"] = _injected(outcome.cells)
        return packed

    def _keep(
        self,
        blobs: Blobs,
        traces: Traces,
        step: int,
        result: Result,
        packed: dict[str, Any],
        times: list[tuple[datetime, datetime]],
    ) -> None:
        began = times[0][0] if times else datetime.now(timezone.utc)
        keep: Callable[[], None] = partial(
            record,
            blobs,
            traces,
            self._plan,
            step,
            result,
            packed,
            folder=self._folder,
            run=self._conductor.job.id,
            logged=partial(self._conductor.logged, step, began),
        )
        self._conductor.cached(keep)


def _injected(cells: list[tuple[int, NotebookNode]]) -> str | None:
    """The source of the cell that papermill injected, if it is among ``cells``."""
    return next((cell.source for _, cell in cells if INJECTED in tags(cell)), None)


# What holds in one process only: addresses, its number, file descriptors, who owns an array.
_OF_THE_PROCESS = re.compile(
    r"(?<![\w.])id\s*\(|=\s*(\w+\.)*(getpid|get_native_id|get_ident)\b|\bos\.(pipe|openpty|open|dup2?)\s*\("
    r"|\bowndata\b|^\s*\w+\.resize\s*\(",
    re.MULTILINE,
)
_POOLS: dict[str, Pool] = {}


def run_there(job: StepJob) -> Outcome:
    """Run a step in another process than the scheduler's, in that process's pool."""
    pool = _POOLS.get(job.home.run)
    if pool is None:
        pool = _POOLS[job.home.run] = Pool(job.home, 1)
    return run_step(pool, job)


def kill_there(run: str) -> None:
    """End the kernels that a run has in this process at once."""
    if (pool := _POOLS.get(run)) is not None:
        pool.kill()


def end_there(run: str) -> None:
    """End the kernels that a run has in this process."""
    if (pool := _POOLS.pop(run, None)) is not None:
        pool.close()
