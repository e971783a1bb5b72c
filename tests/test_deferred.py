"""MLflow runs that are written down and made later."""

from __future__ import annotations

import json

import nbformat
import pytest
from pipelines_support import play

from mlops_jupyter import deferred
from mlops_jupyter._mlflow import Tracking
from mlops_jupyter._store import Store
from mlops_jupyter.deferred import Deferred
from mlops_jupyter.models import PipelineRun, StepResult
from mlops_jupyter.pipelines.job import run_key
from mlops_jupyter.workspace import Workspace

pytest_plugins = ("pipelines_fixtures",)


def item(id="one", **fields):
    started = "2026-01-02T03:04:05.000Z"
    whole = {"parameters": {"n": 3}, "steps": ["load", "fit"], **fields}
    return Deferred(id, run_key(id), "a.ipynb", started, 1.5, "out.ipynb", "a.ipynb", **whole)


def stored(workspace, id="one"):
    steps = [StepResult("load", "cached", 0.0, ""), StepResult("fit", "cached", 0.0, "")]
    run = PipelineRun(id, None, "a.ipynb", "succeeded", "", 1.5, "out.ipynb", steps)
    Store(workspace).put(run)


def test_what_was_written_becomes_runs(ready):
    (ready.root / "out.ipynb").write_text("{}")
    stored(ready)
    deferred.write(ready, item())
    assert len(deferred.pending(ready)) == 1
    assert deferred.deliver(ready) == 1
    assert deferred.pending(ready) == []
    tracking = Tracking(ready)
    known = Store(ready).get(PipelineRun, "one")
    parent = tracking.run(known.run_id)
    assert (parent.kind, parent.status, parent.name) == ("pipeline", "FINISHED", "a.ipynb")
    assert (parent.parameters, parent.metrics["seconds"]) == ({"n": "3"}, 1.5)
    assert parent.started == "2026-01-02T03:04:05.000Z"
    assert parent.ended == "2026-01-02T03:04:06.500Z"
    assert tracking.text(parent.run_id, "a.ipynb") == "{}"
    children = {run.run_id: run for run in tracking.runs(parent_id=parent.run_id, kind="step")}
    assert [children[step.run_id].name for step in known.steps] == ["load", "fit"]
    assert {child.status for child in children.values()} == {"FINISHED"}
    assert deferred.deliver(ready) == 0


def test_delivering_twice_makes_one(ready):
    """As when a courier died between making the runs and forgetting them."""
    stored(ready)
    for _ in range(2):
        deferred.write(ready, item())
        deferred.deliver(ready)
    tracking = Tracking(ready)
    (parent,) = tracking.runs(kind="pipeline")
    assert len(tracking.runs(parent_id=parent.run_id)) == 2


def test_one_delivers_at_a_time(ready):
    stored(ready)
    deferred.write(ready, item())
    with ready.lock("deferred"):
        assert deferred.deliver(ready) == 0
    assert deferred.deliver(ready) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": "x"}', '"text"'])
def test_what_makes_no_sense_is_left_out(ready, text):
    stored(ready)
    deferred.write(ready, item())
    (ready.state / "deferred" / "bad.json").write_text(text)
    assert deferred.deliver(ready) == 2
    assert deferred.pending(ready) == []
    assert Store(ready).get(PipelineRun, "one").run_id


def test_a_run_that_is_not_known_any_more(ready):
    deferred.write(ready, item())
    assert deferred.deliver(ready) == 1
    assert len(Tracking(ready).runs(kind="pipeline")) == 1


def test_a_pipeline_in_which_nothing_changed_appears_in_mlflow(ready, until):
    cells = (("parameters", "n = 1"), "## Load", "print(n)")
    play(ready, *cells, parameters={"n": 2})
    played = play(ready, *cells, parameters={"n": 2})
    assert (set(played.did), played.run.run_id) == ({"c"}, None)
    until(lambda: Store(ready).get(PipelineRun, played.run.id).run_id, 120)  # by the courier
    known = Store(ready).get(PipelineRun, played.run.id)
    tracking = Tracking(ready)
    parent = tracking.run(known.run_id)
    assert (parent.status, parent.parameters) == ("FINISHED", {"n": "2"})
    artifact = nbformat.reads(tracking.text(parent.run_id, "a.ipynb"), as_version=4)
    assert json.loads((ready.root / known.output).read_text())["cells"] == artifact.cells
    steps = tracking.runs(parent_id=parent.run_id, kind="step")
    assert {run.run_id for run in steps} == {step.run_id for step in known.steps}


def test_a_ci_job_waits_for_a_server_elsewhere(ready, monkeypatch, tmp_path):
    """Its machine may be gone when the command is over."""
    monkeypatch.chdir(tmp_path)  # where MLflow puts artifacts then
    monkeypatch.setenv("MLOPS_TRACKING_URI", f"sqlite:///{tmp_path}/elsewhere.db")
    monkeypatch.setenv("CI", "true")
    workspace = Workspace(ready.root)
    play(workspace, "x = 1")
    played = play(workspace, "x = 1")
    assert (played.did, deferred.pending(workspace)) == ("c", [])
    assert Tracking(workspace).run(played.run.run_id).status == "FINISHED"
