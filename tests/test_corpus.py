"""A pipeline run gives what running the notebook gives: over the corpus of hard notebooks, and over
random ones. By default every sixth notebook runs, with one edit; ``MLOPS_CORPUS`` chooses more:

``MLOPS_CORPUS=all`` tries every edit of all notebooks, ``MLOPS_CORPUS=3`` the third edit of each
(modulo their number), and ``MLOPS_CORPUS_EXAMPLES`` says how many random notebooks there are.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import pytest
from corpus import CORPUS
from corpus.case import Case, edited
from corpus.plain import run_plain
from corpus.random_notebooks import Edited, edited_notebooks
from hypothesis import HealthCheck, Phase, assume, given, settings
from pipelines_support import save

from mlops_jupyter import pipelines
from mlops_jupyter.errors import InvalidInput
from mlops_jupyter.models import PipelineRun
from mlops_jupyter.pipelines.compare import compare_files, compare_outputs, files_in
from mlops_jupyter.pipelines.verify import report, verify
from mlops_jupyter.workspace import Workspace

pytest_plugins = ("pipelines_fixtures",)

CHOICE = os.environ.get("MLOPS_CORPUS", "")
EXAMPLES = int(os.environ.get("MLOPS_CORPUS_EXAMPLES", "4"))
EVERY = 6  # without a choice, one in so many notebooks: all of them take a quarter of an hour
KEPT = {".mlops", "executed"}

# When nothing changed, no step of these runs again.
CACHED = (
    "alias mutated in another step",
    "class attribute changed through an instance",
    "closures sharing a cell",
    "cycle of objects",
    "data frame view and copy",
    "edge only through a file",
    "forward reference",
    "Generator used across steps",
    "headings make steps",
    "input file beside the notebook",
    "legacy random state",
    "parameters",
    "pipeline with a transformer of the notebook",
    "view of an array",
)


@dataclass
class Trial:
    """One case in a workspace of its own, beside plain runs in folders of theirs."""

    case: Case
    workspace: Workspace
    plain: Path
    problems: list[str] = field(default_factory=list)
    runs: int = 0

    def reset(self, edit: int | None = None) -> None:
        """The project's files as they were before the first run; the cache stays."""
        for path in self.workspace.root.iterdir():
            if path.name not in KEPT:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.case.write(self.workspace.root, edit)

    def reference(self, edit: int | None = None) -> tuple[nbformat.NotebookNode, Path]:
        """The notebook run plainly in a fresh folder."""
        self.runs += 1
        folder = self.plain / str(self.runs)
        path = self.case.write(folder, edit)
        return run_plain(path, self.case.parameters), folder

    def compare(self, what: str, reference: tuple[nbformat.NotebookNode, Path]) -> PipelineRun:
        """Run the pipeline and note how it differs from ``reference``."""
        plain, folder = reference
        root = self.workspace.root
        run = pipelines.run(self.workspace, root / "case.ipynb", self.case.parameters, workers=2)
        executed = nbformat.read(root / run.output, as_version=4)
        folders = str(folder), str(root)
        found = [*compare_outputs(plain.cells, executed.cells, folders)]
        found += [*compare_files(files_in(folder), files_in(root), folders)]
        failed = any(_stopped(cell) for cell in plain.cells)
        if run.status != ("failed" if failed else "succeeded"):
            self.problems.append(f"{what}: the run {run.status}: {run.error}")
        self.problems += [f"{what}: {difference}" for difference in found]
        return run


def _stopped(cell: nbformat.NotebookNode) -> bool:
    """Whether the notebook ended with this cell as failed."""
    if cell.cell_type != "code" or "raises-exception" in cell.metadata.get("tags", []):
        return False
    return any(
        output.output_type == "error"
        and not (output.ename == "SystemExit" and output.evalue in ("", "0"))
        for output in cell.outputs
    )


def chosen(case: Case, number: int) -> list[int]:
    """The cells of a case that are edited in this session."""
    cells = case.editable()
    if CHOICE == "all" or not cells:
        return cells
    return [cells[(number + int(CHOICE or 0)) % len(cells)]]


@pytest.fixture
def trial(request: pytest.FixtureRequest, ready: Workspace, tmp_path: Path) -> Trial:
    return Trial(CORPUS[request.param], ready, tmp_path / "plain")


EQUAL = [
    pytest.param(name, number, marks=[pytest.mark.slow] if case.slow or CHOICE == "all" else [])
    for number, (name, case) in enumerate(CORPUS.items())
    if not case.refused and (CHOICE or number % EVERY == 0)
]


