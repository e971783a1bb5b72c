from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
from pipelines_support import notebook, outputs, python, save

from mlops_jupyter import pipelines
from mlops_jupyter._mlflow import Tracking
from mlops_jupyter._store import Store
from mlops_jupyter.errors import Conflict, InvalidInput, MLOpsError, NotFound
from mlops_jupyter.models import PipelineRun, from_dict, to_dict
from mlops_jupyter.workspace import Workspace

pytest_plugins = ("pipelines_fixtures",)

CELLS = (
    "# Churn",
    ("parameters", "rows: int = 2  # how many\nlabel = 'a'"),
    "import os, sys\nprint('out')\nprint('err', file=sys.stderr)",
    "## Load",
    "xs = list(range(rows))\nxs",
    "from IPython.display import display\ndisplay({'a': 1})\nopen('made.txt', 'w').write(label)",
    ("skip", "raise RuntimeError('never')"),
    "## Fit",
    "total = sum(xs)\n(label, total, os.path.basename(os.getcwd()))",
)


@pytest.fixture(scope="module")
def project(tables, tmp_path_factory):
    """A workspace with one notebook that ran, and what was seen of it."""
    import shutil

    root = tmp_path_factory.mktemp("shared") / "project"
    root.mkdir()
    shutil.copytree(tables, root / ".mlops")
    workspace = Workspace(root)
    save(root / "notebooks" / "train.ipynb", *CELLS)
    return workspace


@pytest.fixture(scope="module")
def ran(project):
    states = []
    tail = project.follow()
    run = pipelines.run(
        project,
        project.root / "notebooks" / "train.ipynb",
        {"rows": "3"},
        id="first",
        on_change=states.append,
    )
    return run, states, tail.read()


def test_a_run_succeeds(ran, project):
    run, states, _ = ran
    assert (run.status, run.error, run.id, run.parameters) == (
        "succeeded",
        None,
        "first",
        {"rows": 3},
    )
    assert [(step.name, step.status, step.reason) for step in run.steps] == [
        ("churn", "ran", ""),
        ("load", "ran", ""),
        ("fit", "ran", ""),
    ]
    assert all(step.seconds > 0 and step.run_id for step in run.steps)
    assert run.seconds > sum(step.seconds for step in run.steps)
    assert run.output == "executed/train-first.ipynb"
    assert run.notebook == "notebooks/train.ipynb"
    assert states[-1] == run == Store(project).get(PipelineRun, "first")
    assert from_dict(PipelineRun, to_dict(run)) == run
    assert pipelines.history(project)[0] == run


def test_each_change_is_told(ran):
    _, states, events = ran
    seen = [tuple(step.status for step in state.steps) for state in states]
    p, r, d = "pending", "running", "ran"
    order = [(p, p, p), (r, p, p), (d, p, p), (d, r, p), (d, d, p), (d, d, r), (d, d, d)]
    assert list(dict.fromkeys(seen)) == order
    changes = [event.change for event in events if (event.noun, event.id) == ("pipelines", "first")]
    assert list(dict.fromkeys(changes)) == [
        "running",
        *[f"{name} {what}" for name in ("churn", "load", "fit") for what in (r, d)],
        "succeeded",
    ]


def test_mlflow_has_a_parent_and_its_steps(ran, project):
    run, _, _ = ran
    tracking = Tracking(project)
    parent = tracking.run(run.run_id)
    assert (parent.kind, parent.status, parent.parameters) == (
        "pipeline",
        "FINISHED",
        {"rows": "3"},
    )
    assert parent.notebook == "notebooks/train.ipynb"
    children = {child.run_id: child for child in tracking.runs(parent_id=run.run_id, kind="step")}
    for step in run.steps:
        child = children.pop(step.run_id)
        assert (child.name, child.status) == (step.name, "FINISHED")
        assert child.metrics["seconds"] == pytest.approx(step.seconds)
    assert not children
    artifact = nbformat.reads(tracking.text(run.run_id, "train.ipynb"), as_version=4)
    nbformat.validate(artifact)
    assert outputs_of(artifact) == outputs(project.root / run.output)


