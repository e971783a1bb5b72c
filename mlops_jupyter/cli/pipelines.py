"""``mlops pipeline show|run|verify|resume|debug`` and ``mlops run``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from .. import pipelines
from ..errors import InvalidInput
from ..models import DebugNotebook, Pipeline, PipelineRun, StepInputs, Sweep, Verification
from ..pipelines import secrets, sweeps
from ..pipelines.failures import Failure
from ..pipelines.reports import Reports
from ..redaction import Redactor
from ..workspace import ENV, Workspace
from ._app import Screen, app, noun, screen, verb
from ._text import coloured, seconds
from .contract import NotebookCommand

pipeline = noun("pipeline", "Notebooks as pipelines.")


@verb(pipeline, "show")
@click.argument("notebook")
def show(workspace: Workspace, notebook: str) -> Pipeline:
    """The steps of NOTEBOOK, its parameters, and what flows between steps."""
    return pipelines.show(workspace, workspace.resolve(notebook, "notebook"))


class Progress:
    """Says each step's end as a pipeline runs: ran, cached or failed, how long, why."""

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
                again = f"{step.attempts} attempts; " if step.attempts > 1 else ""
                self._screen.note(
                    f"{self._indent}{escape(step.name):<24} {_padded(step.status, 8)} "
                    f"{seconds(step.seconds):>9}  {again}{escape(step.reason)}".rstrip()
                )

    def failed(self, failure: Failure) -> None:
        """The error in one block."""
        self._screen.note(f"\n{self._indent}[red]Failed: {escape(failure.where)}[/]")
        for line in failure.trace or (failure.error,):
            self._screen.note(f"{self._indent}  {escape(line)}")
        self._screen.note("")


