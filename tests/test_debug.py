"""Debugging steps: the notebook that is written is run by nbclient in an ordinary kernel, as a
person would in JupyterLab."""

from __future__ import annotations

import json
import shutil

import nbformat
import pytest
from nbclient import NotebookClient
from pipelines_support import play, python, save

from mlops_jupyter import pipelines
from mlops_jupyter.errors import Conflict, InvalidInput, NotFound
from mlops_jupyter.models import PipelineRun
from mlops_jupyter.pipelines.debug import debug
from mlops_jupyter.pipelines.inputs import inputs
from mlops_jupyter.pipelines.resume import resume

pytest_plugins = ("pipelines_fixtures",)

CELLS = (
    "## Load",
    "%load_ext mlops_jupyter\n"
    "import os, random\n"
    "random.seed(3)\n"
    "xs = [1, 2]\n"
    "ys = xs\n"
    "def count(extra):\n"
    "    return len(xs) + extra\n"
    "os.makedirs('sub', exist_ok=True)\n"
    "os.chdir('sub')\n"
    "os.environ['COLOUR'] = 'blue'",
    "## Draw",
    "squares = (i * i for i in range(9))\nnext(squares)\nprint('made squares')",
    "## Log",
    "log = open('log.txt', 'w')",
    "open('made.txt', 'w').write('made')",
    "## Fit",
    "first = random.random()\nnext(squares)",
    "xs.append(3)\nopen('made.txt', 'w').write('spoilt')\n1 / 0",
    "## Later",
    "first",
)
LOOK = (
    "import json, os\n"
    "print(json.dumps([xs is ys, xs, count(1), random.random(), os.path.basename(os.getcwd()), "
    "next(squares), os.environ['COLOUR'], open('made.txt').read(), 'log' in globals(), "
    "'first' in globals()]))"
)
SEEN = [True, [1, 2], 3, 0.23796462709189137, "sub", 1, "blue", "made", False, False]


def execute(place, *more, cells=None):
    """The first cells of a notebook, and ``more``, in an ordinary kernel; what each shows."""
    content = nbformat.read(place, as_version=4)
    content.cells = [*content.cells[:cells], *map(nbformat.v4.new_code_cell, more)]
    client = NotebookClient(content, resources={"metadata": {"path": str(place.parent)}})
    client.execute()
    assert not [o for c in content.cells for o in c.get("outputs", []) if o.output_type == "error"]
    return [
        "".join(o.get("text") or o.data["text/plain"] for o in cell.outputs)
        for cell in content.cells
        if cell.cell_type == "code"
    ]


@pytest.fixture(scope="module")
def failed(tables, tmp_path_factory):
    """A workspace in which the notebook ``a.ipynb`` failed."""
    from mlops_jupyter.workspace import Workspace

    root = tmp_path_factory.mktemp("debug") / "project"
    root.mkdir()
    shutil.copytree(tables, root / ".mlops")
    workspace = Workspace(root)
    return workspace, play(workspace, *CELLS).run


def test_the_notebook(failed):
    workspace, run = failed
    made = debug(workspace, workspace.root / "a.ipynb")
    assert (made.notebook, made.run, made.step) == ("a.ipynb", run.id, "fit")
    assert made.output == f"executed/a-{run.id}-fit.ipynb"
    assert (made.cell, made.error) == (4, "ZeroDivisionError: division by zero")
    content = nbformat.read(workspace.root / made.output, as_version=4)
    nbformat.validate(content)
    assert content.cells[0].source == (
        f"%load_ext mlops_jupyter\n%mlops pipeline inputs {run.id} fit"
    )
    assert content.cells[3].source.endswith("    ZeroDivisionError: division by zero")
    culprit = content.cells[made.cell]
    assert culprit.metadata.tags == ["failed"]
    assert culprit.outputs[0].ename == "ZeroDivisionError"
    assert [cell.source for cell in content.cells[2:5:2]] == [CELLS[8], CELLS[9]]
    assert str(workspace.root) not in content.cells[0].source
    assert content.metadata.kernelspec.name == "python3"


@pytest.mark.slow
def test_its_first_cell_restores_what_the_step_began_with(failed):
    """Also when it is run a second time, after the step's cells changed everything."""
    workspace, _ = failed
    made = debug(workspace, workspace.root / "a.ipynb", "fit")
    place = workspace.root / made.output
    again = nbformat.read(place, as_version=4).cells[0].source
    mess = "xs.clear(); ys = 0; del count; os.chdir('/'); first = 1; os.environ['COLOUR'] = 'red'"
    shown = execute(place, LOOK, mess, again, LOOK, cells=1)
    assert json.loads(shown[1]) == SEEN
    assert shown[0].splitlines()[1:] == [
        "Names: count, os, random, squares, xs, ys",
        "Ran again: load, draw",  # an extension and a generator are in no cache
        "Left out: log, which the step does not need (a TextIOWrapper)",
    ]
    seen = json.loads(shown[4])
    assert seen == SEEN


@pytest.mark.slow
def test_up_to_the_failing_cell(failed):
    workspace, run = failed
    made = debug(workspace, workspace.root / "a.ipynb", "fit", run=run.id)
    shown = execute(workspace.root / made.output, "print(first, next(squares))", cells=made.cell)
    assert shown[-1] == "0.23796462709189137 4\n"


@pytest.mark.slow
def test_another_step_elsewhere(failed, tmp_path):
    """A step that did not fail, in a notebook outside of the workspace."""
    workspace, _ = failed
    target = workspace.root.parent / "out" / "draw.ipynb"
    made = debug(workspace, workspace.root / "a.ipynb", "draw", output=target)
    assert (made.cell, made.error) == (None, None)
    command = nbformat.read(target, as_version=4).cells[0].source
    assert command.endswith("draw -w ../project")
    shown = execute(target, "print(sorted(xs), 'squares' in globals())", cells=1)
    assert shown[0].startswith("This kernel is as it was before step draw of run ")
    assert shown[-1] == "[1, 2] False\n"


