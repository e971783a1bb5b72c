"""``mlops runs``."""

from __future__ import annotations

import click

from .. import runs as feature
from ..models import Run, RunDetail
from ..workspace import Workspace
from ._app import noun, verb

runs = noun("runs", "Experiment runs.")


@verb(runs, "list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1))
@click.option(
    "--kind", type=click.Choice(["model", "pipeline", "step", "sweep", "run"]), default=None
)
@click.option("--parent", metavar="RUN", help="Only the children of this run.")
def list_(workspace: Workspace, limit: int, kind: str | None, parent: str | None) -> list[Run]:
    """Runs, newest first."""
    return feature.list_runs(workspace, limit=limit, kind=kind or "", parent_id=parent)


@verb(runs, "show")
@click.argument("run")
def show(workspace: Workspace, run: str) -> RunDetail:
    """One run with its cells, data and environment."""
    return feature.show_run(workspace, run)
