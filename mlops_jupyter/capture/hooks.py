"""Capture: what happens in the user's kernel, written to the session's journal as it happens.

Nothing here imports mlflow, scikit-learn or pandas: a journal becomes MLflow runs elsewhere
(:mod:`mlops_jupyter.runs`). One rule stands above all others: a fault of ours never breaks a cell.
It is reported once on stderr, and capture goes on.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from .. import journal as journals
from .. import models
from ..errors import InvalidInput
from ..workspace import Workspace
from . import kernel
from .autolog import REPLAY, Hook
from .outputs import Outputs
from .recorder import OpenRun, Recorder

if TYPE_CHECKING:
    import subprocess

    from IPython.core.interactiveshell import InteractiveShell

_active: Capture | None = None


def active() -> Capture | None:
    """The capture of this kernel, if it is on."""
    return _active


@contextlib.contextmanager
def track(name: str) -> Iterator[None]:
    """``with capture.track("name"):`` all fits inside belong to one run of that name.

    Raises
    ------
    InvalidInput
        If capture is not on in this kernel.
    """
    if _active is None:
        raise InvalidInput("Capture is not on.", hint="Run: %load_ext mlops_jupyter")
    with _active.track(name):
        yield


@dataclass
class _Running:
    """A cell under way; ``infos`` are IPython's for it and for cells run from within it."""

    infos: list[Any]
    cell: int
    count: int
    source: str
    id: str | None
    started: str
    clock: float


