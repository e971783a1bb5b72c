"""Alerts: raised by drifting reports, one alive per monitor, until somebody or something ends it.

::

    a drifting report -> open          (further ones update its severity and summary)
    acknowledge       -> acknowledged  (still alive: absorbs further drifting reports)
    resolve           -> resolved      (a retraining that succeeded)
    a report without drift resolves it too, once somebody has acknowledged it
"""

from __future__ import annotations

from .. import governance
from .._store import Store
from ..errors import Conflict
from ..models import Alert, Monitor, Report, Severity
from ..workspace import Workspace
from .drift import summarize


def list_alerts(workspace: Workspace) -> list[Alert]:
    """All alerts, newest first."""
    return Store(workspace).all(Alert)


def raise_alert(workspace: Workspace, monitor: Monitor, report: Report) -> Alert | None:
    """Raise, update or resolve the monitor's alert as ``report`` demands; the caller holds the
    lock ``monitor-<name>``.

    Returns
    -------
    Alert or None
        The alert that is alive because of this report. It is critical from halfway between the
        monitor's drift share and all columns on.
    """
    store = Store(workspace)
    mine = [alert for alert in list_alerts(workspace) if alert.monitor == monitor.name]
    alive = next((alert for alert in mine if alert.status != "resolved"), None)
    if report.status != "drift":
        if alive and alive.status == "acknowledged" and report.status == "ok":
            resolve(workspace, alive.id)
        return None
    halfway = (1 + monitor.drift_share) / 2
    severity: Severity = "critical" if report.drifted_share >= halfway else "warning"
    summary = summarize(report)
    if alive:
        alert = store.update(Alert, alive.id, summary=summary, severity=severity)
        workspace.announce("alerts", alert.id, "updated")
        return alert
    alert = Alert(
        id=f"{monitor.name}-{len(mine) + 1}",
        monitor=monitor.name,
        raised=report.created,
        severity=severity,
        summary=summary,
        status="open",
    )
    store.put(alert, new=True)
    workspace.announce("alerts", alert.id, "raised")
    return alert


def acknowledge(workspace: Workspace, alert_id: str) -> Alert:
    """Say that somebody has seen the alert; again changes nothing.

    Raises
    ------
    NotFound
        If there is no such alert.
    Conflict
        If it is resolved.
    """
    store = Store(workspace)
    with workspace.lock(f"monitor-{store.get(Alert, alert_id).monitor}"):
        alert = store.get(Alert, alert_id)
        if alert.status == "acknowledged":
            return alert
        if alert.status == "resolved":
            raise Conflict(f"Alert {alert_id!r} is resolved.", hint="Nothing is left to do.")
        alert = store.update(Alert, alert_id, status="acknowledged")
    governance.record(workspace, "alert.acknowledge", alert_id, {"monitor": alert.monitor})
    workspace.announce("alerts", alert_id, "acknowledged")
    return alert


def resolve(workspace: Workspace, alert_id: str) -> Alert:
    """End the alert: what it warned of is over.

    Raises
    ------
    NotFound
        If there is no such alert.
    """
    alert = Store(workspace).update(Alert, alert_id, status="resolved")
    workspace.announce("alerts", alert_id, "resolved")
    return alert
