from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

from mlops_jupyter import governance, monitoring, records
from mlops_jupyter._store import Store
from mlops_jupyter.errors import Conflict, InvalidInput, NotFound
from mlops_jupyter.models import Alert, Report, from_dict
from mlops_jupyter.monitoring import labels
from mlops_jupyter.workspace import Workspace

NAME = "tumour"
TIME = "2026-01-01T00:00:00.000Z"


def frame(rows: int, shift: float = 0.0, plan: str = "a") -> pd.DataFrame:
    area = ndtri((np.arange(rows) + 0.5) / rows) + shift
    plans = np.where(np.arange(rows) % 2 == 0, plan, "b")
    return pd.DataFrame({"mean area": area, "texture": area[::-1] * 2 + shift, "plan": plans})


def serve(
    workspace: Workspace, rows: pd.DataFrame, prefix: str, version: str = "1", output: Any = "M"
) -> None:
    """Put predictions on record, as the scoring server does."""
    writer = records.Writer(workspace, NAME)
    for number, row in enumerate(rows.to_dict("records")):
        names = [str(name) for name in row]
        answer = output[number] if isinstance(output, list) else output
        writer.append(
            f"{prefix}-{number}", TIME, version, names, [list(row.values())], [answer], 1.0
        )
    writer.close()


@pytest.fixture
def served(workspace: Workspace) -> Workspace:
    """A workspace with a reference file, and a deployment that answered rows like it."""
    reference = frame(400).assign(diagnosis="B")
    reference.to_csv(workspace.root / "reference.csv", index=False)
    serve(workspace, frame(120), "calm")
    return workspace


@pytest.fixture
def watched(served: Workspace) -> Workspace:
    monitoring.create(served, "watch", deployment=NAME, reference=served.root / "reference.csv")
    return served


def alerts(workspace: Workspace) -> list[tuple[str, str]]:
    return [(alert.id, alert.status) for alert in monitoring.list_alerts(workspace)]


# --- create -------------------------------------------------------------------------------------


def test_a_monitor_is_kept_with_relative_paths(watched: Workspace) -> None:
    (monitor,) = monitoring.list_monitors(watched)
    assert (monitor.name, monitor.deployment, monitor.reference) == ("watch", NAME, "reference.csv")
    assert (monitor.drift_share, monitor.last_status, monitor.last_checked) == (0.5, None, None)
    assert governance.audit_log(watched)[-1].action == "monitor.create"


def test_a_name_is_taken_once(watched: Workspace) -> None:
    with pytest.raises(Conflict, match="already a monitor 'watch'"):
        monitoring.create(
            watched, "watch", deployment=NAME, reference=watched.root / "reference.csv"
        )


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"name": "../x"}, InvalidInput, "cannot be called"),
        ({"name": ""}, InvalidInput, "cannot be called"),
        ({"deployment": "nobody"}, NotFound, "no deployment 'nobody'"),
        ({"reference": Path("none.csv")}, NotFound, "no reference file 'none.csv'"),
        ({"reference": Path("/etc/passwd")}, InvalidInput, "outside the project folder"),
        ({"reference": Path("odd.txt")}, InvalidInput, "neither .csv nor .parquet"),
        ({"reference": Path("empty.csv")}, InvalidInput, "has no columns"),
        ({"drift_share": 0.0}, InvalidInput, "drift_share is 0"),
        ({"drift_share": 1.1}, InvalidInput, "drift_share is 1.1"),
        ({"drift_share": float("nan")}, InvalidInput, "drift_share is nan"),
        ({"retrain": Path("train.ipynb")}, InvalidInput, "needs both"),
        ({"retrain_parameter": "fresh"}, InvalidInput, "needs both"),
        (
            {"retrain": Path("none.ipynb"), "retrain_parameter": "fresh"},
            NotFound,
            "no notebook 'none.ipynb'",
        ),
        (
            {"retrain": Path("train.ipynb"), "retrain_parameter": "wrong"},
            InvalidInput,
            "train.ipynb has no parameter 'wrong'",
        ),
    ],
)
def test_a_monitor_that_makes_no_sense(
    served: Workspace, changes: dict[str, Any], error: type[Exception], text: str
) -> None:
    (served.root / "odd.txt").write_text("x\n1\n")
    (served.root / "empty.csv").write_text("")
    notebook(served.root / "train.ipynb", "")
    arguments = {"name": "watch", "deployment": NAME, "reference": Path("reference.csv"), **changes}
    with pytest.raises(error, match=text):
        monitoring.create(served, **arguments)
    assert monitoring.list_monitors(served) == []


