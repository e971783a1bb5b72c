"""Monitors: checks over a deployment's records, reports, alerts, and retraining from an alert.

::

    create -> check -> Report (stored, and a JSON file in .mlops/reports/)
                         drifted_share >= the monitor's -> Alert (mlops_jupyter.monitoring.alerts)
                                                             retrain, succeeded -> resolved
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import governance, pipelines, records
from .._store import Store
from .._tables import Table, open_table, rows_table
from ..errors import Conflict, InvalidInput, NotFound
from ..models import Alert, Monitor, PipelineRun, Report, Scalar, now, to_json
from ..workspace import Workspace, write_atomic
from . import labels
from .alerts import acknowledge, list_alerts, raise_alert, resolve
from .drift import DRIFT_SHARE, compare_tables

__all__ = [
    "acknowledge",
    "check",
    "compare",
    "create",
    "list_alerts",
    "list_monitors",
    "reports",
    "retrain",
    "retraining",
]

PREDICTION = "prediction"
_NAME = re.compile(r"[\w][\w.-]{0,99}")


def compare(
    reference: Path,
    current: Path,
    *,
    statistic: str | None = None,
    drift_share: float = DRIFT_SHARE,
) -> Report:
    """Compare two data files (CSV or Parquet) column by column.

    Parameters
    ----------
    statistic:
        Entry-point name of the statistic for every column; ``None`` chooses for each by its type
        and the reference's size.
    drift_share:
        From which share of drifted columns on (0 to 1) the status is ``"drift"``.

    Returns
    -------
    Report
        ``status`` is ``"invalid"`` if no column could be judged. A column that could not has the
        value ``None`` and a finding.

    Raises
    ------
    NotFound
        If there is no such file or statistic.
    InvalidInput
        If a file cannot be parsed.
    """
    return compare_tables(
        open_table(reference), open_table(current), statistic=statistic, drift_share=drift_share
    )


def create(
    workspace: Workspace,
    name: str,
    *,
    deployment: str,
    reference: Path,
    drift_share: float = DRIFT_SHARE,
    retrain: Path | None = None,
    retrain_parameter: str | None = None,
) -> Monitor:
    """Watch a deployment against a reference data file.

    Parameters
    ----------
    reference:
        CSV or Parquet with the model's inputs; other columns do not matter, but one that is called
        ``prediction`` is compared with the deployment's answers.
    drift_share:
        An alert is raised from this share of drifted columns on; more than 0, at most 1.
    retrain, retrain_parameter:
        The notebook that :func:`retrain` runs, and its parameter for the labelled data's path.

    Raises
    ------
    Conflict
        If there is a monitor of that name.
    NotFound
        If there is no such deployment, reference or notebook.
    InvalidInput
        If the rest makes no sense.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"A monitor cannot be called {name!r}.", hint="Use letters, digits, '-', '_' and '.'."
        )
    if not 0 < drift_share <= 1:
        raise InvalidInput(f"drift_share is {drift_share}.", hint="Use more than 0, at most 1.")
    labels.require_deployment(workspace, deployment)
    relative = _inside(workspace, reference, "reference file")
    if not open_table(workspace.root / relative).names:
        raise InvalidInput(
            f"{relative} has no columns.", hint="Use a file with the model's inputs."
        )
    notebook = _retraining(workspace, retrain, retrain_parameter)
    monitor = Monitor(
        name=name,
        deployment=deployment,
        reference=relative,
        drift_share=drift_share,
        retrain=notebook,
        retrain_parameter=retrain_parameter,
    )
    Store(workspace).put(monitor, new=True)
    governance.record(
        workspace, "monitor.create", name, {"deployment": deployment, "reference": relative}
    )
    workspace.announce("monitors", name, "created")
    return monitor


def check(workspace: Workspace, name: str, *, last: int | None = None) -> Report:
    """Compare a window of the deployment's records with the monitor's reference.

    The inputs that the reference has are judged, and the prediction if it has that column.

    Parameters
    ----------
    last:
        The window is the newest ``last`` rows; by default all rows of the version that answered
        last.

    Raises
    ------
    NotFound
        If there is no such monitor, or its reference file is gone.
    InvalidInput
        If ``last`` is not positive or the reference cannot be read.
    """
    if last is not None and last < 1:
        raise InvalidInput(f"last is {last}.", hint="Give the number of newest records.")
    store = Store(workspace)
    monitor = store.get(Monitor, name)
    reference = open_table(workspace.root / monitor.reference)
    window, columns = _window(workspace, monitor, reference, last)
    report = replace(
        compare_tables(reference, window, columns=columns, drift_share=monitor.drift_share),
        monitor=name,
    )
    with workspace.lock(f"monitor-{name}"):
        alert = raise_alert(workspace, monitor, report)
        report = _store_report(store, replace(report, alert=alert.id if alert else None))
        store.update(Monitor, name, last_status=report.status, last_checked=report.created)
    stamp = re.sub(r"[-:.]", "", report.created)
    write_atomic(workspace.path("reports", f"{name}-{stamp}.json"), to_json(report, indent=2))
    workspace.announce("monitors", name, f"checked {report.status}")
    return report


