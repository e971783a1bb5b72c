"""The papermill engine ``mlops``: a whole notebook in one kernel, with its steps recorded.

``mlops run`` and ``papermill in.ipynb out.ipynb --engine mlops`` end here both.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import notebook as notebooks
from ..errors import MLOpsError
from ..workspace import ENV, Workspace
from . import parameters
from .conductor import Conductor, Job, injected_cell
from .ids import new_id
from .source import check_syntax
from .steps import cut

if TYPE_CHECKING:
    from nbformat import NotebookNode


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
        options:
            papermill's other options.

        Raises
        ------
        InvalidInput
            If a parameter is unknown or of the wrong type, or a cell is not Python.
        """
        from .. import _papermill

        place = _papermill.local_path(input_path)
        original = _read(place)
        injected = injected_cell(nb, original)
        output: Path | str | None
        if conductor is None:
            output = _papermill.local_path(output_path) or output_path
            conductor = _conductor(nb, original, place, output, _papermill.chosen_folder())
        else:
            output = Path(conductor.job.output) if conductor.job.output else None
        about = nb.metadata.papermill
        about.pop("environment_variables", None)
        about["input_path"], about["output_path"] = conductor.state.notebook, conductor.state.output
        with conductor.over(nb, injected):
            return _papermill.run_engine(nb, kernel_name, conductor, output=output, **options)

    @classmethod
    def nb_kernel_name(cls, nb: NotebookNode, name: str | None = None) -> str:
        """The kernel to use: ``name``, else the notebook's own if installed, else ``python3``."""
        from .. import _papermill

        return _papermill.kernel_name(nb, name)

    @classmethod
    def nb_language(cls, nb: NotebookNode, language: str | None = None) -> str:
        """The notebook's language."""
        from .. import _papermill

        return language or _papermill.language(nb)


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