# --- check --------------------------------------------------------------------------------------


def test_a_calm_window(watched: Workspace) -> None:
    report = monitoring.check(watched, "watch")
    assert (report.status, report.alert, report.monitor) == ("ok", None, "watch")
    assert (report.rows_reference, report.rows_current) == (400, 120)
    assert [c.column for c in report.columns] == ["mean area", "texture", "plan"]
    assert report.findings == []
    assert monitoring.reports(watched, "watch") == [report]
    (monitor,) = monitoring.list_monitors(watched)
    assert (monitor.last_status, monitor.last_checked) == ("ok", report.created)
    assert alerts(watched) == []


def test_a_report_is_a_file_without_machine_paths(watched: Workspace) -> None:
    follow = watched.follow()
    report = monitoring.check(watched, "watch")
    (path,) = (watched.root / ".mlops" / "reports").iterdir()
    assert path.name.startswith("watch-2")
    assert ":" not in path.name
    text = path.read_text()
    assert from_dict(Report, json.loads(text)) == report
    assert str(watched.root) not in text
    assert [(e.noun, e.id, e.change) for e in follow.read()] == [
        ("monitors", "watch", "checked ok")
    ]


def test_drift_raises_one_alert_until_it_is_resolved(watched: Workspace) -> None:
    follow = watched.follow()
    serve(watched, frame(114, shift=3.0), "larger")
    report = monitoring.check(watched, "watch", last=114)
    assert (report.status, report.alert) == ("drift", "watch-1")
    assert report.drifted_share == pytest.approx(2 / 3)
    (alert,) = monitoring.list_alerts(watched)
    assert (alert.status, alert.severity, alert.raised) == ("open", "warning", report.created)
    assert alert.summary.startswith("2 of 3 columns drifted (texture ks D=0.979, p=")
    assert "n=114" in alert.summary
    assert ("alerts", "watch-1", "raised") in [(e.noun, e.id, e.change) for e in follow.read()]

    serve(watched, frame(90, shift=3.0, plan="z"), "new")
    assert monitoring.check(watched, "watch", last=90).alert == "watch-1"
    (alert,) = monitoring.list_alerts(watched)
    assert alert.summary.startswith("3 of 3 columns drifted")
    assert (alert.status, alert.severity) == ("open", "critical")

    serve(watched, frame(120), "calm-again")
    assert monitoring.check(watched, "watch", last=120).alert is None
    assert alerts(watched) == [("watch-1", "open")], "nobody has seen it yet"

    assert monitoring.acknowledge(watched, "watch-1").status == "acknowledged"
    assert monitoring.acknowledge(watched, "watch-1").status == "acknowledged"
    assert [e.action for e in governance.audit_log(watched)].count("alert.acknowledge") == 1
    assert monitoring.check(watched, "watch", last=300).alert == "watch-1"
    assert alerts(watched) == [("watch-1", "acknowledged")]

    monitoring.check(watched, "watch", last=120)
    assert alerts(watched) == [("watch-1", "resolved")]
    with pytest.raises(Conflict, match="resolved"):
        monitoring.acknowledge(watched, "watch-1")
    with pytest.raises(Conflict, match="resolved"):
        monitoring.retrain(watched, "watch-1")

    assert monitoring.check(watched, "watch", last=300).alert == "watch-2"
    assert alerts(watched) == [("watch-2", "open"), ("watch-1", "resolved")]
    assert len(monitoring.reports(watched, "watch")) == 6