def outputs_of(content):
    return [
        [{**o, "traceback": None} for o in cell.outputs]
        for cell in content.cells
        if cell.cell_type == "code"
    ]


def test_the_kernel_works_in_the_notebooks_folder(ran, project):
    run, _, _ = ran
    assert (project.root / "notebooks" / "made.txt").read_text() == "a"
    last = outputs(project.root / run.output)[-1]
    assert last[0]["data"]["text/plain"] == "('a', 3, 'notebooks')"


def test_the_executed_notebook_is_whole_and_tells_nothing_of_the_machine(ran, project):
    run, _, _ = ran
    text = (project.root / run.output).read_text(encoding="utf-8")
    content = nbformat.reads(text, as_version=4)
    nbformat.validate(content)
    assert [c.source for c in content.cells if "injected" not in str(c.metadata.get("tags"))] == [
        cell[1] if isinstance(cell, tuple) else cell for cell in CELLS
    ]
    for place in {str(project.root), str(Path.home()), os.getcwd(), sys.prefix}:
        assert place not in text
    about = content.metadata.papermill
    assert about.input_path == "notebooks/train.ipynb"
    assert about.output_path == run.output
    assert "environment_variables" not in about
    assert not re.search(r"MLOPS_|PATH=", text)


PAPERMILL = [sys.executable, "-m", "papermill", "--no-progress-bar", "--log-level", "ERROR"]


def papermill(project, *arguments, cwd=None, env=None):
    process = python("", "-m", "papermill", "--log-level", "ERROR", *arguments,
                     cwd=cwd or project.root, env=env or {})  # fmt: skip
    out, err = process.communicate(timeout=120)
    return process.returncode, out + err


def test_outputs_equal_plain_papermills(ran, project):
    run, _, _ = ran
    plain = notebook(*[cell for cell in CELLS if cell[0] != "skip"])
    nbformat.write(plain, project.root / "notebooks" / "plain.ipynb")
    code, text = papermill(
        project, "plain.ipynb", "plain-out.ipynb", "-p", "rows", "3", cwd=project.root / "notebooks"
    )
    assert code == 0, text
    ours = outputs(project.root / run.output)
    assert ours.pop(5) == []  # the cell that is left out
    assert ours == outputs(project.root / "notebooks" / "plain-out.ipynb")


def test_bare_papermill_gives_the_same(ran, project):
    """Called from elsewhere, without --cwd: same folder, outputs, steps, record."""
    run, _, _ = ran
    given = str(project.root / "notebooks" / "train.ipynb")
    out = project.root / "bare.ipynb"
    code, text = papermill(
        project, given, str(out), "--engine", "mlops", "-p", "rows", "3", cwd=project.root.parent
    )
    assert code == 0, text
    assert outputs(out) == outputs(project.root / run.output)
    bare = pipelines.history(project)[0]
    assert bare.id != run.id
    assert (bare.status, bare.notebook, bare.output) == ("succeeded", run.notebook, "bare.ipynb")
    assert bare.parameters == run.parameters
    assert [(s.name, s.status) for s in bare.steps] == [(s.name, "cached") for s in run.steps]
    assert Tracking(project).run(bare.run_id).status == "FINISHED"
    assert str(project.root) not in out.read_text()
    nbformat.validate(nbformat.read(out, as_version=4))


def test_bare_papermill_refuses_what_run_refuses(project):
    folder = project.root / "notebooks"
    save(folder / "typed.ipynb", ("parameters", "n: int = 1"), "open('ran.txt', 'w')")
    for arguments in (["-p", "m", "1"], ["-p", "n", "x"]):
        code, text = papermill(
            project, "notebooks/typed.ipynb", "-", "--engine", "mlops", *arguments
        )
        assert code == 1
        assert "InvalidInput" in text
    assert not (folder / "ran.txt").exists()


def test_bare_papermill_fails_as_papermill_does(project):
    save(project.root / "bad.ipynb", "# A", "1", "## B", "1/0", "## C", "2")
    code, text = papermill(project, "bad.ipynb", "bad-out.ipynb", "--engine", "mlops")
    assert code == 1
    assert "ZeroDivisionError" in text
    run = pipelines.history(project)[0]
    assert (run.status, run.error) == (
        "failed",
        "step b, cell 4: ZeroDivisionError: division by zero",
    )
    made = nbformat.read(project.root / "bad-out.ipynb", as_version=4)
    assert "papermill-error-cell-tag" in made.cells[0].metadata.tags