def list_monitors(workspace: Workspace) -> list[Monitor]:
    """All monitors, newest first."""
    return Store(workspace).all(Monitor)


def reports(workspace: Workspace, monitor: str | None = None) -> list[Report]:
    """The stored reports, newest first; of one monitor if it is named.

    Raises
    ------
    NotFound
        If there is no such monitor.
    """
    store = Store(workspace)
    if monitor is not None:
        store.get(Monitor, monitor)
    return [item for item in store.all(Report) if monitor in (None, item.monitor)]


def retraining(workspace: Workspace, alert_id: str) -> tuple[Path, dict[str, Scalar]]:
    """What :func:`retrain` runs: the monitor's notebook, and its parameter with the path of the
    file that :func:`mlops_jupyter.monitoring.labels.labelled` writes, relative to the notebook's
    folder.

    Raises
    ------
    NotFound
        If there is no such alert.
    Conflict
        If it is resolved.
    InvalidInput
        If its monitor names no notebook, or no record has a label yet.
    """
    store = Store(workspace)
    alert = store.get(Alert, alert_id)
    monitor = store.get(Monitor, alert.monitor)
    if alert.status == "resolved":
        raise Conflict(f"Alert {alert_id!r} is resolved.", hint="Nothing is left to do.")
    if monitor.retrain is None or monitor.retrain_parameter is None:
        raise InvalidInput(
            f"Monitor {monitor.name!r} names no notebook to retrain with.",
            hint="Create one with: mlops monitor create NAME --retrain NOTEBOOK "
            "--retrain-parameter PARAMETER",
        )
    notebook = workspace.inside(monitor.retrain, "notebook")
    data = labels.labelled(workspace, monitor.deployment)
    parameter = Path(os.path.relpath(data.resolve(), notebook.resolve().parent)).as_posix()
    return notebook, {monitor.retrain_parameter: parameter}


def retrain(
    workspace: Workspace,
    alert_id: str,
    *,
    id: str | None = None,
    on_change: Callable[[PipelineRun], None] | None = None,
) -> PipelineRun:
    """Run the monitor's notebook on the records that got labels; success resolves the alert.

    Parameters
    ----------
    id:
        The pipeline run's name, if it has to be known before.

    Raises
    ------
    NotFound, Conflict, InvalidInput
        As :func:`retraining`. Nothing ran.
    """
    notebook, parameters = retraining(workspace, alert_id)
    run = pipelines.run(workspace, notebook, parameters, id=id, on_change=on_change)
    monitor = Store(workspace).get(Alert, alert_id).monitor
    detail = {"monitor": monitor, "pipeline_run": run.id, "status": run.status}
    governance.record(workspace, "alert.retrain", alert_id, detail)
    if run.status == "succeeded":
        with workspace.lock(f"monitor-{monitor}"):
            resolve(workspace, alert_id)
    return run


def _inside(workspace: Workspace, path: Path, what: str) -> str:
    """``path`` relative to the workspace, which it must be in."""
    absolute = path if path.is_absolute() else workspace.root / path
    if not absolute.is_file():
        raise NotFound(f"There is no {what} {path.name!r}.", hint="Check the path.")
    try:
        return absolute.resolve().relative_to(workspace.root.resolve()).as_posix()
    except ValueError as error:
        raise InvalidInput(
            f"The {what} {path.name!r} is outside the project folder.", hint="Copy it there."
        ) from error


def _retraining(workspace: Workspace, notebook: Path | None, parameter: str | None) -> str | None:
    if (notebook is None) != (parameter is None):
        raise InvalidInput(
            "Retraining needs both a notebook and the parameter that takes the labelled data.",
            hint="Give retrain and retrain_parameter, or neither.",
        )
    if notebook is None:
        return None
    relative = _inside(workspace, notebook, "notebook")
    known = [item.name for item in pipelines.show(workspace, workspace.root / relative).parameters]
    if parameter not in known:
        raise InvalidInput(
            f"{relative} has no parameter {parameter!r}.",
            hint=f"Its parameters: {', '.join(known) or 'none'}.",
        )
    return relative


def _window(
    workspace: Workspace, monitor: Monitor, reference: Table, last: int | None
) -> tuple[Table, list[str]]:
    """The records to judge as a table, and the columns of it that count."""
    found = records.read(workspace, monitor.deployment, last=last)
    if last is None:
        found = [record for record in found if record.version == found[-1].version]
    rows: list[dict[str, Any]] = [dict(record.inputs) for record in found]
    inputs = list(dict.fromkeys(name for row in rows for name in row))
    if PREDICTION in reference.names and PREDICTION not in inputs:
        for row, record in zip(rows, found, strict=True):
            row[PREDICTION] = record.output
        inputs.append(PREDICTION)
    return rows_table(rows), inputs


def _store_report(store: Store, report: Report) -> Report:
    """Store the report under the first free moment from its own on."""
    while True:
        try:
            return store.put(report, new=True)
        except Conflict:
            report = replace(report, created=now())
