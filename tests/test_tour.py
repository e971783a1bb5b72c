"""The tour, played as a newcomer plays it: in its own process, end to end, and interrupted."""

from __future__ import annotations

import json
import os
import signal
import urllib.request

import nbformat
import pytest
from tours import SECRET, call, play, processes_of, start, stop

from mlops_jupyter import records
from mlops_jupyter import tour as tour_module
from mlops_jupyter.tour import NAME, TARGET, larger_tumours
from mlops_jupyter.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture
def home(played):
    return played.home


@pytest.fixture
def tour(played):
    return played.summary


def test_every_stage_did_what_it_shows(tour):
    for run in (tour["run"], tour["retraining"]):
        assert run["status"] == "succeeded"
        assert [step["name"] for step in run["steps"]][-5:] == [
            "load-the-data",
            "explore",
            "prepare-features",
            "train-candidates",
            "evaluate",
        ]
    assert {step["status"] for step in tour["run"]["steps"]} == {"ran"}
    assert [step["status"] for step in tour["retraining"]["steps"]][-2:] == ["ran", "ran"]
    assert (tour["version"], tour["new_version"]) == ("1", "2")
    assert tour["calm"]["status"] == "ok" and tour["calm"]["alert"] is None
    assert tour["report"]["status"] == "drift"
    assert tour["report"]["rows_current"] == len(larger_tumours()[0])
    assert tour["alert"]["status"] == "resolved"
    gate = tour["promotion"]["checks"][-1]
    assert gate["name"] == "accuracy not worse than version 1" and gate["value"] >= gate["limit"]
    assert tour["deployment"]["status"] == "ready"
    assert tour["deployment"]["versions"] == [{"version": "2", "weight": 1.0}]
    assert tour["prediction"]["version"] == "2"


def test_the_figures_are_scipys(tour, home):
    import pandas as pd
    from scipy.stats import ks_2samp

    reference = pd.read_csv(home / "demo" / "data" / "reference.csv")
    # the notebook ran again for the retraining: its first rows are those of the first run
    reference = reference.head(tour["report"]["rows_reference"])
    served, _ = larger_tumours()
    for column in tour["report"]["columns"]:
        assert column["statistic"] == "ks"
        truth = ks_2samp(reference[column["column"]], served[column["column"]])
        assert column["value"] == pytest.approx(truth.statistic, rel=1e-9)
        assert column["p_value"] == pytest.approx(truth.pvalue, rel=1e-9)


def test_the_endpoint_answers_and_recorded_every_request(tour, home):
    workspace = Workspace(home / "demo")
    served, fresh = larger_tumours()
    asked = records.count(workspace, NAME)
    assert asked >= tour["calm"]["rows_current"] + len(served) + 1
    row = fresh.drop(columns=TARGET).head(1).to_dict(orient="records")
    request = urllib.request.Request(
        f"{tour['deployment']['url']}/invocations",
        json.dumps({"dataframe_records": row}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        assert json.loads(response.read()) == {"predictions": [tour["prediction"]["label"]]}
    assert records.count(workspace, NAME) == asked + 1


def test_the_next_commands_see_it(tour, home):
    runs = call("runs", "list", "-w", "demo", cwd=home)
    models = [run for run in runs if run["kind"] == "model"]
    assert len(models) == 6 and all("accuracy" in run["metrics"] for run in models)
    assert all(run["status"] == "FINISHED" for run in runs)
    model = call("models", "show", NAME, "-w", "demo", cwd=home)
    assert model["champion"] == "2" and model["versions"][0]["aliases"] == ["champion"]
    detail = call("runs", "show", model["versions"][0]["run_id"], "-w", "demo", cwd=home)
    assert detail["data"][0]["columns"][0] == "mean radius" and detail["cells"]
    assert call("audit", "verify", "-w", "demo", cwd=home)["problems"] == []


def test_the_executed_notebook_opens(tour, home):
    executed = nbformat.read(home / "demo" / tour["run"]["output"], as_version=4)
    nbformat.validate(executed)
    code = [cell for cell in executed.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    pictures = [o for c in code for o in c.outputs if "image/png" in o.get("data", {})]
    assert len(pictures) == 1


def test_nothing_shareable_tells_of_the_machine(tour, home):
    """Databases, logs, locks belong to the machine (see workspace.py); all else is shareable."""
    workspace = Workspace(home / "demo")
    own = ("mlflow.db", "mlops.db", "logs", "locks")
    looked = 0
    for path in workspace.root.rglob("*"):
        inside = path.relative_to(workspace.root).parts
        if not path.is_file() or (inside[0] == ".mlops" and inside[1].startswith(own)):
            continue
        looked += 1
        content = path.read_bytes()
        for secret in (str(home), str(workspace.root), SECRET, os.path.expanduser("~") + "/"):
            assert secret.encode() not in content, f"{secret} in {'/'.join(inside)}"
    assert looked > 20


def test_an_earlier_tour_is_replaced_unless_somebody_worked_in_it(tmp_path):
    """What a tour leaves is played by prepare() and its mark; a whole tour takes a minute."""
    first = tour_module.prepare(tmp_path / "demo")
    (first.root / "data").mkdir()
    notebook = first.root / tour_module.NOTEBOOK
    opened = nbformat.read(notebook, as_version=4)
    opened.metadata["language_info"] = {"name": "python", "version": "3.12"}
    opened.cells[1].execution_count = 1
    nbformat.write(opened, notebook)
    assert tour_module.prepare(tmp_path / "demo").root == first.root
    assert not (first.root / "data").exists()

    opened.cells[1].source += "\nmine = 1"
    nbformat.write(opened, notebook)
    second = tour_module.prepare(tmp_path / "demo")
    assert second.root.name == "demo-2"
    assert "mine = 1" in notebook.read_text()
    tour_module._mark(second, 0)
    second.path("journals", "work.journal").touch()
    assert tour_module.prepare(tmp_path / "demo").root.name == "demo-3"
    assert second.path("journals", "work.journal").exists()


@pytest.mark.parametrize("moment", ["load-the-data", "3 ", "4 ", "6 "])
def test_ctrl_c_leaves_no_process_and_a_sound_workspace(tmp_path, moment):
    process = start("demo", "demo", cwd=tmp_path)
    for line in process.stderr:
        if line.strip().startswith(moment.strip()):
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.strip().splitlines()[-1] == "Interrupted."
    assert "Traceback" not in err
    assert processes_of(tmp_path / "demo") == []

    runs = call("runs", "list", "-w", "demo", cwd=tmp_path)
    assert all(run["status"] != "RUNNING" for run in runs)
    assert all(
        item["status"] != "ready"
        for item in call("deployments", "list", "-w", "demo", cwd=tmp_path)
    )


def test_after_ctrl_c_the_tour_can_be_played(tmp_path):
    process = start("demo", "demo", cwd=tmp_path)
    for line in process.stderr:
        if line.startswith("2 "):
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert play(tmp_path).summary["new_version"] == "2"
    stop(tmp_path)
