"""The kernel's side of runs: opens and closes them in the journal as estimators are fitted.

A run belongs to one fitted model. A top-level fit of a model opens one, unless an explicit one
(:meth:`Recorder.open` with ``explicit``) is open: then all fits go there, those after the first
model under their class's name (``Ridge.alpha``, ``Ridge_2.alpha``). A transformer fitted on its
own is no model and opens no run. A ``score`` counts for the run of its model, also later.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import models
from ..journal import Journal
from .estimators import is_model, run_name, score_name, text
from .fingerprint import fingerprint, sample


@dataclass(eq=False)
class OpenRun:
    """A run as the kernel knows it."""

    number: int
    name: str
    cell: int | None
    explicit: bool
    started: str
    status: models.RunStatus = "RUNNING"
    ended: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    fits: int = 0
    fitting: int = 0
    failed: bool = False
    closing: bool = False
    main: bool = False
    classes: dict[str, int] = field(default_factory=dict)
    file: Path | None = None


TRAINING = "training_"  # before the name of a score on the very data of the fit


@dataclass
class _Fit:
    """A top-level fit under way."""

    run: OpenRun
    prefix: str
    is_model: bool
    sample: Any
    seen: models.Dataset | None


@dataclass
class _Owned:
    """A fitted model: whose run it belongs to, and the data that it has seen."""

    model: weakref.ref[Any]
    fit: _Fit


@dataclass
class _Score:
    """A call of ``score`` under way, and the data that is scored."""

    data: Any


class Recorder:
    """Turns top-level calls of estimators into run records.

    Parameters
    ----------
    journal:
        Where they are written.
    fault:
        Called with an exception of ours; it must not raise.
    cell:
        Gives the running cell's number in the session (``None`` between cells), its source and id.
    prepare:
        Called once when the first run opens.
    changed:
        Called after a run changed.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        fault: Callable[[Exception], None],
        cell: Callable[[], tuple[int | None, str, str | None]],
        prepare: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        self._journal = journal
        self._fault = fault
        self._cell = cell
        self._prepare = prepare
        self._changed = changed
        self._guard = threading.RLock()
        self._count = 0
        self._open: list[OpenRun] = []
        self._owners: dict[int, _Owned] = {}
        self.last: OpenRun | None = None

    # --- runs ---------------------------------------------------------------------------------

    def open(self, name: str, *, explicit: bool) -> OpenRun:
        """Open a run."""
        cell, source, cell_id = self._cell()
        with self._guard:
            self._count += 1
            run = OpenRun(self._count, name, cell, explicit, models.now())
            self._journal.append(
                "run",
                run=run.number,
                name=name,
                started=run.started,
                cell=cell,
                source=source,
                id=cell_id,
            )
            self._open.append(run)
            self.last = run
        self._prepare()
        self._changed()
        return run

    def close(self, run: OpenRun, *, failed: bool) -> None:
        """Close a run as FINISHED, or FAILED; one whose fit still runs in another thread is closed
        when that fit ends."""
        with self._guard:
            run.failed = run.failed or failed
            if run.fitting:
                run.closing = True
                return
            if run not in self._open:
                return
            self._open.remove(run)
            run.status, run.ended = "FAILED" if run.failed else "FINISHED", models.now()
            self._journal.append("end", run=run.number, status=run.status, time=run.ended)
        self._changed()

    def close_cell(self, cell: int, *, failed: bool) -> None:
        """Close all runs that the cell opened."""
        for run in [run for run in self._open if run.cell == cell]:
            self.close(run, failed=failed)

    # --- what autolog hears -------------------------------------------------------------------

    def before(self, estimator: Any, method: str, args: tuple[Any, ...], kwargs: Any) -> Any:
        """A top-level call begins (see :class:`mlops_jupyter.capture.autolog.Listener`)."""
        try:
            if method == "score":
                return _Score(args[0] if args else kwargs.get("X"))
            return self._fit_begins(estimator, args, kwargs)
        except Exception as error:  # noqa: BLE001  a fault of ours never breaks the user's fit
            self._fault(error)
            return None

    def after(self, token: Any, estimator: Any, result: Any, failed: bool, seconds: float) -> None:
        """A top-level call ended (see :class:`mlops_jupyter.capture.autolog.Listener`)."""
        try:
            if isinstance(token, _Fit):
                self._fit_ended(token, estimator, failed, seconds)
            elif isinstance(token, _Score) and not failed:
                self._scored(token, estimator, result)
        except Exception as error:  # noqa: BLE001  a fault of ours never breaks the user's fit
            self._fault(error)

    def _fit_begins(self, estimator: Any, args: tuple[Any, ...], kwargs: Any) -> _Fit | None:
        explicit = [run for run in self._open if run.explicit]
        model = is_model(estimator)
        if not explicit and not model:
            return None
        given = [*args, *(kwargs[name] for name in ("X", "y")[len(args) :] if name in kwargs)]
        values = {}
        with contextlib.suppress(AttributeError, RuntimeError, TypeError):  # not every class keeps
            values = {key: text(value) for key, value in estimator.get_params(deep=True).items()}
        data = [
            fingerprint(item, role)
            for item, role in zip(given, ("X", "y"), strict=False)
            if item is not None
        ]
        with self._guard:
            run = explicit[-1] if explicit else self.open(run_name(estimator), explicit=False)
            run.fits += 1
            run.fitting += 1
            prefix = self._prefix(run, estimator, model)
        values = {prefix + key: value for key, value in values.items()}
        run.parameters.update(values)
        self._journal.append("parameters", run=run.number, values=values)
        self._journal.append("data", run=run.number, items=models.to_dict(data))
        self._changed()
        rows = sample(given[0]) if given else None
        return _Fit(run, prefix, model, rows, data[0] if data else None)

    @staticmethod
    def _prefix(run: OpenRun, estimator: Any, model: bool) -> str:
        if model and not run.main:
            run.main = True
            return ""
        name = type(estimator).__name__
        run.classes[name] = count = run.classes.get(name, 0) + 1
        return f"{name}." if count == 1 else f"{name}_{count}."

    def _fit_ended(self, fit: _Fit, estimator: Any, failed: bool, seconds: float) -> None:
        run = fit.run
        try:
            if failed:
                run.failed = run.failed or not run.explicit
                return
            self._metric(run, fit.prefix + "fit_seconds", seconds)
            best = getattr(estimator, "best_params_", None)
            if isinstance(best, dict):
                values = {f"{fit.prefix}best_{key}": text(value) for key, value in best.items()}
                run.parameters.update(values)
                self._journal.append("parameters", run=run.number, values=values)
            if fit.is_model:
                self._own(estimator, fit)
                self._own(getattr(estimator, "best_estimator_", None), fit)
                self._save(run, estimator, fit.sample)
        finally:
            with self._guard:
                run.fitting -= 1
            if not run.fitting and (run.closing or (run.cell is None and not run.explicit)):
                self.close(run, failed=False)
            self._changed()

    def _own(self, estimator: Any, fit: _Fit) -> None:
        if estimator is None:
            return
        key = id(estimator)
        try:
            reference = weakref.ref(estimator, lambda _: self._owners.pop(key, None))
        except TypeError:  # a class with __slots__ and no __weakref__
            return
        self._owners[key] = _Owned(reference, fit)

    def _save(self, run: OpenRun, estimator: Any, rows: Any) -> None:
        import cloudpickle

        from ..trust import SealedWriter

        number, previous = run.number, run.file
        file = self._journal.side(f"run-{number}-{run.fits}.pkl")
        try:
            with open(file, "wb") as stream:
                writer = SealedWriter(stream)
                cloudpickle.dump((estimator, rows), writer)
        except OSError:
            file.unlink(missing_ok=True)
            raise
        except Exception as error:  # noqa: BLE001  pickling runs the user's code, which may raise anything
            file.unlink(missing_ok=True)
            self._journal.append(
                "model", run=number, error=f"{type(error).__name__}: {error}"[:300]
            )
            return
        self._journal.append("model", run=number, file=file.name, seal=writer.seal)
        run.file = file
        if previous is not None and previous != file:
            previous.unlink(missing_ok=True)

    def _scored(self, score: _Score, estimator: Any, result: Any) -> None:
        found = self._owners.get(id(estimator))
        if found is None or found.model() is not estimator:
            return
        try:
            value = float(result)
        except (TypeError, ValueError):
            return
        fit = found.fit
        training = TRAINING if _same(score.data, fit.seen) else ""
        self._metric(fit.run, fit.prefix + training + score_name(estimator), value)
        self._changed()

    def _metric(self, run: OpenRun, name: str, value: float) -> None:
        run.metrics[name] = value
        self._journal.append("metric", run=run.number, name=name, value=value, time=models.now())


def _same(data: Any, seen: models.Dataset | None) -> bool:
    """Whether ``data`` is what the fit has seen; digested only if it is as long."""
    if seen is None or not seen.digest:
        return False
    shape = getattr(data, "shape", None)
    rows = shape[0] if shape else len(data) if hasattr(data, "__len__") else None
    return rows == seen.rows and fingerprint(data, seen.role).digest == seen.digest