# --- what goes wrong --------------------------------------------------------------------------


def test_a_failing_cell(ready):
    path = save(
        ready.root / "a.ipynb",
        ("parameters", "x = 1"),
        "## First",
        "a = 1\na",
        "## Second",
        "print('before')",
        "raise ValueError(f'no {x}\\nmore')",
        "print('after')",
        "## Third",
        "2",
    )
    run = pipelines.run(ready, path, {"x": 2}, output=ready.root / "out" / "a.ipynb")
    assert run.status == "failed"
    assert run.error == "step second, cell 6: ValueError: no 2"
    assert [(step.name, step.status, step.reason) for step in run.steps] == [
        ("parameters", "ran", ""),
        ("first", "ran", ""),
        ("second", "failed", "cell 6: ValueError: no 2"),
        ("third", "skipped", "an earlier step failed"),
    ]
    assert run.output == "out/a.ipynb"
    content = nbformat.read(ready.root / run.output, as_version=4)
    nbformat.validate(content)
    assert [bool(cell.outputs) for cell in content.cells if cell.cell_type == "code"] == [
        False, False, True, True, True, False, False,
    ]  # fmt: skip
    tracking = Tracking(ready)
    assert tracking.run(run.run_id).status == "FAILED"
    children = tracking.runs(parent_id=run.run_id)
    assert {child.name: child.status for child in children} == {
        "parameters": "FINISHED",
        "first": "FINISHED",
        "second": "FAILED",
    }
    assert tracking.text(run.run_id, "a.ipynb") is not None


def test_a_kernel_that_dies(ready):
    path = save(ready.root / "a.ipynb", "print(1)", "import os\nos._exit(3)", "2")
    run = pipelines.run(ready, path, {})
    assert (run.status, run.error) == ("failed", "step cell-2, cell 2: the kernel died")
    assert [step.status for step in run.steps] == ["ran", "failed", "skipped"]
    assert outputs(ready.root / run.output)[0][0]["text"] == "1\n"


def test_errors_that_are_expected_and_a_notebook_that_ends_itself(ready):
    path = save(
        ready.root / "a.ipynb",
        ("raises-exception", "1/0"),
        ("raises-exception", "x = = 1"),
        "print('on')",
        "import sys\nsys.exit()",
        "print('never')",
    )
    run = pipelines.run(ready, path, {})
    assert (run.status, run.error) == ("succeeded", None)
    assert [step.status for step in run.steps] == ["ran"] * 4 + ["skipped"]
    assert run.steps[-1].reason == "the notebook ended itself"
    assert outputs(ready.root / run.output)[2][0]["text"] == "on\n"


@pytest.mark.parametrize(
    ("cells", "parameters", "message"),
    [
        ([("parameters", "x = 1")], {"y": 1}, "no parameter 'y'"),
        (["x = 1"], {"x": 1}, "no parameter 'x'"),
        ([("parameters", "x: int = 1")], {"x": "one"}, "'x' must be int, not 'one'"),
        (["open('ran.txt', 'w')", "print 'two'"], {}, "a.ipynb, cell 2, line 1"),
    ],
)
def test_nothing_runs_when_the_request_is_wrong(workspace, cells, parameters, message):
    path = save(workspace.root / "a.ipynb", *cells)
    with pytest.raises(InvalidInput, match=re.escape(message)):
        pipelines.run(workspace, path, parameters)
    assert os.listdir(workspace.root) == ["a.ipynb"]


def test_files_that_are_no_notebooks(workspace):
    root = workspace.root
    (root / "x.ipynb").write_text("{]")
    (root / "r.ipynb").write_text(
        nbformat.writes(
            notebook("x <- 1", kernel={"name": "ir", "language": "R", "display_name": "R"})
        )
    )
    with pytest.raises(NotFound):
        pipelines.run(workspace, root / "none.ipynb", {})
    for name in ("x.ipynb", "r.ipynb"):
        with pytest.raises(InvalidInput):
            pipelines.show(workspace, root / name)


