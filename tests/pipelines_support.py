"""What the tests of pipelines share: notebooks from a few words, and processes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat

from mlops_jupyter import pipelines
from mlops_jupyter.models import PipelineRun
from mlops_jupyter.workspace import Workspace

KERNEL = {"name": "python3", "language": "python", "display_name": "Python 3"}


def notebook(*cells: str | tuple[str, str], kernel: dict[str, str] | None = KERNEL):
    """A notebook: text starting with ``#`` and a space or ``##`` is markdown, other text is code,
    and ``(tags, code)`` is code with comma-separated tags."""
    made = nbformat.v4.new_notebook(metadata={"language_info": {"name": "python"}})
    if kernel is not None:
        made.metadata["kernelspec"] = dict(kernel)
    for cell in cells:
        tags, source = cell if isinstance(cell, tuple) else ("", cell)
        if not tags and source.startswith(("# ", "## ", "### ")):
            made.cells.append(nbformat.v4.new_markdown_cell(source))
        else:
            metadata = {"tags": tags.split(",")} if tags else {}
            made.cells.append(nbformat.v4.new_code_cell(source, metadata=metadata))
    return made


def save(path: Path, *cells: str | tuple[str, str], **options) -> Path:
    """Write a :func:`notebook` to ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook(*cells, **options), path)
    return path


def outputs(path: Path) -> list[list[dict]]:
    """The outputs of each code cell, without what differs between any two runs."""
    found = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            found.append([{**output, "traceback": None} for output in cell.outputs])
    return found


def python(code: str, *arguments: str, cwd: Path, **options) -> subprocess.Popen[str]:
    """Start Python in a session of its own, so that a signal reaches it alone."""
    return subprocess.Popen(
        [sys.executable, *(["-c", code] if code else []), *arguments],
        cwd=cwd,
        text=True,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **options.pop("env", {})},
        **options,
    )


@dataclass(frozen=True)
class Played:
    """What one run of a notebook gave: per step its status in one letter (``r`` ran, ``c`` cached,
    ``f`` failed, ``s`` skipped) and the reason; per code cell of the notebook what it showed."""

    run: PipelineRun
    did: str
    why: list[str]
    shown: list[str]


def play(workspace: Workspace, *cells: str | tuple[str, str], **options) -> Played:
    """Run a notebook ``a.ipynb`` of these cells in ``workspace``."""
    path = save(workspace.root / "a.ipynb", *cells)
    parameters = options.pop("parameters", {})
    run = pipelines.run(workspace, path, parameters, **options)
    executed = nbformat.read(workspace.root / run.output, as_version=4)
    nbformat.validate(executed)
    shown = [
        _text(cell.outputs)
        for cell in executed.cells
        if cell.cell_type == "code" and "injected-parameters" not in cell.metadata.get("tags", [])
    ]
    return Played(
        run,
        "".join(step.status[0] for step in run.steps),
        [step.reason for step in run.steps],
        shown,
    )


def _text(outputs: list[dict]) -> str:
    found = [
        output.text
        if output.output_type == "stream"
        else f"{output.ename}: {output.evalue}"
        if output.output_type == "error"
        else output.data.get("text/plain", "")
        for output in outputs
    ]
    return "".join(found).rstrip("\n")
