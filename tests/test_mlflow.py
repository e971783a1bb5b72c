"""MLflow behind its border: several workspaces in one process, nothing of the machine in files."""

from __future__ import annotations

import os

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from mlops_jupyter._mlflow import Tracking
from mlops_jupyter.errors import Unavailable
from mlops_jupyter.workspace import Workspace


@pytest.fixture(scope="module")
def fitted():
    features, label = load_iris(return_X_y=True, as_frame=True)
    return LogisticRegression(max_iter=500).fit(features, label), features


@pytest.fixture(scope="module")
def two(tmp_path_factory, fitted):
    """Two workspaces of one process, used by turns: each has one model, of one run."""
    workspaces = [Workspace(tmp_path_factory.mktemp(name)) for name in ("one", "two")]
    trackings = [Tracking(workspace) for workspace in workspaces]
    model, features = fitted
    runs = [tracking.start_run("fit", kind="model", key="k/1") for tracking in trackings]
    for tracking, run_id in zip(trackings, runs, strict=True):
        tracking.log_model(run_id, model, features[:5])
        tracking.end_run(run_id)
    for tracking, run_id in zip(trackings, runs, strict=True):
        tracking.register(f"model of {tracking.workspace.root.name}", run_id)
    return trackings


def test_each_workspace_has_its_own(two):
    for tracking in two:
        (run,) = tracking.runs()
        assert run.status == "FINISHED" and run.experiment == tracking.workspace.root.name
        (model,) = tracking.models()
        assert model.name == f"model of {tracking.workspace.root.name}"
        assert tracking.load(model.name, "1").native.max_iter == 500
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_a_key_makes_one_run(two):
    first = two[0]
    (run,) = first.runs()
    assert first.start_run("again", key="k/1") == run.run_id
    assert len(first.runs()) == 1


def test_stored_models_hold_no_place(two):
    for tracking in two:
        files = list((tracking.workspace.state / "artifacts").rglob("*"))
        assert any(file.name == "MLmodel" for file in files)
        place = str(tracking.workspace.root).encode()
        assert [file for file in files if file.is_file() and place in file.read_bytes()] == []


def test_a_server_that_is_away_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setenv("MLOPS_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(Unavailable) as error:
        Tracking(Workspace(tmp_path)).runs()
    assert "\n" not in str(error.value)
