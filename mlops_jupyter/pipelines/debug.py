"""Debugging a step: a notebook that opens with what the step began with.

:func:`debug` writes it. Its first cell runs ``%mlops pipeline inputs RUN STEP`` (see
:mod:`~mlops_jupyter.pipelines.inputs`).
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from .. import notebook as notebooks
from ..cache import open_cache
from ..errors import Conflict, InvalidInput
from ..models import DebugNotebook, PipelineRun, Step
from ..notebook import tags
from ..workspace import Workspace
from . import failures, runner
from .past import Executed, Past
from .resume import find
from .steps import INJECTED

if TYPE_CHECKING:
    from nbformat import NotebookNode

FAILED = "failed"  # the tag of the cell that failed


def debug(
    workspace: Workspace,
    notebook: Path,
    step: str | None = None,
    *,
    run: str | None = None,
    output: Path | None = None,
    cache: str | None = None,
) -> DebugNotebook:
    """Write a notebook that opens a step with what it began with.

    Parameters
    ----------
    step:
        Its name; default: the one that failed.
    run:
        Id of the run; default: the notebook's last.
    output:
        Where it is written; default ``executed/<notebook>-<run>-<step>.ipynb`` in the workspace.
    cache:
        Where the run kept its results, if not where the settings say.

    Raises
    ------
    NotFound
        If there is no such run or step, or what the step began with is not there any more.
    Conflict
        If the run goes on.
    InvalidInput
        If no step failed and none is named, the run is of another notebook, or the output would
        replace the notebook.
    Unavailable
        If it cannot be written.
    """
    found = runner.find(workspace, run) if run else find(workspace, str(notebook))
    if found.notebook != workspace.relative(notebook):
        raise InvalidInput(f"Run {found.id} is of {found.notebook}.", hint="Name that notebook.")
    if found.status in ("running", "queued"):
        raise Conflict(f"Run {found.id} of {found.notebook} is going on.", hint="Wait for it.")
    executed = Executed.of(workspace, found)
    failed = next((item.name for item in found.steps if item.status == "failed"), None)
    if step is None and failed is None:
        names = ", ".join(item.name for item in found.steps)
        raise InvalidInput(f"No step of run {found.id} failed.", hint=f"Name one of: {names}.")
    name = step if step is not None else str(failed)
    number = executed.number(name)
    part = re.sub(r"[^\w.-]+", "-", name)
    stem = f"{Path(found.notebook).stem}-{found.id}-{part}"
    target = output or runner.executed_path(workspace, f"{runner.EXECUTED}/{stem}.ipynb")
    target = target.absolute()
    if target.is_dir() or target.resolve() in (
        notebook.resolve(),
        (workspace.root / found.output).resolve(),
    ):
        raise InvalidInput(
            f"The output {target.name!r} would replace something else.", hint="Choose another."
        )
    Past(workspace, open_cache(workspace, cache), executed, number)  # it is all there
    failure = failures.find(found, workspace.root / found.output) if name == failed else None
    content, cell = _written(
        executed, number, failure, _command(workspace, target, found, name, cache)
    )
    notebooks.write(content, target)
    return DebugNotebook(
        found.notebook,
        found.id,
        name,
        workspace.relative(target),
        cell,
        failure.error if failure else None,
    )


def _command(
    workspace: Workspace, target: Path, run: PipelineRun, step: str, cache: str | None
) -> str:
    words = ["pipeline", "inputs", run.id, step]
    if not target.is_relative_to(workspace.root):
        words += ["-w", os.path.relpath(workspace.root, target.parent)]
    if cache is not None:
        folder = workspace.root / Path(cache).expanduser()
        words += ["--cache", cache if "://" in cache else os.path.relpath(folder, workspace.root)]
    return f"%load_ext mlops_jupyter\n%mlops {shlex.join(words)}"


def _written(
    executed: Executed, number: int, failure: failures.Failure | None, command: str
) -> tuple[NotebookNode, int | None]:
    """The notebook, and the index in it of the cell that failed."""
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    step, culprit = executed.steps[number], None
    metadata = {
        key: value
        for key, value in executed.content.metadata.items()
        if key in ("kernelspec", "language_info")
    }
    about = f"Step `{step.name}` of {executed.run.notebook}, run {executed.run.id}"
    cells = [new_code_cell(command), new_markdown_cell(about)]
    wrong = _failed_cell(executed, step, failure) if failure else None
    for index in step.cells:
        cell = executed.content.cells[index]
        copy = new_code_cell(cell.source, metadata={"tags": [*tags(cell)]})
        if index == wrong and failure is not None:
            culprit = len(cells) + 1
            said = "\n".join(f"    {line}" for line in failure.error.splitlines())
            cells.append(new_markdown_cell(f"The next cell failed:\n\n{said}"))
            copy.metadata["tags"].append(FAILED)
            copy.outputs, copy.execution_count = cell.outputs, cell.execution_count
        cells.append(copy)
    return new_notebook(cells=cells, metadata=metadata), culprit


def _failed_cell(executed: Executed, step: Step, failure: failures.Failure) -> int | None:
    cells = executed.content.cells
    for index in step.cells:
        if cells[index].metadata.get("papermill", {}).get("exception"):
            return index
    if failure.cell is None:
        return None
    before = any(INJECTED in tags(cell) for cell in cells[: failure.cell])
    return next((i for i in (failure.cell - 1 + before, failure.cell - 1) if i in step.cells), None)
