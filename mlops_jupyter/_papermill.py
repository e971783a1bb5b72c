"""papermill, behind one border. Only this module imports papermill, and nothing imports this module
before a notebook runs.

A :class:`Watcher` is told before and after each cell. The kernel runs in its own environment and
folder; the executed notebook is written whole after each cell; when anything interrupts the run,
the kernel process is gone before the interruption goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from nbclient.exceptions import CellExecutionError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NotebookExecutionManager
from papermill.exceptions import PapermillExecutionError
from papermill.iorw import LocalHandler, papermill_io, write_ipynb

from . import notebook as notebooks
from .errors import Unavailable

if TYPE_CHECKING:
    from nbformat import NotebookNode

DEFAULT_KERNEL = "python3"
_quiet = logging.getLogger("mlops_jupyter.kernel")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


class Watcher(Protocol):
    """Who accompanies a run; indices are into the executed notebook."""

    @property
    def folder(self) -> Path:
        """The kernel's working folder."""

    @property
    def environment(self) -> dict[str, str]:
        """Variables the kernel gets on top of this process's."""

    def before(self, index: int) -> bool:
        """A cell comes next; false leaves it out."""

    def after(self, index: int) -> None:
        """A cell ran, and the notebook with its outputs is saved."""

    def failed(self, index: int, name: str, message: str) -> None:
        """A cell raised (``name`` is the exception's), and the notebook is saved."""


def kernel_name(notebook: NotebookNode, given: str | None = None) -> str:
    """The kernel to use: ``given``, else the notebook's own if installed, else ``python3``."""
    own = notebook.metadata.get("kernelspec", {}).get("name")
    if given or not own:
        return given or DEFAULT_KERNEL
    try:
        KernelSpecManager().get_kernel_spec(own)
    except NoSuchKernel:
        return DEFAULT_KERNEL
    return str(own)


def language(notebook: NotebookNode) -> str:
    """The notebook's language; ``python`` when it does not say."""
    info, spec = notebook.metadata.get("language_info", {}), notebook.metadata.get("kernelspec", {})
    return str(info.get("name") or spec.get("language") or "python")


def execute(path: Path, parameters: dict[str, Any], kernel: str, **engine: Any) -> None:
    """Run the notebook ``path`` through papermill with the engine ``mlops``.

    Cells that fail and kernels that die are told to the watcher, not raised here.

    Parameters
    ----------
    path:
        The notebook.
    parameters:
        What papermill injects; nothing is injected when empty.
    kernel:
        Name of an installed kernel.
    engine:
        Further arguments for the engine.

    Raises
    ------
    Unavailable
        If the kernel cannot be started.
    """
    import papermill

    with contextlib.suppress(PapermillExecutionError, DeadKernelError):
        papermill.execute_notebook(
            str(path).replace("{", "{{").replace("}", "}}"),
            None,
            parameters=parameters or None,
            engine_name="mlops",
            kernel_name=kernel,
            language="python",
            progress_bar=False,
            log=_quiet,
            **engine,
        )


def local_path(path: str | None) -> Path | None:
    """A path as papermill's caller gave it, absolute; ``None`` if it is not a local file."""
    handler = papermill_io.get_handler(path)
    if not isinstance(path, str) or not isinstance(handler, LocalHandler):
        return None
    return Path(handler._cwd or ".", path).absolute()


def chosen_folder() -> Path | None:
    """The folder that papermill's ``cwd`` names, or ``None`` if it was not given."""
    handler = papermill_io.get_handler("local")
    here = Path.cwd()
    return here if handler._cwd and Path(handler._cwd) != here else None


def run_engine(
    notebook: NotebookNode,
    kernel: str,
    watcher: Watcher,
    *,
    output: Path | str | None,
    progress_bar: Any = False,
    log_output: bool = False,
    autosave_cell_every: int | None = 30,
    start_timeout: int = 60,
    execution_timeout: int | None = None,
    log: logging.Logger | None = None,
    **client: Any,
) -> NotebookNode:
    """Run all cells of ``notebook`` in one kernel; what papermill asks of an engine.

    The notebook is changed in place and saved to ``output`` (a local path is written whole or not
    at all) after each cell.

    Raises
    ------
    Unavailable
        If the kernel cannot be started.
    """
    manager = _Manager(
        notebook,
        output_path=output,
        progress_bar=progress_bar,
        log_output=log_output,
        autosave_cell_every=autosave_cell_every or 0,
    )
    manager.notebook_start()
    manager.interrupted = True
    try:
        _Client(
            manager,
            watcher,
            kernel_name=kernel,
            timeout=execution_timeout,
            startup_timeout=start_timeout,
            log=log or logging.getLogger("papermill"),
            log_output=log_output,
            **client,
        ).execute()
        manager.interrupted = False
    finally:
        manager.notebook_complete()
    return notebook


