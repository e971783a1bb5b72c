"""``mlops deploy`` and ``mlops deployments``."""

from __future__ import annotations

import click

from .. import deployments as feature
from .. import registry
from ..models import Deployment, Logs
from ..workspace import Workspace
from ._app import app, noun, verb

deployments = noun("deployments", "Served models.")


@verb(app, "deploy", short_help="Serve a model.")
@click.argument("model", metavar="MODEL[@ALIAS|/VERSION]")
@click.option("--name", help="The deployment's name.  [default: the model's]")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="0: any free one.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--target", default="local", show_default=True, help="Where to serve it.")
def deploy(
    workspace: Workspace, model: str, name: str | None, port: int, host: str, target: str
) -> Deployment:
    """Serve a model; with an alias (default: champion) the endpoint follows it."""
    spec = registry.parse(model)
    alias = None if spec.version else spec.alias or "champion"
    return feature.deploy(
        workspace,
        spec.name,
        name=name or spec.name,
        alias=alias,
        version=spec.version,
        host=host,
        port=port,
        target=target,
    )


@verb(deployments, "list")
def list_(workspace: Workspace) -> list[Deployment]:
    """All deployments."""
    return feature.list_deployments(workspace)


@verb(deployments, "show")
@click.argument("name")
def show(workspace: Workspace, name: str) -> Deployment:
    """One deployment."""
    return feature.show_deployment(workspace, name)


@verb(deployments, "stop")
@click.argument("name")
def stop(workspace: Workspace, name: str) -> Deployment:
    """Stop a deployment; requests it accepted are answered first."""
    return feature.stop(workspace, name)


@verb(deployments, "logs")
@click.argument("name")
@click.option("--lines", default=100, show_default=True, type=click.IntRange(1))
def logs(workspace: Workspace, name: str, lines: int) -> Logs:
    """The last lines that a deployment's process wrote."""
    return Logs(name, feature.logs(workspace, name, lines))
