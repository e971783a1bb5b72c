"""The table of routes, and the few lines between each and its feature.

What has not been used in a workspace yet has no database: such lists are empty and such names
unknown, without anything being created or imported.
"""

from __future__ import annotations

from typing import Any

from ..errors import InvalidInput
from ..models import (
    AuditVerdict,
    CheckRequest,
    DeployRequest,
    EmptyRequest,
    LabelsRequest,
    Logs,
    MonitorRequest,
    Pipeline,
    PipelineRequest,
    PipelineRun,
    PromoteRequest,
    RegisterRequest,
)
from ..workspace import Workspace
from .handlers import Route
from .requests import Request, check_name, missing

PREFIX = "mlops/api"
KINDS = ("model", "pipeline", "step", "sweep", "run")


def tracked(workspace: Workspace) -> bool:
    """Whether there may be anything in MLflow's store: it is there, or is made now because the
    sessions recorded here hold runs."""
    database = workspace.state / "mlflow.db"
    if workspace.config.tracking_uri or database.is_file():
        return True
    journals = workspace.state / "journals"
    if not journals.is_dir() or not any(journals.iterdir()):
        return False
    from .. import runs

    runs.deliver(workspace)
    return database.is_file()


def stored(workspace: Workspace) -> bool:
    """Whether there may be anything in our own store."""
    return bool(workspace.config.database_url) or (workspace.state / "mlops.db").is_file()


# --- runs and models --------------------------------------------------------------------------


def list_runs(workspace: Workspace, request: Request) -> Any:
    """Newest first; ``?kind=`` and ``?parent=`` narrow."""
    kind, parent = request.query.get("kind", ""), request.query.get("parent", "")
    if kind and kind not in KINDS:
        raise InvalidInput(f"There is no kind of run {kind!r}.", hint=f"Known: {', '.join(KINDS)}.")
    if parent and not parent.isalnum():
        raise InvalidInput(f"{parent!r} is not a run's id.", hint="Use its run_id.")
    limit = request.limit()
    if not tracked(workspace):
        return []
    from .. import runs

    return runs.list_runs(workspace, limit=limit, kind=kind, parent_id=parent or None)


def show_run(workspace: Workspace, request: Request) -> Any:
    """One run with its cells, data, environment."""
    if not tracked(workspace):
        raise missing("run", request.name())
    from .. import runs

    return runs.show_run(workspace, request.name())


def list_models(workspace: Workspace, request: Request) -> Any:
    """Registered models with their versions."""
    limit = request.limit()
    if not tracked(workspace):
        return []
    from .. import registry

    return registry.list_models(workspace)[:limit]


def register(workspace: Workspace, request: Request) -> Any:
    """Make a run's model the next version of a name."""
    body = request.body(RegisterRequest)
    check_name(body.name, "model")
    if not tracked(workspace):
        raise missing("run", body.run_id)
    from .. import registry

    return registry.register(workspace, body.name, body.run_id)


def show_model(workspace: Workspace, request: Request) -> Any:
    """One registered model."""
    if not tracked(workspace):
        raise missing("model", request.name())
    from .. import registry

    return registry.show_model(workspace, request.name())


def promote(workspace: Workspace, request: Request) -> Any:
    """Move an alias through its gate."""
    body = request.body(PromoteRequest)
    check_name(body.alias, "alias")
    if not tracked(workspace):
        raise missing("model", request.name())
    from .. import governance

    return governance.promote(workspace, request.name(), body.version, body.alias)


def audit(workspace: Workspace, request: Request) -> Any:
    """The audit log, newest first."""
    limit = request.limit()
    if not stored(workspace):
        return []
    from .. import governance

    return governance.audit_log(workspace)[::-1][:limit]


def verify_audit(workspace: Workspace, request: Request) -> AuditVerdict:
    """Whether the audit log is as it was written."""
    if not stored(workspace):
        return AuditVerdict(["0 entries"], [])
    from .. import governance

    entries = len(governance.audit_log(workspace))
    return AuditVerdict([f"{entries} entries"], governance.verify_audit(workspace))


# --- pipelines --------------------------------------------------------------------------------


def list_pipelines(workspace: Workspace, request: Request) -> Any:
    """Executions of pipelines, newest first."""
    limit = request.limit()
    if not stored(workspace):
        return []
    from .. import pipelines

    return pipelines.history(workspace, limit=limit)


def show_pipeline(workspace: Workspace, request: Request) -> Pipeline:
    """The notebook ``?notebook=`` as steps."""
    notebook = request.file(workspace, request.argument("notebook"), "notebook")
    from .. import pipelines

    return pipelines.show(workspace, notebook)


def run_pipeline(workspace: Workspace, request: Request) -> PipelineRun:
    """Start a notebook as a pipeline, in a process of its own."""
    body = request.body(PipelineRequest)
    notebook = request.file(workspace, body.notebook, "notebook")
    from . import launch

    return launch.start(workspace, notebook, body.parameters)


# --- deployments ------------------------------------------------------------------------------


def list_deployments(workspace: Workspace, request: Request) -> Any:
    """All deployments, also stopped ones."""
    limit = request.limit()
    if not stored(workspace):
        return []
    from .. import deployments

    return deployments.list_deployments(workspace)[:limit]


def show_deployment(workspace: Workspace, request: Request) -> Any:
    """One deployment with its present figures."""
    if not stored(workspace):
        raise missing("deployment", request.name())
    from .. import deployments

    return deployments.show_deployment(workspace, request.name())


