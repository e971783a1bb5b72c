"""The command line as a shell sees it: output, one clear line for bad input, exit codes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mlops_jupyter import cli
from mlops_jupyter.errors import InvalidInput


def mlops(*arguments, cwd, code=0, before="", **environment):
    """Run ``mlops ARGUMENTS`` in its own process, check the exit code; ``before`` is Python that
    runs first in that process."""
    start = f"import sys; {before}\nfrom mlops_jupyter.cli import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", start, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def complaint(done):
    """The one line that a failed command says on stderr; stdout is empty."""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("Error: ")
    assert done.stdout == ""
    return lines[0]


@pytest.fixture
def notebook(tmp_path):
    """Writes a notebook from cells; a cell is code, ``# text`` starts markdown."""

    def write(*cells, name="n.ipynb", parameters=None):
        made = new_notebook()
        if parameters:
            made.cells.append(new_code_cell(parameters, metadata={"tags": ["parameters"]}))
        for cell in cells:
            kind = new_markdown_cell if cell.startswith("# ") else new_code_cell
            made.cells.append(kind(cell))
        nbformat.write(made, tmp_path / name)
        return name

    return write


def test_help_names_every_noun(tmp_path):
    text = mlops("--help", cwd=tmp_path).stdout
    for noun in ("demo", "pipeline", "runs", "models", "deploy", "monitor", "alerts", "audit"):
        assert noun in text
    assert list(tmp_path.iterdir()) == []


def test_pipeline_show_and_run_as_json(tmp_path, notebook):
    name = notebook("# one", "y = x * 2", "# two", "print(y)", parameters="x: int = 3  # a figure")
    shown = json.loads(mlops("pipeline", "show", name, "--json", cwd=tmp_path).stdout)
    assert shown["parameters"] == [{"name": "x", "type": "int", "default": "3", "help": "a figure"}]
    assert [step["name"] for step in shown["steps"]][-2:] == ["one", "two"]

    done = mlops("run", name, "-p", "x", "21", "-o", "out.ipynb", "--json", cwd=tmp_path)
    run = json.loads(done.stdout)
    assert run["status"] == "succeeded" and run["output"] == "out.ipynb"
    assert {step["status"] for step in run["steps"]} == {"ran"}
    executed = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    nbformat.validate(executed)
    assert executed.cells[-1].outputs[0].text == "42\n"

    found = json.loads(mlops("runs", "list", "--json", cwd=tmp_path).stdout)
    parent = next(item for item in found if item["run_id"] == run["run_id"])
    assert parent["kind"] == "pipeline" and parent["status"] == "FINISHED"
    children = [item for item in found if item["parent_id"] == run["run_id"]]
    assert {item["kind"] for item in children} == {"step"}


def test_a_failing_cell_is_exit_code_1_and_keeps_the_notebook(tmp_path, notebook):
    name = notebook("# fine", "a = 1", "# broken", "1 / 0", "# later", "b = 2")
    done = mlops("run", name, "-o", "out.ipynb", "--json", cwd=tmp_path, code=1)
    run = json.loads(done.stdout)
    assert run["status"] == "failed" and "ZeroDivisionError" in run["error"]
    assert [step["status"] for step in run["steps"]] == ["ran", "failed", "skipped"]
    executed = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert executed.cells[3].outputs[-1].ename == "ZeroDivisionError"


def test_an_unknown_parameter(tmp_path, notebook):
    name = notebook("x", parameters="x = 1")
    line = complaint(mlops("run", name, "-p", "alpha", "1", cwd=tmp_path, code=2))
    assert "'alpha'" in line and "x" in line


def test_a_parameter_of_the_wrong_type(tmp_path, notebook):
    name = notebook("x", parameters="x: int = 1")
    line = complaint(mlops("run", name, "-p", "x", "much", cwd=tmp_path, code=2))
    assert "'much'" in line and "int" in line


def test_a_notebook_with_a_syntax_error(tmp_path, notebook):
    name = notebook("a = 1", "print 'hello'")
    line = complaint(mlops("run", name, cwd=tmp_path, code=2))
    assert "n.ipynb" in line and "cell 2" in line
    assert not (tmp_path / ".mlops" / "mlflow.db").exists()


def test_no_such_notebook_or_not_one(tmp_path):
    assert "'no.ipynb'" in complaint(mlops("run", "no.ipynb", cwd=tmp_path, code=2))
    (tmp_path / "text.ipynb").write_text("hello")
    line = complaint(mlops("run", "text.ipynb", cwd=tmp_path, code=2))
    assert "text.ipynb is not a Jupyter notebook" in line


def test_a_port_in_use(served_model):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = complaint(mlops("deploy", "iris", "--port", port, cwd=served_model, code=3))
    assert f"{port}" in line and "in use" in line
    listed = json.loads(mlops("deployments", "list", "--json", cwd=served_model).stdout)
    assert [item for item in listed if item["status"] == "ready"] == []


