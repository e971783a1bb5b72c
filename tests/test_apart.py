"""Runs recorded by another process: as if recorded here, and gone with who asked."""

from __future__ import annotations

import psutil
import pytest
from pipelines_support import python, save

from mlops_jupyter import pipelines
from mlops_jupyter._mlflow import Apart, Tracking
from mlops_jupyter.errors import NotFound, Unavailable

pytest_plugins = ("pipelines_fixtures",)


@pytest.fixture
def apart(ready):
    tracking = Apart(ready)
    yield tracking
    tracking.close()


def process_of(tracking):
    return tracking._process


def test_what_it_records_is_there(ready, apart):
    parent = apart.start_run("a", kind="pipeline", key="k", started="2026-01-02T03:04:05.000Z")
    assert apart.start_run("a", kind="pipeline", key="k") == parent
    apart.log(parent, parameters={"n": 1}, metrics={"loss": float("inf")}, tags={"t": "ü"})
    apart.log_text(parent, "text\n" * 100_000, "a.txt")
    apart.end_run(parent, "FAILED", "2026-01-02T03:04:06.500Z")
    run, tracking = apart.run(parent), Tracking(ready)
    assert run == tracking.run(parent)
    assert (run.status, run.parameters, run.ended) == (
        "FAILED",
        {"n": "1"},
        "2026-01-02T03:04:06.500Z",
    )
    assert run.metrics["loss"] > 1e300
    assert tracking.tags(parent)["t"] == "ü"
    assert tracking.text(parent, "a.txt") == "text\n" * 100_000


def test_errors_are_those_of_here(ready, apart):
    with pytest.raises(NotFound) as here:
        Tracking(ready).end_run("nothing")
    with pytest.raises(NotFound) as there:
        apart.end_run("nothing")
    assert str(there.value) == str(here.value)
    assert apart.start_run("after it")


def test_a_store_that_cannot_be_reached(ready, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MLOPS_TRACKING_URI", f"sqlite:///{tmp_path}/file/mlflow.db")
    tracking = Apart(type(ready)(ready.root))
    for _ in range(2):
        with pytest.raises(Unavailable):
            tracking.start_run("a")
    tracking.close()


def test_it_dies(apart):
    process_of(apart).kill()
    process_of(apart).wait()
    with pytest.raises(Unavailable, match="The process that records runs in MLflow is gone"):
        apart.start_run("a")


RUN = """
import os, sys
from mlops_jupyter import pipelines
from mlops_jupyter.workspace import Workspace
import psutil

workspace = Workspace(sys.argv[1])
os.chdir(workspace.root)

def on_change(run):
    apart = [p for p in psutil.Process().children() if str(workspace.root) == p.cmdline()[-1]]
    if run.status == "running" and {step.status for step in run.steps} == {"ran"}:
        print([p.pid for p in apart], "mlflow" in sys.modules, flush=True)
        if sys.argv[2] == "die":
            os.kill(os.getpid(), 9)
        if sys.argv[2] == "kill":
            apart[0].kill(), apart[0].wait()

run = pipelines.run(workspace, workspace.root / "a.ipynb", {}, id="one", on_change=on_change)
print(run.status, run.run_id)
"""


def ran(ready, end, code="x = 1"):
    save(ready.root / "a.ipynb", code)
    process = python(RUN, str(ready.root), end, cwd=ready.root)
    out, err = process.communicate(timeout=120)
    lines = out.splitlines()
    assert lines, err
    pids, imported = lines[0].rsplit(" ", 1)
    return process.returncode, eval(pids), imported == "True", lines[1:], err


def test_a_pipeline_runs_without_importing_mlflow(ready):
    (ready.root / "mlflow.py").write_text("raise SystemExit('not this one')")
    code, pids, imported, lines, err = ran(ready, "")
    assert (code, len(pids), imported) == (0, 1, False), err
    status, run_id = lines[0].split()
    assert (status, Tracking(ready).run(run_id).status) == ("succeeded", "FINISHED")
    assert not psutil.pid_exists(pids[0])


def test_where_cells_speak_of_it_it_is_here(ready):
    code, pids, imported, _, err = ran(ready, "", "speaks = 'mlops'")
    assert (code, pids) == (0, []), err
    assert imported


def test_who_asked_is_killed(ready, until):
    _, pids, _, lines, _ = ran(ready, "die")
    assert (len(pids), lines) == (1, [])
    until(lambda: not psutil.pid_exists(pids[0]), 30)
    run = pipelines.history(ready)[0]
    assert (run.status, Tracking(ready).run(run.run_id).status) == ("cancelled", "KILLED")


def test_it_is_killed_under_a_run(ready):
    code, _, _, _, err = ran(ready, "kill")
    assert code == 1
    assert "The process that records runs in MLflow is gone. Run it again." in err.splitlines()[-1]