@pytest.mark.parametrize(("trial", "number"), EQUAL, indirect=["trial"])
def test_equal_to_the_notebook(trial: Trial, number: int):
    """Cold, again with the files of the first run, again from the start, and after edits."""
    trial.reset()
    trial.case.write(trial.plain / "before")
    reference = trial.reference()
    trial.compare("cold", reference)
    if compare_files(files_in(trial.plain / "before"), files_in(reference[1])):
        folder = shutil.copytree(reference[1], trial.plain / "again", symlinks=True)
        again = run_plain(folder / "case.ipynb", trial.case.parameters)
        trial.compare("in the same folder", (again, folder))
    trial.reset()
    run = trial.compare("again", reference)
    if trial.case.name in CACHED:
        ran = [step.name for step in run.steps if step.status != "cached"]
        trial.problems += [f"ran again: {ran}"] if ran else []
    for index in chosen(trial.case, number):
        trial.reset(index)
        trial.compare(f"cell {index} edited", trial.reference(index))
    assert not trial.problems, "\n".join(trial.problems)


@pytest.mark.parametrize(
    "trial", [name for name, case in CORPUS.items() if case.refused], indirect=True
)
def test_refused_before_anything_runs(trial: Trial):
    trial.reset()
    root = trial.workspace.root
    with pytest.raises(InvalidInput, match=trial.case.refused):
        pipelines.run(trial.workspace, root / "case.ipynb", {})
    assert set(files_in(root)) == {"case.ipynb", *trial.case.files}
    assert not list((root / "executed").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.skipif(CHOICE != "all", reason="only with MLOPS_CORPUS=all")
@pytest.mark.parametrize(
    "trial", [name for name, case in CORPUS.items() if not case.refused], indirect=True
)
def test_final_variables_are_equal(trial: Trial):
    trial.reset()
    path = trial.workspace.root / "case.ipynb"
    found = verify(trial.workspace, path, trial.case.parameters, workers=2)
    assert found.equal, report(found)


@pytest.mark.parametrize(
    ("source", "edit"),
    [
        ("x = 1\ny = 2", "x = 2\ny = 2"),
        ("a1 = f(x)", "a1 = f(x)\nedited_marker = 1"),
        ("x = 0.5 + 10_0", "x = 0.5 + 10_0\nedited_marker = 1"),
        ("'1' + f'{x:2}'", "'1' + f'{x:2}'\nedited_marker = 1"),
        ("%%time\nx = 1", ""),
        ("!ls", ""),
        ("%matplotlib inline\nx = 1", ""),
        ("", ""),
    ],
)
def test_cells_without_an_edit_of_their_own_get_one(source, edit):
    assert edited(source) == edit


def test_the_corpus_is_large_and_its_cases_are_named_once():
    assert len(CORPUS) >= 250
    assert set(CACHED) <= set(CORPUS)


# --- random notebooks -----------------------------------------------------------------------------

_SLOW_PHASES = {Phase.shrink, Phase.explain}  # minutes, each example being several runs


def expected(cells: tuple[str, ...]) -> tuple[list[str], str]:
    """What each cell prints when they run in one namespace, and the error that ended them."""
    names: dict[str, object] = {"__name__": "__main__"}
    texts: list[str] = []
    for cell in cells:
        target = io.StringIO()
        error = ""
        with contextlib.redirect_stdout(target):
            try:
                exec(compile(cell, "<cell>", "exec"), names)
            except Exception as raised:  # noqa: BLE001  # random code raises what it likes
                error = f"{type(raised).__name__}: {raised}"
        texts.append(target.getvalue())
        if error:
            return texts, error
    return texts, ""


def printed(path: Path) -> tuple[list[str], str]:
    """What each cell of an executed notebook printed, up to the one that raised."""
    texts: list[str] = []
    for cell in nbformat.read(path, as_version=4).cells:
        texts.append("".join(out.text for out in cell.outputs if out.output_type == "stream"))
        for output in cell.outputs:
            if output.output_type == "error":
                return texts, f"{output.ename}: {output.evalue}"
    return texts, ""


@pytest.mark.slow
@settings(
    max_examples=EXAMPLES,
    phases=[phase for phase in Phase if CHOICE == "all" or phase not in _SLOW_PHASES],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(edited=edited_notebooks())
def test_random_notebooks_equal_one_namespace(edited: Edited, tables: Path, tmp_path_factory):
    """Cold, unchanged, and after each of some edits, with one cache."""
    wanted = {cells: expected(cells) for _, cells in edited.versions()}
    assume(all(len("".join(texts)) < 20_000 for texts, _ in wanted.values()))
    root = tmp_path_factory.mktemp("random")
    shutil.copytree(tables, root / ".mlops")
    workspace = Workspace(root)
    for what, cells in edited.versions():
        save(root / "random.ipynb", *cells)
        run = pipelines.run(workspace, root / "random.ipynb", {}, workers=2)
        assert printed(root / run.output) == wanted[cells], (what, cells)
    shutil.rmtree(root, ignore_errors=True)  # a courier may be at work there
