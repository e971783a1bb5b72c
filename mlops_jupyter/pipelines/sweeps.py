"""Sweeps: a notebook run with each combination of some parameters' values, one after the other.

All runs share the cache, so a step that reads none of these parameters runs once. In MLflow the
runs are children of one parent (kind ``sweep``).
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import notebook as notebooks
from ..models import PipelineRun, PipelineStatus, Run, Scalar, Sweep, SweepRun, now
from ..workspace import Workspace
from . import grid, runner
from . import parameters as contract
from .conductor import OnChange
from .ids import checked

if TYPE_CHECKING:
    from .._mlflow import Tracking

_PARENT = "mlflow.parentRunId"
_ENDS: dict[str, str] = {"succeeded": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}
_LESS = re.compile(
    r"(^|[_\W])(loss|logloss|error|errors|err|mse|rmse|mae|mape|msle|rmsle|deviance|perplexity|"
    r"regret|cost|brier|latency|wer|cer)([_\W]|$)"
)


def run(
    workspace: Workspace,
    notebook: Path,
    parameters: Mapping[str, Any],
    asked: Sequence[str],
    *,
    id: str | None = None,
    on_change: Callable[[Sweep], None] | None = None,
    on_run: OnChange | None = None,
    **options: Any,
) -> Sweep:
    """Run ``notebook`` with each combination; returns when all ended.

    A run that fails does not stop the others. The executed notebooks are
    ``executed/<its name>-<id>-<number>.ipynb`` in the workspace.

    Parameters
    ----------
    parameters:
        Values that all runs share, by name.
    asked:
        ``NAME=VALUES`` per swept parameter, see :mod:`mlops_jupyter.pipelines.grid`.
    id:
        The sweep's name, if it has to be known before; run number 2 is ``<id>-2``.
    on_change:
        Called with the sweep so far after each run, and when it ends, however it ends.
    on_run:
        Called with the state of the pipeline run that goes on after each change.
    options:
        Further arguments of :func:`mlops_jupyter.pipelines.run`.

    Raises
    ------
    NotFound, InvalidInput
        As :func:`mlops_jupyter.pipelines.run`, for any of the values, more than 1,000
        combinations. Nothing ran.
    Unavailable
        If the kernel, MLflow's store, the database or the disk is not usable.
    """
    notebook = Path(notebook).absolute()
    declared = contract.declared(notebooks.read(notebook))
    contract.check(declared, parameters)
    taken = {*parameters, *(options.get("secrets") or ())}
    chosen = grid.combinations(asked, declared, taken)
    id = checked(id)
    checked(f"{id}-{len(chosen)}")
    sweep = Sweep(
        id, None, workspace.relative(notebook), "running", now(), None, len(chosen), runs=[]
    )
    work = _Work(workspace, sweep, parameters, chosen, on_change, on_run)
    with work.ending():
        for number, values in enumerate(chosen, start=1):
            with work.run(number, values):
                done = runner.run(
                    workspace,
                    notebook,
                    {**parameters, **values},
                    id=f"{id}-{number}",
                    on_change=work.follow,
                    **options,
                )
                work.follow(_tracked(workspace, done))
    return work.sweep


class _Work:
    """A sweep that goes on: what is known of it, and its parent in MLflow."""

    def __init__(
        self,
        workspace: Workspace,
        sweep: Sweep,
        parameters: Mapping[str, Any],
        chosen: list[dict[str, Any]],
        on_change: Callable[[Sweep], None] | None,
        on_run: OnChange | None,
    ) -> None:
        self.sweep = sweep
        self._workspace = workspace
        self._about = {
            **parameters,
            **{
                name: ", ".join(dict.fromkeys(str(values[name]) for values in chosen))
                for name in chosen[0]
            },
        }
        self._on_change = on_change
        self._on_run = on_run
        self._tracking: Tracking | None = None
        self._lock = contextlib.ExitStack()
        self._state: PipelineRun | None = None
        self._adopted: str | None = None
        self._began = time.perf_counter()

    def follow(self, state: PipelineRun) -> None:
        """Take the next state of the pipeline run that goes on."""
        self._state = state
        if state.run_id is not None and state.run_id != self._adopted:
            self._adopt(state.run_id)
        if self._on_run is not None:
            self._on_run(state)

    @contextlib.contextmanager
    def run(self, number: int, values: Mapping[str, Any]) -> Iterator[None]:
        """One combination's pipeline run happens inside; it is added when it ended."""
        self._state = None
        try:
            yield
        finally:
            if self._state is not None:
                self._add(_result(number, values, self._state, self._metrics(self._state)))

    @contextlib.contextmanager
    def ending(self) -> Iterator[None]:
        """The whole sweep happens inside; it is given its end, whatever happens."""
        status: PipelineStatus = "cancelled"
        try:
            yield
            good = all(run.status == "succeeded" for run in self.sweep.runs)
            status = "succeeded" if good else "failed"
        except Exception:
            status = "failed"
            raise
        finally:
            with self._lock:
                self._end(status)

    def _adopt(self, run_id: str) -> None:
        from .._mlflow import Tracking

        if self._tracking is None:
            tracking = Tracking(self._workspace)
            self._lock.enter_context(self._workspace.lock(_key(self.sweep.id)))
            settle(self._workspace, tracking)
            parent = tracking.start_run(
                self.sweep.notebook,
                kind="sweep",
                notebook=self.sweep.notebook,
                key=_key(self.sweep.id),
                started=self.sweep.started,
            )
            tracking.log(parent, parameters=self._about)
            self._tracking, self.sweep = tracking, replace(self.sweep, run_id=parent)
        self._tracking.log(run_id, tags={_PARENT: self.sweep.run_id or ""})
        self._adopted = run_id

    def _metrics(self, state: PipelineRun) -> dict[str, float]:
        """What the run logged, else what its last model's fit did."""
        if self._tracking is None or state.run_id is None or state.status != "succeeded":
            return {}
        runs: list[Run] = [self._tracking.run(state.run_id)]
        runs += self._tracking.runs(parent_id=state.run_id, kind="model", limit=1)
        figures = [
            {name: value for name, value in run.metrics.items() if not name.endswith("seconds")}
            for run in runs
        ]
        return next((found for found in figures if found), {})

    def _add(self, result: SweepRun) -> None:
        runs, metric, order = ranked([*self.sweep.runs, result])
        self.sweep = replace(self.sweep, runs=runs, metric=metric, order=order)
        self._tell()

    def _end(self, status: PipelineStatus) -> None:
        seconds = time.perf_counter() - self._began
        self.sweep = replace(self.sweep, status=status, seconds=seconds)
        if self._tracking is not None and self.sweep.run_id:
            self._tracking.log(self.sweep.run_id, metrics={"seconds": seconds})
            self._tracking.end_run(self.sweep.run_id, _ENDS[status])
        self._tell()

    def _tell(self) -> None:
        if self._on_change is not None:
            self._on_change(self.sweep)