def test_the_drift_share_decides(served: Workspace) -> None:
    reference = served.root / "reference.csv"
    for share in (0.6, 0.7):
        monitoring.create(
            served, f"at-{share}", deployment=NAME, reference=reference, drift_share=share
        )
    serve(served, frame(100, shift=3.0), "larger")
    assert monitoring.check(served, "at-0.6", last=100).status == "drift"
    assert monitoring.check(served, "at-0.7", last=100).status == "ok"
    assert alerts(served) == [("at-0.6-1", "open")]
    assert [r.monitor for r in monitoring.reports(served)] == ["at-0.7", "at-0.6"]


def test_the_window_is_the_version_that_answered_last(watched: Workspace) -> None:
    serve(watched, frame(50, shift=3.0), "second", version="2")
    report = monitoring.check(watched, "watch")
    assert (report.status, report.rows_current) == ("drift", 50)
    assert monitoring.check(watched, "watch", last=1000).rows_current == 170
    assert monitoring.check(watched, "watch", last=60).rows_current == 60


def test_predictions_are_judged_if_the_reference_has_them(served: Workspace) -> None:
    reference = frame(400).assign(prediction=np.where(np.arange(400) % 2 == 0, "M", "B"))
    reference.to_parquet(served.root / "reference.parquet")
    monitoring.create(served, "watch", deployment=NAME, reference=served.root / "reference.parquet")
    report = monitoring.check(served, "watch")
    prediction = next(c for c in report.columns if c.column == "prediction")
    assert (prediction.statistic, prediction.drift) == ("z", True)
    serve(served, frame(100), "mixed", output=["M", "B"] * 50)
    report = monitoring.check(served, "watch", last=100)
    assert not next(c for c in report.columns if c.column == "prediction").drift
    serve(served, frame(60), "lists", output=[[0.1, 0.9]] * 60)
    report = monitoring.check(served, "watch", last=60)
    assert next(c for c in report.columns if c.column == "prediction").value is None


def test_inputs_that_the_reference_does_not_have(watched: Workspace) -> None:
    serve(watched, frame(40).assign(extra=1.0), "extra")
    report = monitoring.check(watched, "watch", last=40)
    assert "column 'extra' is not in the reference" in report.findings
    assert not any("diagnosis" in finding for finding in report.findings)


def test_a_window_that_cannot_be_judged(workspace: Workspace) -> None:
    frame(400).to_csv(workspace.root / "reference.csv", index=False)
    records.Writer(workspace, NAME).close()
    serve(workspace, frame(1), "one")
    monitoring.create(
        workspace, "watch", deployment=NAME, reference=workspace.root / "reference.csv"
    )
    report = monitoring.check(workspace, "watch")
    assert (report.status, report.alert, report.rows_current) == ("invalid", None, 1)
    for segment in workspace.path("records", NAME).iterdir():
        segment.unlink()
    report = monitoring.check(workspace, "watch")
    assert (report.status, report.rows_current) == ("invalid", 0)
    assert "the current data has no rows" in report.findings
    assert alerts(workspace) == []


def test_checks_that_cannot_be_made(watched: Workspace) -> None:
    with pytest.raises(NotFound, match="no monitor 'nobody'"):
        monitoring.check(watched, "nobody")
    with pytest.raises(NotFound, match="no monitor 'nobody'"):
        monitoring.reports(watched, "nobody")
    with pytest.raises(InvalidInput, match="last is 0"):
        monitoring.check(watched, "watch", last=0)
    with pytest.raises(NotFound, match="no alert 'none'"):
        monitoring.acknowledge(watched, "none")
    (watched.root / "reference.csv").unlink()
    with pytest.raises(NotFound, match=r"no file 'reference\.csv'"):
        monitoring.check(watched, "watch")


