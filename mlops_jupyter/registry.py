"""Registered models: register, list, find the best run, read a model's spec. MLflow underneath."""

from __future__ import annotations

from typing import NamedTuple

from . import runs
from ._mlflow import Tracking
from ._store import Store
from .errors import InvalidInput, NotFound
from .models import Model, ModelVersion, Run
from .workspace import Workspace, actor


class Spec(NamedTuple):
    """A model as people name it: ``MODEL``, ``MODEL@ALIAS`` or ``MODEL/VERSION``."""

    name: str
    alias: str | None
    version: str | None


def parse(spec: str) -> Spec:
    """Read ``MODEL``, ``MODEL@ALIAS`` or ``MODEL/VERSION``.

    Raises
    ------
    InvalidInput
        If it is none of these.
    """
    name, at, alias = spec.partition("@")
    if at and name and alias:
        return Spec(name, alias, None)
    name, slash, version = spec.rpartition("/")
    if slash and name and version.isdigit():
        return Spec(name, None, version)
    if spec and not at and not slash:
        return Spec(spec, None, None)
    raise InvalidInput(
        f"{spec!r} does not name a model.", hint="Use MODEL, MODEL@ALIAS or MODEL/VERSION."
    )


def version_of(workspace: Workspace, spec: Spec) -> ModelVersion:
    """The version a spec means; a bare name means ``@champion``, else the newest.

    Raises
    ------
    NotFound
        If there is no such model, alias or version.
    """
    tracking = Tracking(workspace)
    if spec.version is not None:
        return tracking.version(spec.name, spec.version)
    model = tracking.model(spec.name)
    alias = spec.alias or "champion"
    for version in model.versions:
        if alias in version.aliases:
            return version
    if spec.alias is None and model.versions:
        return model.versions[0]
    raise NotFound(
        f"Model {spec.name!r} has no alias {alias!r}.",
        hint=f"Set it with: mlops models promote {spec.name} VERSION --alias {alias}",
    )


def register(workspace: Workspace, name: str, run_id: str) -> ModelVersion:
    """Make the run's model the next version of ``name``.

    Raises
    ------
    NotFound
        If there is no such run.
    InvalidInput
        If the name cannot be a model's, or the run has no model.
    """
    if not name or any(c in name for c in "/@:") or name != name.strip():
        raise InvalidInput(
            f"{name!r} cannot be a model's name.", hint="Use letters, digits, spaces, - . and _."
        )
    runs.deliver(workspace)
    tracking = Tracking(workspace)
    tracking.run(run_id)
    made = tracking.register(name, run_id)
    Store(workspace).append_audit(
        actor(), "model.register", f"{name}/{made.version}", {"run_id": run_id}
    )
    return made


def list_models(workspace: Workspace) -> list[Model]:
    """All registered models."""
    return Tracking(workspace).models()


def show_model(workspace: Workspace, name: str) -> Model:
    """One registered model.

    Raises
    ------
    NotFound
        If there is none with that name.
    """
    return Tracking(workspace).model(name)


def best_run(workspace: Workspace, parent_id: str, metric: str, *, lower: bool = False) -> Run:
    """Of the models fitted during the run ``parent_id``, the one with the best ``metric``.

    Raises
    ------
    NotFound
        If no model of that run has such a metric.
    """
    found = runs.list_runs(workspace, kind="model", parent_id=parent_id, limit=1000)
    scored = [run for run in found if metric in run.metrics]
    if not scored:
        known = sorted({name for run in found for name in run.metrics})
        raise NotFound(
            f"No model of run {parent_id} has the metric {metric!r}.",
            hint=f"Metrics there: {', '.join(known)}." if known else "Fit and score a model in it.",
        )
    sign = 1 if lower else -1
    return min(scored, key=lambda run: (sign * run.metrics[metric], run.started))
