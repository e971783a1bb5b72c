"""papermill, behind one border. Only this module imports papermill, and nothing imports this module
before a notebook runs.

papermill reads the notebook, injects the parameters and calls our engine; a :class:`Book` keeps its
books about the cells (status, times, progress bar) while the steps run in kernels of their own.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from papermill.engines import NotebookExecutionManager
from papermill.exceptions import PapermillExecutionError
from papermill.iorw import LocalHandler, papermill_io, write_ipynb

from . import notebook as notebooks

if TYPE_CHECKING:
    from nbformat import NotebookNode

_SAVE_EVERY = 1.0  # seconds, or twenty times what a save takes
_quiet = logging.getLogger("mlops_jupyter.kernel")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


def language(notebook: NotebookNode) -> str:
    """The notebook's language; ``python`` when it does not say."""
    info, spec = notebook.metadata.get("language_info", {}), notebook.metadata.get("kernelspec", {})
    return str(info.get("name") or spec.get("language") or "python")


def execute(path: Path, parameters: dict[str, Any], kernel: str, **engine: Any) -> None:
    """Run the notebook ``path`` through papermill with the engine ``mlops``.

    Cells that fail are told to the engine's conductor, not raised here.

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

    with contextlib.suppress(PapermillExecutionError):
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


class Book(NotebookExecutionManager):  # type: ignore[misc]  # papermill has no types
    """papermill's bookkeeping of an execution: the notebook is saved now and then, whole or not at
    all, and each cell says how it went.

    Parameters
    ----------
    notebook:
        What is executed; changed in place.
    output:
        Where it is saved: a local path, or what papermill's caller gave.
    progress_bar:
        As papermill's.
    """

    def __init__(
        self, notebook: NotebookNode, output: Path | str | None, progress_bar: Any = False
    ) -> None:
        super().__init__(notebook, output_path=output, progress_bar=progress_bar)
        self._saved = self._took = 0.0
        self._silent = False

    def save(self, **kwargs: Any) -> None:
        """Save the notebook as it is now, unless it was saved a moment ago."""
        moment = time.monotonic()
        if self._silent or moment - self._saved < max(_SAVE_EVERY, 20 * self._took):
            return
        self._write()
        self._took, self._saved = time.monotonic() - moment, time.monotonic()

    def _write(self) -> None:
        if isinstance(self.output_path, Path):
            notebooks.write(self.nb, self.output_path)
        elif self.output_path:
            write_ipynb(self.nb, self.output_path)

    def cells(
        self, indices: list[int], times: list[tuple[datetime, datetime]], failed: int | None
    ) -> None:
        """Cells of a step ended, with their outputs in place; ``failed`` is the one that raised."""
        with self._quietly():
            for index, (began, ended) in zip(indices, times, strict=True):
                cell = self.nb.cells[index]
                self.cell_start(cell, index)
                if index == failed:
                    self.cell_exception(cell, cell_index=index)
                self.cell_complete(cell, cell_index=index)
                cell.metadata.papermill |= {
                    "start_time": began.isoformat(),
                    "end_time": ended.isoformat(),
                    "duration": (ended - began).total_seconds(),
                }
        self.save()

    def finish(self, *, interrupted: bool) -> None:
        """Note the end, and save; cells that an interrupted run did not reach stay pending."""
        about = [cell.metadata.papermill for cell in self.nb.cells]
        pending = [item for item in about if item["status"] == self.PENDING]
        with self._quietly():
            self.notebook_complete()
        for item in pending if interrupted else []:
            item["status"] = self.PENDING
        self._write()

    @contextlib.contextmanager
    def _quietly(self) -> Iterator[None]:
        self._silent = True
        try:
            yield
        finally:
            self._silent = False
