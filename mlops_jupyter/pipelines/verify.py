"""Running a notebook both ways and comparing: top to bottom in one kernel, and as a pipeline.

Each way gets a copy of the project's folder, so that verifying changes nothing in it. The pipeline
runs twice, first with nothing in the cache, then with all in it. Where something differs, the
notebook is run top to bottom once more: what differs there as well is the notebook's own doing (a
clock, a random number without a seed) and does not count, but is told.
"""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .. import notebook as notebooks
from ..errors import Unavailable
from ..models import CellVerification, Finding, Verification
from ..workspace import Workspace
from .compare import compare_files, compare_outputs, files_in, probe
from .runner import run
from .steps import runs

if TYPE_CHECKING:
    from nbformat import NotebookNode

_REPEATS = 3
_NOT_COPIED = (
    *(".git", ".mlops", ".venv", "venv", "node_modules", "executed"),
    *("__pycache__", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache", ".ruff_cache"),
)


@dataclass(frozen=True)
class _Way:
    """One execution.

    ``place`` is where it ran, ``folder`` where its files are now, ``variables`` the file with its
    final variables.
    """

    place: Path
    folder: Path
    executed: NotebookNode
    variables: Path
    seconds: float

    def cells(self) -> list[Any]:
        """The notebook's own cells, without the probe."""
        return list(self.executed.cells[:-1])


Found = dict[tuple[str, str], str]


def verify(
    workspace: Workspace,
    notebook: Path,
    parameters: Mapping[str, Any],
    *,
    workers: int = 1,
    secrets: Mapping[str, str] | None = None,
) -> Verification:
    """Run ``notebook`` both ways and compare displayed outputs, final variables and files. Sets
    iterate in the same order in both.

    Parameters
    ----------
    parameters, workers, secrets:
        As for :func:`~mlops_jupyter.pipelines.run`.

    Raises
    ------
    MLOpsError
        As :func:`~mlops_jupyter.pipelines.run`.
    """
    from .._kernels import hash_seed

    notebook = notebook.absolute()
    content = notebooks.read(notebook)
    inside = notebook.is_relative_to(workspace.root)
    root = workspace.root if inside else notebook.parent
    with tempfile.TemporaryDirectory(prefix="mlops-verify-") as made:
        bench = _Bench(root, notebook.relative_to(root), content, Path(made).resolve())
        cold = bench.pipeline(parameters, workers, secrets)
        plain = bench.plain(cold.executed, hash_seed())
        cached = bench.pipeline(parameters, workers, secrets, after=cold)
        found = _differences(plain, cold)
        for place, first in _differences(plain, cached).items():
            found.setdefault(place, f"from the cache: {first}")
        unsteady: Found = {}
        for _ in range(_REPEATS):  # what is drawn from few values may be the same by chance
            if found.keys() - unsteady.keys():
                unsteady |= _differences(plain, bench.plain(cold.executed))
    cells = [
        CellVerification(
            index,
            place not in found,
            found.get(place),
            place not in found or place not in unsteady,
        )
        for index in range(len(plain.cells()))
        for place in [("cell", str(index))]
    ]
    return Verification(
        notebook=workspace.relative(notebook),
        equal=not set(found) - set(unsteady),
        cells=cells,
        variables=_findings("variable", found, unsteady),
        files=_findings("file", found, unsteady),
        seconds_notebook=plain.seconds,
        seconds_pipeline=cold.seconds,
        seconds_cached=cached.seconds,
    )


def report(found: Verification) -> str:
    """What was found, as lines; the first says it all."""
    times = (
        f"notebook {found.seconds_notebook:.1f} s, pipeline {found.seconds_pipeline:.1f} s, "
        f"from the cache {found.seconds_cached:.1f} s"
    )
    verdict = "equal" if found.equal else "NOT equal"
    lines = [f"{found.notebook}: {verdict} ({len(found.cells)} cells; {times})"]
    told = [
        *(
            (cell.steady, f"cell {cell.index + 1}: {cell.first_difference}")
            for cell in found.cells
            if not cell.equal
        ),
        *((item.steady, f"variable {item.first_difference}") for item in found.variables),
        *((item.steady, f"file {item.name}: {item.first_difference}") for item in found.files),
    ]
    lines += [f"  {text}" for steady, text in told if steady]
    if any(not steady for steady, _ in told):
        lines.append("Not counted, because the notebook itself gives something else each time:")
        lines += [f"  {text}" for steady, text in told if not steady]
    return "\n".join(lines)


class _Bench:
    """Where a notebook is run, each time in a new copy of its project."""

    def __init__(self, root: Path, name: Path, content: NotebookNode, place: Path) -> None:
        self._root = root
        self._name = name
        self._content = content
        self._place = place
        self._count = 0

    def _copy(self, way: str) -> tuple[Path, Path]:
        """A copy of the project, and where the variables go."""
        self._count += 1
        folder = self._place / way / (self._root.name or "project")
        ignore = shutil.ignore_patterns(*_NOT_COPIED)
        shutil.copytree(self._root, folder, symlinks=True, ignore=ignore)
        return folder, self._place / f"variables-{self._count}.pickle"

    def plain(
        self, executed: NotebookNode, environment: Mapping[str, str] = MappingProxyType({})
    ) -> _Way:
        """Run the cells of an executed notebook (so with its parameters) in one kernel."""
        from .._kernels import CellFailed, Kernel, KernelDied, kernel_name

        folder, variables = self._copy(f"notebook-{self._count}")
        notebook = copy.deepcopy(executed)
        notebook.cells[-1].source = probe.source(variables)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        began = time.perf_counter()
        here = (folder / self._name).parent
        kernel = Kernel(kernel_name(notebook), here, {"MLOPS_COURIER": "off", **environment})
        try:
            for index, cell in enumerate(notebook.cells):
                if runs(cell):
                    kernel.run(cell, index)
        except (CellFailed, KernelDied):
            pass  # the notebook ends there, as the cell shows
        finally:
            kernel.close()
        return _Way(folder, folder, notebook, variables, time.perf_counter() - began)

    def pipeline(
        self,
        parameters: Mapping[str, Any],
        workers: int,
        secrets: Mapping[str, str] | None,
        after: _Way | None = None,
    ) -> _Way:
        """Run the notebook as a pipeline, with the cache of the run ``after`` if there was one.

        It runs in the same place each time, because paths may be part of what is cached.
        """
        import nbformat

        place, variables = self._copy("pipeline")
        if after is not None:
            (after.folder / ".mlops").rename(place / ".mlops")
        content = copy.deepcopy(self._content)
        content.cells.append(nbformat.v4.new_code_cell(probe.source(variables)))
        notebooks.write(content, place / self._name)
        output = self._place / f"executed-{self._count}.ipynb"
        began = time.perf_counter()
        run(
            Workspace(place),
            place / self._name,
            parameters,
            output=output,
            workers=workers,
            secrets=secrets,
        )
        seconds = time.perf_counter() - began
        shutil.copy2(self._root / self._name, place / self._name)  # without the probe
        folder = place.rename(self._place / f"pipeline-{self._count}")
        return _Way(place, folder, notebooks.read(output), variables, seconds)


def _differences(plain: _Way, other: _Way) -> Found:
    """What differs, by kind and name."""
    folders = str(plain.place), str(other.place)
    found: Found = {}
    for cell in compare_outputs(plain.cells(), other.cells(), folders):
        found["cell", str(cell.index)] = cell.first_difference
    for file in compare_files(files_in(plain.folder), files_in(other.folder), folders):
        found["file", file.name] = file.first_difference
    for name, first in _variables(plain, other).items():
        found["variable", name] = first
    return found


def _variables(plain: _Way, other: _Way) -> dict[str, str]:
    """The final variables that differ; none can be compared if a cell failed."""
    if not (plain.variables.exists() and other.variables.exists()):
        return {}
    done = subprocess.run(
        [sys.executable, "-m", f"{__package__}.compare", plain.variables, other.variables],
        cwd=plain.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        why = done.stderr.strip().splitlines()[-1:] or ["it died"]
        raise Unavailable(f"The final variables cannot be compared: {why[0]}")
    found: dict[str, str] = json.loads(done.stdout)
    return found


def _findings(kind: str, found: Found, unsteady: Found) -> list[Finding]:
    return [
        Finding(name, first, (of, name) not in unsteady)
        for (of, name), first in found.items()
        if of == kind
    ]
