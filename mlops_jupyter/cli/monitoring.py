"""``mlops monitor``, ``mlops labels`` and ``mlops alerts``."""

from __future__ import annotations

import click

from .. import monitoring
from ..errors import InvalidInput
from ..models import Alert, LabelsAdded, Monitor, PipelineRun, Report
from ..monitoring import labels as labels_feature
from ..workspace import Workspace
from ._app import noun, screen, verb
from .pipelines import Progress

monitor = noun("monitor", "Watch a deployment's records.")
labels = noun("labels", "The truth that came later.")
alerts = noun("alerts", "What monitors raised.")


@verb(monitor, "create")
@click.argument("name")
@click.option("--deployment", metavar="NAME", help="[default: the monitor's name]")
@click.option("--reference", required=True, metavar="FILE", help="What is normal: CSV or Parquet.")
@click.option(
    "--drift-share",
    default=0.5,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of drifted columns that raises an alert.",
)
@click.option("--retrain", metavar="NOTEBOOK", help="The pipeline that an alert may start.")
@click.option("--retrain-parameter", metavar="NAME", help="Its parameter for the labelled rows.")
def create(
    workspace: Workspace,
    name: str,
    deployment: str | None,
    reference: str,
    drift_share: float,
    retrain: str | None,
    retrain_parameter: str | None,
) -> Monitor:
    """Watch a deployment against reference data."""
    return monitoring.create(
        workspace,
        name,
        deployment=deployment or name,
        reference=workspace.resolve(reference, "reference file"),
        drift_share=drift_share,
        retrain=workspace.resolve(retrain, "notebook") if retrain else None,
        retrain_parameter=retrain_parameter,
    )


@verb(monitor, "check")
@click.argument("name", required=False)
@click.option("--last", type=click.IntRange(1), metavar="N", help="Only the last N records.")
@click.option("--reference", metavar="FILE", help="Without NAME: compare two files.")
@click.option("--current", metavar="FILE")
@click.option("--statistic", metavar="NAME", help="[default: by type and size of each column]")
def check(
    workspace: Workspace,
    name: str | None,
    last: int | None,
    reference: str | None,
    current: str | None,
    statistic: str | None,
) -> Report:
    """Check a monitor's window of records, or compare two files; exit code 1 on drift."""
    if name and not (reference or current or statistic):
        return monitoring.check(workspace, name, last=last)
    if reference and current and not name and last is None:
        return monitoring.compare(
            workspace.resolve(reference), workspace.resolve(current), statistic=statistic
        )
    raise InvalidInput(
        "What is to be checked?", hint="Give a monitor's NAME, or --reference FILE --current FILE."
    )


@verb(monitor, "report")
@click.argument("name")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1))
def report(workspace: Workspace, name: str, limit: int) -> list[Report]:
    """The latest reports of a monitor."""
    return monitoring.reports(workspace, name)[:limit]


@verb(monitor, "list")
def list_(workspace: Workspace) -> list[Monitor]:
    """All monitors."""
    return monitoring.list_monitors(workspace)


@verb(labels, "add")
@click.argument("deployment")
@click.argument("file")
def add(workspace: Workspace, deployment: str, file: str) -> LabelsAdded:
    """Add labels from FILE (CSV or Parquet: request_id and one more column)."""
    return labels_feature.add_labels(workspace, deployment, workspace.resolve(file, "label file"))


@verb(alerts, "list")
def alerts_list(workspace: Workspace) -> list[Alert]:
    """All alerts, newest first."""
    return monitoring.list_alerts(workspace)


@verb(alerts, "ack")
@click.argument("alert")
def ack(workspace: Workspace, alert: str) -> Alert:
    """Acknowledge an alert."""
    return monitoring.acknowledge(workspace, alert)


@verb(alerts, "retrain")
@click.argument("alert")
@click.option("--id", hidden=True)
def retrain(workspace: Workspace, alert: str, id: str | None) -> PipelineRun:
    """Run the retraining pipeline of the alert's monitor on the rows that got labels."""
    return monitoring.retrain(workspace, alert, id=id, on_change=Progress(screen()))
