"""The papermill engine ``mlops``: a whole notebook in one kernel, with its steps recorded.

``mlops run`` and ``papermill in.ipynb out.ipynb --engine mlops`` end here both.
"""

from __future__ import annotations

import contextlib
import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import notebook as notebooks
from ..cache import open_cache
from ..errors import MLOpsError
from ..executors.local import LocalExecutor
from ..notebook import tags
from ..workspace import ENV, Workspace
from . import parameters, secrets
from .conductor import Conductor
from .ids import new_id
from .job import Job, Options
from .source import check_syntax
from .steps import INJECTED, cut

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from ..executors.base import Executor


class MlopsEngine:
    """What papermill asks of an engine.

    papermill imports its engines while it is being imported itself, so this class does not derive
    from one of papermill's: it reaches for papermill when a notebook runs.
    """

    @classmethod
    def execute_notebook(
        cls,
        nb: NotebookNode,
        kernel_name: str,
        output_path: str | None = None,
        input_path: str | None = None,
        conductor: Conductor | None = None,
        executor: Executor | None = None,
        settings: Options | None = None,
        **options: Any,
    ) -> NotebookNode:
        """Run ``nb`` in a kernel and record it as a pipeline run.

        Parameters
        ----------
        nb:
            The notebook with its parameters injected; changed in place.
        kernel_name:
            The kernel to start.
        output_path, input_path:
            As papermill's caller gave them.
        conductor:
            Who accompanies the run; made here when papermill was called directly.
        executor, settings:
            Where and how steps run; by default one after another on this machine.
        options:
            papermill's other options.

        Raises
        ------
        InvalidInput
            If a parameter is unknown or of the wrong type, or a cell is not Python.
        """
        from .. import _papermill
        from .execution import Execution

        place = _papermill.local_path(input_path)
        original = _read(place)
        if conductor is not None:
            secrets.inject(nb, conductor.job.secrets, conductor.job.parameters)
        injected = _injected_cell(nb, original)
        output: Path | str | None
        if conductor is None:
            output = _papermill.local_path(output_path) or output_path
            conductor = _conductor(nb, original, place, output, _papermill.chosen_folder())
        else:
            output = Path(conductor.job.output) if conductor.job.output else None
        about = nb.metadata.papermill
        about.pop("environment_variables", None)
        about["input_path"], about["output_path"] = conductor.state.notebook, conductor.state.output
        settings = settings or Options(open_cache(conductor.workspace).url)
        book = _papermill.Book(nb, output, options.pop("progress_bar", False))
        log = logging.getLogger("papermill") if options.pop("log_output", False) else None
        client, timeout = _client_options(options)
        with conductor.over(nb, injected), contextlib.ExitStack() as stack:
            book.notebook_start()
            done = False
            try:
                if executor is None:
                    executor = stack.enter_context(LocalExecutor(settings.workers))
                Execution(
                    nb,
                    kernel_name,
                    conductor,
                    book,
                    executor,
                    settings,
                    start_timeout=timeout,
                    client=client,
                    on_output=partial(_log, log) if log else None,
                ).run()
                done = True
            finally:
                book.cleanup_pbar()
                book.finish(interrupted=not done)
        return nb

    @classmethod
    def nb_kernel_name(cls, nb: NotebookNode, name: str | None = None) -> str:
        """The kernel to use: ``name``, else the notebook's own if installed, else ``python3``."""
        from .. import _kernels

        return _kernels.kernel_name(nb, name)

    @classmethod
    def nb_language(cls, nb: NotebookNode, language: str | None = None) -> str:
        """The notebook's language."""
        from .. import _papermill

        return language or _papermill.language(nb)


def _client_options(options: dict[str, Any]) -> tuple[dict[str, Any], float]:
    """papermill's options as nbclient takes them, and the seconds a kernel has to start."""
    timeout = options.pop("start_timeout", 60)
    for name in ("autosave_cell_every", "stdout_file", "stderr_file", "log"):
        options.pop(name, None)
    if "execution_timeout" in options:
        options["timeout"] = options.pop("execution_timeout")
    return options, timeout


def _log(log: logging.Logger, index: int, output: Any) -> None:
    """Log what a cell prints, as papermill's ``--log-output`` does."""
    if output.output_type == "stream":
        level = logging.WARNING if output.name == "stderr" else logging.INFO
        log.log(level, output.text.rstrip("\n"))


def _read(place: Path | None) -> NotebookNode | None:
    try:
        return notebooks.read(place) if place is not None else None
    except MLOpsError:
        return None


def _conductor(
    nb: NotebookNode,
    original: NotebookNode | None,
    place: Path | None,
    output: Path | str | None,
    chosen_folder: Path | None,
) -> Conductor:
    """The conductor of a notebook that papermill was asked to run directly."""
    source = original if original is not None else nb
    name = place.name if place is not None else "notebook.ipynb"
    check_syntax(source, cut(source), name)
    given = {
        key: value
        for key, value in nb.metadata.papermill.get("parameters", {}).items()
        if key not in parameters.BUILT_IN
    }
    values = parameters.check(parameters.declared(source), given)
    folder = place.parent if place is not None else Path.cwd()
    job = Job(
        id=new_id(),
        workspace=str(_workspace(folder).root),
        notebook=str(place or folder / name),
        folder=str(chosen_folder or folder),
        output=str(output) if isinstance(output, Path) else None,
        parameters=values,
    )
    return Conductor(job)


def _workspace(folder: Path) -> Workspace:
    """The workspace around the notebook's folder, else around the working folder."""
    import os

    if os.environ.get(ENV):
        return Workspace.find()
    around = Workspace.find(folder)
    if around.state.is_dir() or (around.root / "mlops.toml").is_file():
        return around
    return Workspace.find(Path.cwd())


def _injected_cell(notebook: Any, original: Any | None) -> int | None:
    """Index of the cell that papermill added to ``original`` (which may not be known), if any."""
    found = [index for index, cell in enumerate(notebook.cells) if INJECTED in tags(cell)]
    before = [cell for cell in original.cells if INJECTED in tags(cell)] if original else []
    return found[0] if len(found) > len(before) else None