def _padded(status: str, width: int) -> str:
    return coloured(status) + " " * (width - len(status))


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of ``run``."""
    for option in reversed(
        [
            click.option(
                "-p",
                "parameters",
                nargs=2,
                multiple=True,
                metavar="NAME VALUE",
                help="A parameter of the notebook; may be repeated.",
            ),
            click.option(
                "--param-env",
                multiple=True,
                metavar="NAME[=VARIABLE]",
                help="A secret parameter: its value is the environment variable's and is written "
                "nowhere; may be repeated.",
            ),
            click.option(
                "--sweep",
                "asked",
                multiple=True,
                metavar="NAME=VALUES",
                help="Run once per value: 0.1,0.3,1 or 0:1:0.25 or 1..5 or log:1e-4:1:5; "
                "repeated: all combinations.",
            ),
            click.option(
                "-o", "output", metavar="OUT.ipynb", help="Where to write the executed notebook."
            ),
            click.option(
                "--executor",
                default="local",
                show_default=True,
                help="Where steps run; dask:ADDRESS for a scheduler.",
            ),
            click.option("--workers", default=1, show_default=True, type=click.IntRange(1)),
            click.option("--no-cache", is_flag=True, help="Run every step."),
            click.option("--cache", metavar="URL", help="Where results are kept and looked for."),
            click.option("--junit", metavar="FILE", help="Write a JUnit XML report."),
            click.option(
                "--summary",
                metavar="FILE",
                help="Write a Markdown summary (also appended to $GITHUB_STEP_SUMMARY).",
            ),
            click.option("--id", hidden=True),
        ]
    ):
        function = option(function)
    return function


@verb(pipeline, "run", cls=NotebookCommand, short_help="Run a notebook as a pipeline.")
@click.argument("notebook")
@_options
def run(
    workspace: Workspace,
    notebook: str,
    parameters: tuple[tuple[str, str], ...],
    param_env: tuple[str, ...],
    asked: tuple[str, ...],
    output: str | None,
    executor: str,
    workers: int,
    no_cache: bool,
    cache: str | None,
    junit: str | None,
    summary: str | None,
    id: str | None,
) -> PipelineRun | Sweep:
    """Run NOTEBOOK as a pipeline; exit code 1 if a step failed."""
    if asked and output:
        raise InvalidInput("A sweep writes several notebooks, -o names one.", hint="Leave -o out.")
    hidden = secrets.parse(param_env)
    redactor = secrets.redactor(hidden)
    for line in secrets.notices(hidden):
        click.echo(line, err=True)
    place = workspace.resolve(notebook, "notebook")
    target = Path(output).absolute() if output else None
    options: dict[str, Any] = {
        "executor": executor,
        "workers": workers,
        "id": id,
        "use_cache": not no_cache,
        "cache": cache,
        "secrets": hidden,
    }
    reports = Reports(
        workspace,
        place,
        output=target,
        junit=Path(junit) if junit else None,
        summary=Path(summary) if summary else None,
        redactor=redactor,
    )
    following = _Following(
        screen(), reports, redactor, [item.partition("=")[0].strip() for item in asked]
    )
    given = dict(parameters)
    try:
        with reports:
            if asked:
                return _sweep(workspace, place, given, asked, following, options)
            done = pipelines.run(
                workspace, place, given, output=target, on_change=following, **options
            )
            following(done)
            following.ended()
            return done
    finally:
        for line in reports.notes:
            click.echo(line, err=True)


class _Following:
    """Hears of each change of a run (of a sweep: of one run after the other), and tells it."""

    def __init__(
        self, screen: Screen, reports: Reports, redactor: Redactor, varied: list[str]
    ) -> None:
        self._screen = screen
        self.reports = reports
        self._redactor = redactor
        self._varied = varied
        self._progress = Progress(screen, "  " if varied else "")
        self._state: PipelineRun | None = None

    def __call__(self, state: PipelineRun) -> None:
        """Take the next state of the run."""
        state = secrets.clean(state, self._redactor)
        if self._varied and (self._state is None or self._state.id != state.id):
            values = (f"{name}={state.parameters.get(name)}" for name in self._varied)
            self._screen.note(f"[bold]{escape(', '.join(values))}[/]")
        self._state = state
        self.reports(state)
        self._progress(state)

    def ended(self, sweep: Sweep | None = None) -> None:
        """The run ended: say why it failed, if it did. ``sweep`` is what it belongs to."""
        self.reports.sweep = sweep
        if self._state is not None and (failure := self.reports.failure(self._state)) is not None:
            self._progress.failed(failure)
        self._state = None


def _sweep(
    workspace: Workspace,
    notebook: Path,
    parameters: dict[str, str],
    asked: tuple[str, ...],
    following: _Following,
    options: dict[str, Any],
) -> Sweep:
    """Run the sweep; if it is stopped, show how far it came."""
    try:
        return sweeps.run(
            workspace,
            notebook,
            parameters,
            asked,
            on_change=following.ended,
            on_run=following,
            **options,
        )
    except BaseException:
        if (so_far := following.reports.sweep) is not None and so_far.runs:
            screen().show(so_far)
        raise


@verb(pipeline, "resume", short_help="Continue a run that failed or was cancelled.")
@click.argument("what", metavar="NOTEBOOK|RUN")
@click.option(
    "--param-env",
    multiple=True,
    metavar="NAME[=VARIABLE]",
    help="A secret parameter of the run: it has to be given again; may be repeated.",
)
@click.option("-o", "output", metavar="OUT.ipynb", help="Where to write the executed notebook.")
@click.option("--executor", default="local", show_default=True, help="Where steps run.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1))
@click.option("--cache", metavar="URL", help="Where results are kept and looked for.")
@click.option("--id", hidden=True)
def resume(
    workspace: Workspace,
    what: str,
    param_env: tuple[str, ...],
    output: str | None,
    executor: str,
    workers: int,
    cache: str | None,
    id: str | None,
) -> PipelineRun:
    """Continue the last run of a notebook, or the run with an id, with its parameters: only what
    it did not do, or what changed since, runs. Exit code 1 if a step failed."""
    from ..pipelines import resume as resuming

    hidden = secrets.parse(param_env)
    redactor = secrets.redactor(hidden)
    for line in secrets.notices(hidden):
        click.echo(line, err=True)
    target = Path(output).absolute() if output else None
    earlier, notebook = resuming.resumable(workspace, what)
    screen().note(
        f"Resuming run {earlier.id} of {escape(earlier.notebook)}, which {earlier.status}."
    )
    reports = Reports(workspace, notebook, output=target, redactor=redactor)
    following = _Following(screen(), reports, redactor, [])
    with reports:
        done = resuming.resume(
            workspace,
            what,
            secrets=hidden,
            output=target,
            executor=executor,
            workers=workers,
            cache=cache,
            id=id,
            on_change=following,
        )
        following(done)
        following.ended()
    return done


@verb(pipeline, "debug", short_help="Open a step with what it began with.")
@click.argument("notebook")
@click.argument("step", required=False)
@click.option("--run", "run_id", metavar="RUN", help="The run.  [default: the notebook's last]")
@click.option("-o", "output", metavar="OUT.ipynb", help="Where to write the notebook.")
@click.option("--cache", metavar="URL", help="Where the run kept its results.")
@click.option("--lab", is_flag=True, help="Open it in JupyterLab.")
def debug(
    workspace: Workspace,
    notebook: str,
    step: str | None,
    run_id: str | None,
    output: str | None,
    cache: str | None,
    lab: bool,
) -> DebugNotebook:
    """Write a notebook whose first cell loads what STEP of NOTEBOOK began with, and whose other
    cells are the step's. STEP is the one that failed if none is named."""
    from ..pipelines.debug import debug as write

    target = Path(output).absolute() if output else None
    found = write(
        workspace,
        workspace.resolve(notebook, "notebook"),
        step,
        run=run_id,
        output=target,
        cache=cache,
    )
    if lab:
        screen().show(found)
        place = target or workspace.root / found.output
        root = workspace.root if place.is_relative_to(workspace.root) else place.parent
        os.environ[ENV] = str(workspace.root)
        command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={root}", str(place)]
        os.execv(sys.executable, command)
    return found


@verb(pipeline, "inputs", hidden=True)
@click.argument("run_id", metavar="RUN")
@click.argument("step")
@click.option("--cache", metavar="URL", help="Where the run kept its results.")
def inputs(workspace: Workspace, run_id: str, step: str, cache: str | None) -> StepInputs:
    """Load what STEP of a RUN began with into this kernel (in a cell, after %mlops)."""
    from ..pipelines.inputs import inputs as load

    return load(workspace, run_id, step, cache=cache)


@verb(pipeline, "verify", short_help="Run a notebook both ways and compare.")
@click.argument("notebook")
@click.option("-p", "parameters", nargs=2, multiple=True, metavar="NAME VALUE")
@click.option("--param-env", multiple=True, metavar="NAME[=VARIABLE]")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1))
def verify(
    workspace: Workspace,
    notebook: str,
    parameters: tuple[tuple[str, str], ...],
    param_env: tuple[str, ...],
    workers: int,
) -> Verification:
    """Run NOTEBOOK top to bottom and as a pipeline, cold and from the cache, in copies of its
    project, and compare displayed outputs, final variables and files; exit code 1 if they
    differ."""
    from ..pipelines.verify import verify as compare

    return compare(
        workspace,
        workspace.resolve(notebook, "notebook"),
        dict(parameters),
        workers=workers,
        secrets=secrets.parse(param_env),
    )


app.add_command(run)