class _Manager(NotebookExecutionManager):  # type: ignore[misc]  # papermill has no types
    """papermill's bookkeeping, but the notebook is saved once a cell, whole or not at all."""

    output_path: Path | str | None
    interrupted = False

    def save(self, **kwargs: Any) -> None:
        """Save the notebook as it is now."""
        if kwargs.get("nb"):
            self.nb = kwargs["nb"]
        if isinstance(self.output_path, Path):
            notebooks.write(self.nb, self.output_path)
        elif self.output_path:
            write_ipynb(self.nb, self.output_path)
        self.last_save_time = self.now()

    def cell_start(self, cell: NotebookNode, cell_index: int | None = None, **kwargs: Any) -> None:
        """Note a cell's start; nothing is worth saving yet."""
        with self._unsaved():
            super().cell_start(cell, cell_index, **kwargs)

    def cell_complete(
        self, cell: NotebookNode, cell_index: int | None = None, **kwargs: Any
    ) -> None:
        """Note a cell's end, and save the notebook if the cell could change it."""
        with self._unsaved() if cell.cell_type != "code" else contextlib.nullcontext():
            super().cell_complete(cell, cell_index, **kwargs)

    def notebook_complete(self, **kwargs: Any) -> None:
        """Note the end, and save; cells that an interrupted run did not reach stay pending."""
        about = [cell.metadata.papermill for cell in self.nb.cells]
        pending = [item for item in about if item["status"] == self.PENDING]
        with self._unsaved():
            super().notebook_complete(**kwargs)
        for item in pending if self.interrupted else []:
            item["status"] = self.PENDING
        self.save()

    @contextlib.contextmanager
    def _unsaved(self) -> Iterator[None]:
        path, self.output_path = self.output_path, None
        try:
            yield
        finally:
            self.output_path = path


class _Client(PapermillNotebookClient):  # type: ignore[misc]  # papermill has no types
    """papermill's client with a watcher, and a kernel that never outlives it."""

    def __init__(self, manager: _Manager, watcher: Watcher, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._watcher = watcher
        self._ready = False
        self._kernels: list[Any] = []

    def create_kernel_manager(self) -> Any:
        """The kernel's manager, also kept for :meth:`_end`; encrypted where both sides can."""
        manager = super().create_kernel_manager()
        if manager.has_trait("transport_encryption"):
            manager.transport_encryption = "auto"
        self._kernels.append(manager)
        return manager

    def execute(self, **kwargs: Any) -> NotebookNode:
        """Start the kernel, run all cells, end the kernel."""
        environment = {**os.environ, **self._watcher.environment}
        environment.pop("JPY_SESSION_NAME", None)  # another notebook's, if this runs in a kernel
        try:
            super().execute(cwd=str(self._watcher.folder), env=environment, **kwargs)
        except BaseException as error:
            self._end()
            if (interruption := _interruption(error)) is not None:
                raise interruption from None
            if isinstance(error, RuntimeError | NoSuchKernel | OSError) and not self._ready:
                raise Unavailable(
                    f"The kernel {self.kernel_name!r} cannot be started: {error}",
                    hint="See: jupyter kernelspec list",
                ) from error
            raise
        notebook: NotebookNode = self.nb
        return notebook

    def papermill_execute_cells(self) -> None:
        """Run the cells in order until one fails."""
        self._ready = True
        for index, cell in enumerate(self.nb.cells):
            if not self._watcher.before(index):
                continue
            problem: tuple[str, str] | None = None
            try:
                self.nb_man.cell_start(cell, index)
                self.execute_cell(cell, index)
            except CellExecutionError as error:
                self.nb_man.cell_exception(self.nb.cells[index], cell_index=index, exception=error)
                problem = error.ename, error.evalue
            except BaseException as error:
                self.nb_man.cell_exception(self.nb.cells[index], cell_index=index, exception=error)
                if isinstance(error, DeadKernelError):
                    self._watcher.failed(index, "DeadKernelError", "the kernel died")
                raise
            finally:
                self.nb_man.cell_complete(self.nb.cells[index], cell_index=index)
            if problem:
                self._watcher.failed(index, *problem)
                break
            self._watcher.after(index)

    def _end(self) -> None:
        """After an interruption: no kernel process, no connection file, no task is left."""
        for manager in self._kernels:
            process = getattr(manager.provisioner, "process", None)
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
            manager.cleanup_connection_file()
        with contextlib.suppress(RuntimeError):  # a loop that runs is another thread's
            loop = asyncio.get_event_loop_policy().get_event_loop()
            left = [task for task in asyncio.all_tasks(loop) if _ours(task)]
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))


def _interruption(error: BaseException) -> BaseException | None:
    """The Ctrl-C (or exit) behind ``error``. Where it strikes just as a future of asyncio's ended,
    nbclient's own clean-up fails on the stopped loop, and that failure would be seen instead."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, KeyboardInterrupt | SystemExit):
        found = found.__context__
    return found


def _ours(task: asyncio.Task[Any]) -> bool:
    return "nbclient" in getattr(getattr(task.get_coro(), "cr_code", None), "co_filename", "")
