"""``mlops pipeline show|run`` and ``mlops run``."""

from __future__ import annotations

from pathlib import Path

import click

from .. import pipelines
from ..models import Pipeline, PipelineRun
from ..workspace import Workspace
from ._app import Screen, app, noun, screen, verb
from ._text import coloured, seconds

pipeline = noun("pipeline", "Notebooks as pipelines.")


@verb(pipeline, "show")
@click.argument("notebook")
def show(workspace: Workspace, notebook: str) -> Pipeline:
    """The steps of NOTEBOOK, its parameters, and what flows between steps."""
    return pipelines.show(workspace, workspace.resolve(notebook, "notebook"))


class Progress:
    """Says each step's end as a pipeline runs."""

    def __init__(self, screen: Screen, indent: str = "") -> None:
        self._screen = screen
        self._indent = indent
        self._said: set[tuple[str, str]] = set()

    def __call__(self, run: PipelineRun) -> None:
        """Take the next state of the run."""
        for step in run.steps:
            ended = step.status in ("ran", "cached", "failed")
            if ended and (run.id, step.name) not in self._said:
                self._said.add((run.id, step.name))
                self._screen.note(
                    f"{self._indent}{step.name:<24} {coloured(step.status):<8} "
                    f"{seconds(step.seconds):>9}"
                )


@verb(pipeline, "run", short_help="Run a notebook as a pipeline.")
@click.argument("notebook")
@click.option(
    "-p",
    "parameters",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="A parameter of the notebook; may be repeated.",
)
@click.option("-o", "output", metavar="OUT.ipynb", help="Where to write the executed notebook.")
@click.option(
    "--executor",
    default="local",
    show_default=True,
    help="Where steps run; dask:ADDRESS for a scheduler.",
)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1))
@click.option("--id", hidden=True)
def run(
    workspace: Workspace,
    notebook: str,
    parameters: tuple[tuple[str, str], ...],
    output: str | None,
    executor: str,
    workers: int,
    id: str | None,
) -> PipelineRun:
    """Run NOTEBOOK as a pipeline; exit code 1 if a step failed."""
    return pipelines.run(
        workspace,
        workspace.resolve(notebook, "notebook"),
        dict(parameters),
        output=Path(output) if output else None,
        executor=executor,
        workers=workers,
        id=id,
        on_change=Progress(screen()),
    )


app.add_command(run)