def test_a_missing_extra(served_model):
    line = complaint(
        mlops("deploy", "iris", cwd=served_model, code=3, before="sys.modules['uvicorn'] = None")
    )
    assert "pip install 'mlops_jupyter[serve]'" in line


def test_a_missing_executor_extra(tmp_path, notebook):
    name = notebook("x = 1")
    line = complaint(
        mlops(
            "run",
            name,
            "--executor",
            "dask",
            cwd=tmp_path,
            code=3,
            before="sys.modules['distributed'] = None",
        )
    )
    assert "pip install 'mlops_jupyter[dask]'" in line
    assert "gpu" in complaint(mlops("run", name, "--executor", "gpu", cwd=tmp_path, code=2))


def test_an_unwritable_folder(tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir()
    folder.chmod(0o555)
    # root may write anywhere: give that up once everything is imported
    before = "import os, mlops_jupyter.cli.projects; os.geteuid() or os.seteuid(65534)"
    line = complaint(mlops("init", folder / "project", cwd="/", code=3, before=before))
    assert "permission denied" in line
    folder.chmod(0o755)


def test_a_file_in_the_way_of_the_folder(tmp_path, notebook):
    name = notebook("x = 1")
    (tmp_path / ".mlops").write_text("")
    line = complaint(mlops("run", name, cwd=tmp_path, code=3))
    assert ".mlops" in line


def test_wrong_usage_is_exit_code_2(tmp_path):
    for wrong in (
        ["nothing"],
        ["runs", "list", "--limit", "0"],
        ["models", "register", "m"],
        ["monitor", "check"],
        ["runs", "show", "nothing"],
        ["deployments", "show", "nothing"],
        ["init", "x", "--template", "nothing"],
    ):
        done = mlops(*wrong, cwd=tmp_path, code=2)
        assert "Traceback" not in done.stderr and done.stderr


def test_errors_are_json_too(tmp_path):
    done = mlops("runs", "show", "nothing", "--json", cwd=tmp_path, code=2)
    assert json.loads(done.stderr)["code"] == "NotFound"


def test_init_overwrites_nothing(tmp_path):
    first = json.loads(mlops("init", "p", "--json", cwd=tmp_path).stdout)
    assert "tumour.ipynb" in first["files"]
    mlops("init", "p", cwd=tmp_path)
    (tmp_path / "p" / "mlops.toml").write_text("experiment = 'mine'")
    assert "mlops.toml" in complaint(mlops("init", "p", cwd=tmp_path, code=2))
    assert (tmp_path / "p" / "mlops.toml").read_text() == "experiment = 'mine'"


def test_demo_does_not_touch_other_folders(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    line = complaint(mlops("demo", ".", cwd=tmp_path, code=2))
    assert "something else than a tour" in line
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_compare_two_files(tmp_path):
    (tmp_path / "a.csv").write_text("x\n" + "\n".join(str(i) for i in range(200)))
    (tmp_path / "b.csv").write_text("x\n" + "\n".join(str(i + 150) for i in range(200)))
    check = ("monitor", "check", "--json", "--reference", "a.csv", "--current")
    same = json.loads(mlops(*check, "a.csv", cwd=tmp_path).stdout)
    assert same["status"] == "ok" and same["columns"][0]["value"] == 0
    other = json.loads(mlops(*check, "b.csv", cwd=tmp_path, code=1).stdout)
    assert other["status"] == "drift" and other["columns"][0]["value"] == 0.75


def test_doctor_and_audit(tmp_path):
    doctor = json.loads(mlops("doctor", "--json", cwd=tmp_path).stdout)
    assert doctor["problems"] == []
    assert json.loads(mlops("audit", "verify", "--json", cwd=tmp_path).stdout)["problems"] == []


def test_invoke_returns_the_dataclass(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.invoke(["audit", "show"]) == []
    assert "Nothing yet." in capsys.readouterr().out
    with pytest.raises(InvalidInput, match="No such command"):
        cli.invoke(["nothing"])
    assert cli.invoke(["--help"]) is None


@pytest.fixture(scope="module")
def served_model(tmp_path_factory):
    """A project folder with model ``iris``, version 1 @champion."""
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    from mlops_jupyter._mlflow import Tracking
    from mlops_jupyter.workspace import Workspace

    workspace = Workspace(tmp_path_factory.mktemp("served"))
    features, label = load_iris(return_X_y=True, as_frame=True)
    tracking = Tracking(workspace)
    run_id = tracking.start_run("fit", kind="model")
    tracking.log_model(run_id, LogisticRegression(max_iter=1000).fit(features, label), features[:5])
    tracking.end_run(run_id)
    tracking.register("iris", run_id)
    tracking.set_alias("iris", "champion", "1")
    return workspace.root