class Capture:
    """Records one kernel's session.

    Parameters
    ----------
    shell:
        The kernel's shell.
    workspace:
        Where the journal is kept.

    Raises
    ------
    Unavailable
        If the workspace's folder cannot be written.
    """

    def __init__(self, shell: InteractiveShell, workspace: Workspace) -> None:
        self._shell = shell
        self.workspace = workspace
        self._journal = journals.Journal(workspace)
        self._outputs = Outputs(shell)
        self._recorder = Recorder(
            self._journal,
            fault=self._fault,
            cell=self._current_cell,
            prepare=self._prepare,
            changed=self._changed,
        )
        self._hook = Hook(self._recorder)
        self._cells: dict[int, _Running] = {}
        self._count = 0
        self._notebook: str | None = None
        self._asked_notebook = False
        self._known_environment = False
        self._faults: set[str] = set()
        self._callbacks: list[Callable[[], None]] = []
        self._courier: subprocess.Popen[bytes] | None = None
        self._private = [
            (str(folder), sign)
            for folder, sign in ((workspace.root, "."), (Path.home(), "~"))
            if len(folder.parts) > 1
        ]

    def start(self) -> None:
        """Begin: from the next cell on, all is recorded; the cell that calls this is, too."""
        global _active  # noqa: PLW0603  the kernel has one capture
        info, number = kernel.running_cell()
        self._journal.append(
            "session",
            format=journals.FORMAT,
            session=self._journal.session,
            started=models.now(),
            folder=kernel.folder(self.workspace),
            parent=os.environ.get("MLOPS_PIPELINE_RUN") or None,
            number=number or int(self._shell.execution_count),
        )
        self._outputs.start()
        self._hook.install()
        if info is not None:
            self._begin(info)
        self._shell.events.register("pre_run_cell", self._pre_run_cell)
        self._shell.events.register("post_run_cell", self._post_run_cell)
        atexit.register(self.stop)
        _active = self

    def stop(self) -> None:
        """End the session: the journal gets its last record, every hook is taken out."""
        global _active  # noqa: PLW0603  the kernel has one capture
        if _active is not self:
            return
        _active = None
        atexit.unregister(self.stop)
        for event, callback in (
            ("pre_run_cell", self._pre_run_cell),
            ("post_run_cell", self._post_run_cell),
        ):
            with contextlib.suppress(ValueError):
                self._shell.events.unregister(event, callback)
        self._hook.remove()
        self._outputs.stop()
        try:
            self._journal.append("close", time=models.now())
        except Exception as error:  # noqa: BLE001  a fault of ours never breaks the kernel's exit
            self._fault(error)
        self._journal.close()

    # --- runs ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def track(self, name: str) -> Iterator[None]:
        """One explicit run around the ``with`` block: FINISHED, or FAILED if the block raised."""
        run = self.open(name)
        try:
            yield
        except BaseException:
            self._close(run, failed=True)
            raise
        self._close(run, failed=False)

    def open(self, name: str) -> OpenRun | None:
        """Open an explicit run that the end of the running cell closes; ``None`` after a fault."""
        try:
            return self._recorder.open(name, explicit=True)
        except Exception as error:  # noqa: BLE001  a fault of ours never breaks a cell
            self._fault(error)
            return None

    def _close(self, run: OpenRun | None, *, failed: bool) -> None:
        try:
            if run is not None:
                self._recorder.close(run, failed=failed)
        except Exception as error:  # noqa: BLE001  a fault of ours never breaks a cell
            self._fault(error)

    def current(self) -> models.Run | None:
        """This kernel's current or last run as the kernel knows it, or ``None``. ``run_id`` is the
        journal's key (``<session>/<number>``), which MLflow's run carries as tag ``mlops.key``."""
        run = self._recorder.last
        if run is None:
            return None
        return models.Run(
            run_id=f"{self._journal.session}/{run.number}",
            name=run.name,
            experiment=self.workspace.config.experiment or self.workspace.root.name,
            status=run.status,
            started=run.started,
            ended=run.ended,
            parameters=dict(run.parameters),
            metrics=dict(run.metrics),
            notebook=self._notebook,
            kind="model",
            parent_id=os.environ.get("MLOPS_PIPELINE_RUN") or None,
        )

    def on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have ``callback()`` called, in the kernel, whenever :meth:`current` changed; returns
        what ends it."""
        self._callbacks.append(callback)

        def dispose() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return dispose

    def _changed(self) -> None:
        for callback in list(self._callbacks):
            try:
                callback()
            except Exception as error:  # noqa: BLE001  a listener's fault never breaks a cell
                self._fault(error)

    # --- cells --------------------------------------------------------------------------------

    def _pre_run_cell(self, info: Any) -> None:
        if REPLAY in os.environ:  # the cell runs again only for what it leaves in the kernel
            return
        try:
            running = self._cells.get(threading.get_ident())
            if running is not None and running.count == self._shell.execution_count:
                running.infos.append(info)  # run from within that cell
                return
            self._hook.repair()
            self._begin(info)
        except Exception as error:  # noqa: BLE001  a fault of ours never breaks a cell
            self._fault(error)

    def _begin(self, info: Any) -> None:
        if not self._asked_notebook:
            self._asked_notebook = True
            self._notebook = kernel.notebook(self.workspace, self._shell.user_ns)
            self._journal.append("notebook", path=self._notebook)
        self._count += 1
        self._cells[threading.get_ident()] = _Running(
            infos=[info],
            cell=self._count,
            count=int(self._shell.execution_count),
            source=str(info.raw_cell or ""),
            id=getattr(info, "cell_id", None),
            started=models.now(),
            clock=perf_counter(),
        )
        self._outputs.begin()

    def _post_run_cell(self, result: Any) -> None:
        try:
            running = self._cells.get(threading.get_ident())
            if running is None or result.info not in running.infos:  # an empty cell
                return
            del running.infos[running.infos.index(result.info) :]
            if running.infos:
                return
            seconds = perf_counter() - running.clock
            del self._cells[threading.get_ident()]
            error = result.error_before_exec or result.error_in_exec
            self._journal.append(
                "cell",
                cell=running.cell,
                number=int(result.execution_count or running.count),
                id=running.id,
                source=running.source,
                status="ok" if error is None else "error",
                started=running.started,
                seconds=round(seconds, 6),
                output=self._without_paths(self._outputs.end()),
                error=None if error is None else self._line(error),
                peak_mb=kernel.peak_mb(),
            )
            self._recorder.close_cell(running.cell, failed=error is not None)
        except Exception as error:  # noqa: BLE001  a fault of ours never breaks a cell
            self._fault(error)

    def _current_cell(self) -> tuple[int | None, str, str | None]:
        running = self._cells.get(threading.get_ident())
        if running is None and self._cells:  # a thread of the user's: the cell that runs meanwhile
            running = next(iter(self._cells.values()), None)
        return (running.cell, running.source, running.id) if running else (None, "", None)

    def _line(self, error: BaseException) -> str:
        message = next(iter(str(error).splitlines()), "")
        return self._without_paths(f"{type(error).__name__}: {message}"[:1000])

    def _without_paths(self, shown: str) -> str:
        for folder, sign in self._private:
            shown = shown.replace(folder, sign)
        return shown

    # --- around the runs ----------------------------------------------------------------------

    def _prepare(self) -> None:
        """A run opened: note the environment once, and see that somebody delivers."""
        try:
            if not self._known_environment:
                self._known_environment = True
                self._journal.append("environment", values=kernel.environment())
            if os.environ.get("MLOPS_COURIER") == "off" or self.workspace.held("courier"):
                return
            if self._courier is None or self._courier.poll() is not None:
                self._courier = kernel.spawn_courier(self.workspace)
        except Exception as error:  # noqa: BLE001  a fault of ours never breaks a cell
            self._fault(error)

    def _fault(self, error: Exception) -> None:
        """Report each kind of fault of ours once."""
        line = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        if line not in self._faults:
            self._faults.add(line)
            with contextlib.suppress(OSError, ValueError, AttributeError):
                sys.stderr.write(f"mlops_jupyter: capture is incomplete: {line}\n")

    def abandon(self) -> None:
        """For a forked child: it shares the kernel's memory, but is not the kernel."""
        self._hook.listener = None
        self._journal.abandon()


def _forked() -> None:
    global _active  # noqa: PLW0603  the kernel has one capture, its forked child has none
    if _active is not None:
        _active.abandon()
        _active = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