def ranked(runs: Sequence[SweepRun]) -> tuple[list[SweepRun], str | None, Any]:
    """``runs`` best first, the metric that decides, and whether ``max`` or ``min`` is best.

    It is the first by name that differs between runs (else the first), one not measured on the
    training data where there is one. Names like ``loss`` and ``rmse`` say that less is better.
    """
    good = [run for run in runs if run.status == "succeeded"]
    names = sorted({name for run in good for name in run.metrics})

    def rank(name: str) -> tuple[bool, bool]:
        differs = len({run.metrics.get(name) for run in good}) > 1
        return name.startswith("training_"), not differs

    metric = min(names, key=rank, default=None)
    less = metric is not None and _is_less(metric)

    def key(run: SweepRun) -> tuple[bool, bool, float, int]:
        value = run.metrics.get(metric) if metric is not None else None
        measured = value is not None and value == value  # noqa: PLR0124  NaN is no figure
        figure = (value if less else -value) if measured and value is not None else 0.0
        return run.status != "succeeded", not measured, figure, run.number

    return sorted(runs, key=key), metric, "min" if less else "max"


def settle(workspace: Workspace, tracking: Tracking) -> None:
    """Close the MLflow runs of sweeps whose process is gone (killed, power lost) as KILLED."""
    for run in tracking.runs(kind="sweep"):
        if run.status == "RUNNING":
            name = tracking.tags(run.run_id).get("mlops.key", "")
            ours = (workspace.state / "locks" / f"{name}.lock").is_file()
            if ours and not workspace.held(name):
                tracking.end_run(run.run_id, "KILLED")


def _tracked(workspace: Workspace, run: PipelineRun) -> PipelineRun:
    """``run`` with its MLflow run: one that came whole from the cache gets it afterwards, here or
    from the courier that works at the same time."""
    if run.run_id is not None:
        return run
    from .. import deferred
    from .._store import Store

    while any(file.stem == run.id for file in deferred.pending(workspace)):
        if not deferred.deliver(workspace):
            with workspace.lock("deferred"):  # the courier's: wait for it
                pass
    return Store(workspace).get(PipelineRun, run.id)


def _is_less(metric: str) -> bool:
    name = metric.lower()
    return not name.startswith("neg_") and bool(_LESS.search(name))


def _result(
    number: int, values: Mapping[str, Scalar], state: PipelineRun, metrics: dict[str, float]
) -> SweepRun:
    counts = [step.status for step in state.steps]
    return SweepRun(
        number,
        {name: state.parameters.get(name) for name in values},
        state.id,
        state.run_id,
        state.status,
        state.seconds,
        counts.count("ran"),
        counts.count("cached"),
        state.output,
        metrics,
        state.error,
    )


def _key(id: str) -> str:
    """What the sweep's parent run is called in MLflow, and its lock."""
    return f"sweep-{id}"