@pytest.mark.parametrize(
    "options",
    [
        {"workers": 0},
        {"id": "../up"},
        {"id": ""},
        {"executor": "moon"},
        {"output": Path("a.ipynb")},
        {"output": Path()},
    ],
)
def test_wrong_options(workspace, options, monkeypatch):
    path = save(workspace.root / "a.ipynb", "1")
    monkeypatch.chdir(workspace.root)
    with pytest.raises(MLOpsError) as caught:
        pipelines.run(workspace, path, {}, **options)
    assert caught.value.exit_code == 2


def test_an_id_is_used_once_unless_it_was_queued(ready):
    path = save(ready.root / "a.ipynb", "1")
    queued = PipelineRun("q", None, "a.ipynb", "queued", "", None, "", [])
    Store(ready).put(queued)
    assert pipelines.run(ready, path, {}, id="q").status == "succeeded"
    with pytest.raises(Conflict, match="'q' already"):
        pipelines.run(ready, path, {}, id="q")
    with ready.lock("pipeline-busy"), pytest.raises(Conflict, match="going on"):
        pipelines.run(ready, path, {}, id="busy")
    assert pipelines.history(ready)[0].status == "succeeded"


def test_show(ready):
    path = save(ready.root / "deep" / "a.ipynb", *CELLS)
    found = pipelines.show(ready, path)
    assert found.notebook == "deep/a.ipynb"
    assert [parameter.name for parameter in found.parameters] == ["rows", "label"]
    keys = ("name", "cells", "needs")
    steps = [{key: step[key] for key in keys} for step in to_dict(found)["steps"]]
    for step in steps:
        step["needs"] = [{k: v for k, v in need.items() if k != "why"} for need in step["needs"]]
    assert steps == [
        {"name": "churn", "cells": [1, 2], "needs": []},
        {
            "name": "load",
            "cells": [4, 5],
            "needs": [{"step": "churn", "names": ["label", "rows"], "files": []}],
        },
        {
            "name": "fit",
            "cells": [8],
            "needs": [
                {"step": "churn", "names": ["label", "os"], "files": []},
                {"step": "load", "names": ["xs"], "files": []},
            ],
        },
    ]


def test_odd_names_and_a_kernel_that_is_not_installed(ready):
    kernel = {"name": "my-env", "language": "python", "display_name": "Mine"}
    path = save(ready.root / "a {b} ü.ipynb", ("parameters", "x = 'a'"), "x", kernel=kernel)
    run = pipelines.run(ready, path, {"x": "q\"uo'te \\ {x}"})
    assert run.status == "succeeded"
    shown = outputs(ready.root / run.output)[-1][0]["data"]["text/plain"]
    assert eval(shown) == "q\"uo'te \\ {x}"
    bare = save(ready.root / "no-kernel.ipynb", ("parameters", "x = 1"), "x", kernel=None)
    assert pipelines.run(ready, bare, {"x": 2}).status == "succeeded"


def test_models_fitted_in_the_notebook_arrive(ready):
    path = save(
        ready.root / "fit.ipynb",
        "%load_ext mlops_jupyter",
        "from sklearn.linear_model import LogisticRegression\n"
        "model = LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])",
    )
    run = pipelines.run(ready, path, {})
    assert run.status == "succeeded", run.error
    children = Tracking(ready).runs(parent_id=run.run_id)
    assert sorted(child.kind for child in children) == ["model", "step", "step"]
    assert {child.status for child in children} == {"FINISHED"}
    assert {child.notebook for child in children} == {"fit.ipynb"}


def test_importing_pipelines_is_light():
    heavy = {"papermill", "mlflow", "pandas", "numpy", "sqlalchemy", "sklearn", "IPython"}
    code = f"import sys, mlops_jupyter.pipelines; print(sorted({heavy} & set(sys.modules)))"
    out, err = python(code, cwd=Path.cwd()).communicate(timeout=60)
    assert out.strip() == "[]", err


def test_json_of_a_run(ran):
    assert set(json.loads(json.dumps(to_dict(ran[0])))) >= {
        "run_id",
        "status",
        "seconds",
        "output",
        "steps",
    }
