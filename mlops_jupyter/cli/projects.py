"""``mlops demo``, ``init``, ``lab`` and ``doctor``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from .. import project, tour
from ..models import Doctor, Project, Tour
from ..workspace import ENV, Workspace
from ._app import app, screen, verb
from .pipelines import Progress


@verb(app, "demo", short_help="Play the tour, end to end.")
@click.argument("folder", metavar="[DIR]", default="mlops-demo", type=click.Path(file_okay=False))
def demo(workspace: Workspace, folder: str) -> Tour:
    """The tour: a notebook becomes a pipeline, a model, an endpoint, a monitor, a new model.

    Plays in DIR (default: mlops-demo). An earlier tour there is replaced; one that you worked in
    since is left alone, and DIR-2 is taken.
    """
    show = screen()
    return tour.play(Path(folder), say=show.note, progress=Progress(show, indent="   "))


@verb(app, "init", short_help="Make a project from a template.")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False))
@click.option("--template", default="tour", show_default=True, help="Which starter project.")
def init(workspace: Workspace, folder: str, template: str) -> Project:
    """Make a project in DIR from a template; nothing that is there is overwritten."""
    return project.create(Path(folder), template)


@verb(
    app,
    "lab",
    short_help="JupyterLab on this workspace.",
    context_settings={"ignore_unknown_options": True},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def lab(workspace: Workspace, arguments: tuple[str, ...]) -> None:
    """JupyterLab on this workspace; ARGUMENTS go to `jupyter lab`."""
    os.environ[ENV] = str(workspace.ensure().root)
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={workspace.root}"]
    os.execv(sys.executable, [*command, *arguments])


@verb(app, "doctor", short_help="Check this machine and workspace.")
def doctor(workspace: Workspace) -> Doctor:
    """Check this machine and workspace, and say what to do about what is wrong."""
    return project.doctor(workspace)