@pytest.mark.slow
def test_parameters_and_secrets(ready, monkeypatch):
    monkeypatch.setenv("DOOR", "sesame-42")
    cells = (
        ("parameters", "n = 1\nsizes = []\nkey = ''"),
        "total = sum(sizes) * n",
        "assert total < 0, key",
    )
    given = {"n": 2, "sizes": [1, 2]}
    play(ready, *cells, parameters=given, secrets={"key": "DOOR"})
    made = debug(ready, ready.root / "a.ipynb")
    assert made.error == "AssertionError: ***"
    place = ready.root / made.output
    assert "sesame-42" not in place.read_text()
    shown = execute(place, "print(total, sizes, len(key))", cells=1)
    assert shown[-1] == "6 [1, 2] 9\n"
    monkeypatch.delenv("DOOR")
    with pytest.raises(InvalidInput, match=r"variable DOOR is not set\..*'key'"):
        debug(ready, ready.root / "a.ipynb")


@pytest.mark.slow
def test_a_run_that_was_resumed(ready):
    """What steps did in the run that it continued counts, also where a cache must not answer."""
    cells = ["## A", "import subprocess\nx = subprocess.run(['true']).returncode", "## B", "1 / 0"]
    first = play(ready, *cells)
    assert first.did == "rf"
    second = resume(ready, "a.ipynb")
    assert "".join(step.status[0] for step in second.steps) == "cf"
    made = debug(ready, ready.root / "a.ipynb")
    assert made.run == second.id
    assert execute(ready.root / made.output, "print(x)", cells=1)[-1] == "0\n"


@pytest.mark.slow
def test_what_cannot_be_restored_is_one_line(ready):
    (ready.root / "rows.txt").write_text("1")
    play(ready, "## A", "rows = open('rows.txt').read()", "## B", "1 / 0", "## C", "rows")
    notebook = ready.root / "a.ipynb"
    made = debug(ready, notebook)
    (ready.root / "rows.txt").write_text("2")
    line = (
        "What step b began with is not there any more: step a: file rows.txt changed. "
        "Run the notebook first: mlops run a.ipynb"
    )
    with pytest.raises(NotFound) as caught:
        debug(ready, notebook)
    assert str(caught.value) == line
    place = ready.root / made.output
    content = nbformat.read(place, as_version=4)
    client = NotebookClient(content, resources={"metadata": {"path": str(place.parent)}})
    content.cells = content.cells[:1]
    client.execute()
    assert line in "".join(output.text for output in content.cells[0].outputs)
    (ready.root / "rows.txt").write_text("1")
    with pytest.raises(NotFound, match=r"began with is not there any more: step b: "):
        debug(ready, notebook, "c")
    shutil.rmtree(ready.state / "cache")
    with pytest.raises(NotFound, match=r"step a: its result is not kept"):
        debug(ready, notebook)


def test_bad_names(failed, workspace):
    root = failed[0].root
    with pytest.raises(NotFound, match=r"no step 'nope' in run .* Its steps: load, draw, log"):
        debug(failed[0], root / "a.ipynb", "nope")
    with pytest.raises(NotFound, match="no pipeline run 'nobody'"):
        debug(failed[0], root / "a.ipynb", run="nobody")
    other = save(root / "other.ipynb", "1")
    with pytest.raises(NotFound, match=r"other.ipynb was never run here"):
        debug(failed[0], other)
    with pytest.raises(InvalidInput, match=r"is of a.ipynb"):
        debug(failed[0], other, run=failed[1].id)
    for output in (root / "a.ipynb", root, root / failed[1].output):
        with pytest.raises(InvalidInput, match="would replace something else"):
            debug(failed[0], root / "a.ipynb", output=output)
    with pytest.raises(InvalidInput, match="can only be loaded into a notebook"):
        inputs(failed[0], failed[1].id, "fit")


def test_a_run_in_which_no_step_failed(ready):
    place = save(ready.root / "a.ipynb", "## A", "x = 1", "## B", "x")
    run = pipelines.run(ready, place, {})
    with pytest.raises(InvalidInput, match=r"No step of run .* failed\. Name one of: a, b"):
        debug(ready, place)
    assert debug(ready, place, "b").cell is None
    from mlops_jupyter._store import Store

    Store(ready).put(PipelineRun("q", None, "a.ipynb", "queued", "", None, run.output, []))
    with pytest.raises(Conflict, match="is going on"):
        debug(ready, place)


@pytest.mark.slow
def test_on_the_command_line(failed):
    workspace, run = failed
    cli = "from mlops_jupyter.cli import main; main()"

    def mlops(*arguments):
        process = python(cli, "pipeline", *arguments, cwd=workspace.root)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    assert mlops("debug", "a.ipynb") == (
        0,
        f"Step fit of a.ipynb, run {run.id}\nZeroDivisionError: division by zero\n"
        f"Open executed/a-{run.id}-fit.ipynb and run its first cell.\n",
        "",
    )
    code, out, err = mlops("debug", "a.ipynb", "load", "-o", "load.ipynb", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "notebook": "a.ipynb",
        "run": run.id,
        "step": "load",
        "output": "load.ipynb",
        "cell": None,
        "error": None,
    }
    for words in (("debug", "a.ipynb", "nope"), ("inputs", run.id, "fit"), ("debug", "no.ipynb")):
        code, out, err = mlops(*words)
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert err.startswith("Error: ")