def test_checks_at_the_same_time_raise_one_alert(watched: Workspace) -> None:
    serve(watched, frame(80, shift=3.0), "larger")
    found: list[Report] = []
    threads = [
        threading.Thread(target=lambda: found.append(monitoring.check(watched, "watch", last=80)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [report.alert for report in found] == ["watch-1"] * 4
    assert alerts(watched) == [("watch-1", "open")]
    assert len(monitoring.reports(watched, "watch")) == 4
    assert len({report.created for report in found}) == 4
    assert len(list((watched.root / ".mlops" / "reports").iterdir())) == 4


# --- retrain ------------------------------------------------------------------------------------


def notebook(path: Path, last_cell: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    parameters = nbformat.v4.new_code_cell('fresh: str = ""  # labelled rows')
    parameters.metadata["tags"] = ["parameters"]
    cells = [
        parameters,
        nbformat.v4.new_code_cell(
            "import csv\nwith open(fresh, newline='') as file:\n"
            "    rows = list(csv.DictReader(file))\n"
            "with open('seen.txt', 'w') as file:\n"
            "    file.write(f\"{len(rows)} {rows[0]['diagnosis']}\")"
        ),
        nbformat.v4.new_code_cell(last_cell),
    ]
    document = nbformat.v4.new_notebook(cells=cells)
    document.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(document, path)


def drifting(workspace: Workspace, last_cell: str) -> Alert:
    """An open alert of a monitor that retrains with a notebook in a folder of its own."""
    path = workspace.root / "work" / "train.ipynb"
    notebook(path, last_cell)
    monitoring.create(
        workspace,
        "watch",
        deployment=NAME,
        reference=workspace.root / "reference.csv",
        retrain=path,
        retrain_parameter="fresh",
    )
    serve(workspace, frame(60, shift=3.0), "larger")
    monitoring.check(workspace, "watch", last=60)
    (alert,) = monitoring.list_alerts(workspace)
    return alert


def label(workspace: Workspace) -> None:
    path = workspace.root / "labels.csv"
    path.write_text("request_id,diagnosis\nlarger-0,M\nlarger-1,B\n")
    labels.add_labels(workspace, NAME, path)


def test_retraining_on_the_labelled_rows_resolves_the_alert(served: Workspace) -> None:
    alert = drifting(served, "done = True")
    assert monitoring.list_monitors(served)[0].retrain == "work/train.ipynb"
    with pytest.raises(InvalidInput, match="has a label yet"):
        monitoring.retrain(served, alert.id)
    label(served)
    states: list[str] = []
    run = monitoring.retrain(served, alert.id, on_change=lambda run: states.append(run.status))
    assert run.status == "succeeded", run.error
    assert run.parameters == {"fresh": "../.mlops/labels/tumour-labelled.csv"}
    assert states[-1] == "succeeded"
    assert (served.root / "work" / "seen.txt").read_text() == "2 M"
    assert alerts(served) == [(alert.id, "resolved")]
    entry = governance.audit_log(served)[-1]
    assert (entry.action, entry.subject) == ("alert.retrain", alert.id)
    assert entry.detail == {"monitor": "watch", "pipeline_run": run.id, "status": "succeeded"}


def test_a_retraining_that_fails_leaves_the_alert_open(served: Workspace) -> None:
    alert = drifting(served, "1 / 0")
    label(served)
    run = monitoring.retrain(served, alert.id)
    assert run.status == "failed"
    assert alerts(served) == [(alert.id, "open")]
    assert governance.audit_log(served)[-1].detail["status"] == "failed"


def test_a_monitor_without_a_notebook(watched: Workspace) -> None:
    serve(watched, frame(60, shift=3.0), "larger")
    alert = monitoring.check(watched, "watch", last=60).alert
    assert alert is not None
    with pytest.raises(InvalidInput, match="names no notebook"):
        monitoring.retrain(watched, alert)
    with pytest.raises(NotFound, match="no alert 'none'"):
        monitoring.retrain(watched, "none")
    assert Store(watched).get(Alert, alert).status == "open"