def deploy(workspace: Workspace, request: Request) -> Any:
    """Serve a model; answers when it is ready."""
    body = request.body(DeployRequest)
    check_name(body.name, "deployment")
    check_name(body.model, "model")
    if body.alias is not None and body.version is not None:
        raise InvalidInput("Both an alias and a version were given.", hint="Choose one.")
    if not tracked(workspace):
        raise missing("model", body.model)
    alias = body.alias if body.version is not None else body.alias or "champion"
    from .. import deployments

    return deployments.deploy(
        workspace, body.model, name=body.name, alias=alias, version=body.version
    )


def stop_deployment(workspace: Workspace, request: Request) -> Any:
    """End a deployment's server."""
    if not stored(workspace):
        raise missing("deployment", request.name())
    from .. import deployments

    return deployments.stop(workspace, request.name())


def logs(workspace: Workspace, request: Request) -> Logs:
    """The last lines that a deployment's process wrote."""
    if not stored(workspace):
        raise missing("deployment", request.name())
    from .. import deployments

    return Logs(request.name(), deployments.logs(workspace, request.name(), request.limit()))


# --- monitoring -------------------------------------------------------------------------------


def list_monitors(workspace: Workspace, request: Request) -> Any:
    """All monitors."""
    limit = request.limit()
    if not stored(workspace):
        return []
    from .. import monitoring

    return monitoring.list_monitors(workspace)[:limit]


def create_monitor(workspace: Workspace, request: Request) -> Any:
    """Watch a deployment."""
    body = request.body(MonitorRequest)
    if not stored(workspace):
        raise missing("deployment", body.deployment)
    from .. import monitoring

    return monitoring.create(
        workspace,
        body.name,
        deployment=body.deployment,
        reference=request.file(workspace, body.reference, "reference file"),
        drift_share=body.drift_share,
        retrain=request.file(workspace, body.retrain, "notebook") if body.retrain else None,
        retrain_parameter=body.retrain_parameter,
    )


def add_labels(workspace: Workspace, request: Request) -> Any:
    """The truth that came later."""
    body = request.body(LabelsRequest)
    file = request.file(workspace, body.file, "label file")
    if not stored(workspace):
        raise missing("deployment", body.deployment)
    from ..monitoring import labels

    return labels.add_labels(workspace, body.deployment, file)


def list_reports(workspace: Workspace, request: Request) -> Any:
    """One monitor's reports, newest first."""
    limit = request.limit()
    if not stored(workspace):
        raise missing("monitor", request.name())
    from .. import monitoring

    return monitoring.reports(workspace, request.name())[:limit]


def check_monitor(workspace: Workspace, request: Request) -> Any:
    """Compare a window of records with the reference now."""
    body = request.body(CheckRequest)
    if body.last is not None and body.last < 1:
        raise InvalidInput("'last' must be at least 1.", hint="Leave it out for all records.")
    if not stored(workspace):
        raise missing("monitor", request.name())
    from .. import monitoring

    return monitoring.check(workspace, request.name(), last=body.last)


def list_alerts(workspace: Workspace, request: Request) -> Any:
    """All alerts, newest first."""
    limit = request.limit()
    if not stored(workspace):
        return []
    from .. import monitoring

    return monitoring.list_alerts(workspace)[:limit]


def acknowledge(workspace: Workspace, request: Request) -> Any:
    """Someone has seen the alert."""
    request.body(EmptyRequest)
    if not stored(workspace):
        raise missing("alert", request.name())
    from .. import monitoring

    return monitoring.acknowledge(workspace, request.name())


def retrain(workspace: Workspace, request: Request) -> PipelineRun:
    """Start the retraining that the alert asks for, in a process of its own."""
    request.body(EmptyRequest)
    if not stored(workspace):
        raise missing("alert", request.name())
    from . import launch

    return launch.retrain(workspace, request.name())


# --- the table --------------------------------------------------------------------------------

ROUTES = (
    Route("runs", "GET", list_runs),
    Route("runs/(?P<run>[^/]+)", "GET", show_run),
    Route("models", "GET", list_models),
    Route("models", "POST", register, 201),
    Route("models/(?P<model>[^/]+)", "GET", show_model),
    Route("models/(?P<model>[^/]+)/promote", "POST", promote),
    Route("pipelines", "GET", list_pipelines),
    Route("pipelines/show", "GET", show_pipeline),
    Route("pipelines/run", "POST", run_pipeline, 202),
    Route("deployments", "GET", list_deployments),
    Route("deployments", "POST", deploy, 201),
    Route("deployments/(?P<deployment>[^/]+)", "GET", show_deployment),
    Route("deployments/(?P<deployment>[^/]+)", "DELETE", stop_deployment),
    Route("deployments/(?P<deployment>[^/]+)/logs", "GET", logs),
    Route("labels", "POST", add_labels, 201),
    Route("monitors", "GET", list_monitors),
    Route("monitors", "POST", create_monitor, 201),
    Route("monitors/(?P<monitor>[^/]+)/reports", "GET", list_reports),
    Route("monitors/(?P<monitor>[^/]+)/check", "POST", check_monitor),
    Route("alerts", "GET", list_alerts),
    Route("alerts/(?P<alert>[^/]+)/ack", "POST", acknowledge),
    Route("alerts/(?P<alert>[^/]+)/retrain", "POST", retrain, 202),
    Route("audit", "GET", audit),
    Route("audit/verify", "GET", verify_audit),
)


def by_path() -> dict[str, dict[str, Route]]:
    """The table by path, then by method; earlier paths match first."""
    paths: dict[str, dict[str, Route]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method] = route
    return paths
