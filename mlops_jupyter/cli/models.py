"""``mlops models``."""

from __future__ import annotations

from pathlib import Path

import click

from .. import governance, pipelines, registry
from ..errors import InvalidInput, NotFound
from ..models import Model, ModelVersion, Promotion
from ..workspace import Workspace
from ._app import noun, screen, verb

models = noun("models", "Registered models.")


@verb(models, "register")
@click.argument("name")
@click.option("--run", metavar="RUN", help="The run whose model to register.")
@click.option("--best", metavar="METRIC", help="Or: the best model of a pipeline run.")
@click.option("--of", metavar="RUN", help="That pipeline run.  [default: the latest]")
@click.option("--lower", is_flag=True, help="Lower is better for that metric.")
def register(
    workspace: Workspace, name: str, run: str | None, best: str | None, of: str | None, lower: bool
) -> ModelVersion:
    """Make a run's model the next version of NAME."""
    if (run is None) == (best is None):
        raise InvalidInput("Which run is meant?", hint="Give either --run RUN or --best METRIC.")
    if run is None:
        assert best is not None
        run = registry.best_run(workspace, of or _latest(workspace), best, lower=lower).run_id
    return registry.register(workspace, name, run)


def _latest(workspace: Workspace) -> str:
    for run in pipelines.history(workspace):
        if run.run_id and run.status == "succeeded":
            return run.run_id
    raise NotFound("No pipeline has run here.", hint="Run one with: mlops run NOTEBOOK")


@verb(models, "list")
def list_(workspace: Workspace) -> list[Model]:
    """All registered models."""
    return registry.list_models(workspace)


@verb(models, "show")
@click.argument("name")
def show(workspace: Workspace, name: str) -> Model:
    """The versions of model NAME."""
    return registry.show_model(workspace, name)


@verb(models, "promote")
@click.argument("name")
@click.argument("version")
@click.option("--alias", default="champion", show_default=True)
@click.option("--data", metavar="FILE", help="Labelled rows for the gate, instead of its own.")
def promote(
    workspace: Workspace, name: str, version: str, alias: str, data: str | None
) -> Promotion:
    """Move an alias to VERSION of NAME if the alias's gate passes."""
    file: Path | None = workspace.resolve(data, "data file") if data else None
    try:
        return governance.promote(workspace, name, version, alias, data=file)
    except governance.Refused as refusal:
        screen().show(refusal.promotion)
        raise
