"""The frame of all commands: options they share, output, errors and exit codes."""

from __future__ import annotations

import functools
import importlib
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import click
from rich.console import Console

from ..errors import InvalidInput, MLOpsError
from ..models import ErrorBody, to_json
from ..workspace import Workspace
from . import render

INTERRUPTED = 130
_UNBROKEN = 1000


class Screen:
    """Where a command shows its progress: stderr, or stdout in a notebook; silent with --json."""

    def __init__(self, *, as_json: bool, in_cell: bool) -> None:
        self.as_json = as_json
        width = None if sys.stdout.isatty() else _UNBROKEN  # a file or a pipe gets whole lines
        self.result = Console(highlight=False, width=width)
        self.progress = Console(stderr=not in_cell, quiet=as_json, highlight=False, soft_wrap=True)

    def note(self, line: str) -> None:
        """One line of progress."""
        self.progress.print(line)

    def show(self, result: Any) -> None:
        """A command's result."""
        if self.as_json:
            click.echo(to_json(result, indent=2))
        else:
            render.render(self.result, result)


#: Where the commands under ``mlops`` are; a file is imported when one of its words is used.
_WORDS = {
    "alerts": "monitoring",
    "audit": "governance",
    "cache": "cache",
    "demo": "projects",
    "deploy": "deployments",
    "deployments": "deployments",
    "doctor": "projects",
    "init": "projects",
    "lab": "projects",
    "labels": "monitoring",
    "models": "models",
    "monitor": "monitoring",
    "pipeline": "pipelines",
    "run": "pipelines",
    "runs": "runs",
}


class _Words(click.Group):
    """Finds the commands in ``_WORDS``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All words, sorted."""
        return sorted(_WORDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, once its file is imported."""
        if cmd_name in _WORDS:
            importlib.import_module(f"{__package__}.{_WORDS[cmd_name]}")
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Words, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mlops_jupyter", prog_name="mlops")
def app() -> None:
    """The notebook is the source of the experiment record, the pipeline, the deployment and the
    monitor. Every command takes --json."""


def screen() -> Screen:
    """The screen of the command that is running."""
    found: Screen = click.get_current_context().find_root().obj
    return found


def noun(name: str, text: str) -> click.Group:
    """A new group of commands about one noun."""
    group = click.Group(name, help=text)
    app.add_command(group)
    return group


def verb(
    group: click.Group, name: str, **settings: Any
) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a function ``(workspace, **options) -> dataclass`` a command of ``group``."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        def callback(as_json: bool, around: str | None, **options: Any) -> Any:
            context = click.get_current_context().find_root()
            context.obj = Screen(as_json=as_json, in_cell=context.obj is not None)
            result = function(Workspace.find(around), **options)
            if result is not None:
                context.obj.show(result)
            return result

        functools.update_wrapper(callback, function)
        make: Callable[[Callable[..., Any]], click.Command] = click.command(name, **settings)
        command = make(callback)
        command.params += [
            click.Option(
                ["-w", "--workspace", "around"],
                metavar="DIR",
                help="The project's folder.  [default: around the working folder]",
            ),
            click.Option(["--json", "as_json"], is_flag=True, help="Print the result as JSON."),
        ]
        group.add_command(command)
        return command

    return decorate


def invoke(arguments: Sequence[str]) -> Any:
    """Run one command inside this process (for ``%mlops``) and return its dataclass.

    Raises
    ------
    MLOpsError
        As the command does; wrong usage is :class:`InvalidInput`.
    """
    try:
        result = app.main(list(arguments), prog_name="%mlops", standalone_mode=False, obj=True)
    except click.ClickException as error:
        raise InvalidInput(error.format_message(), hint="See: %mlops --help") from error
    return None if isinstance(result, int) else result


def main() -> NoReturn:
    """Entry point of ``mlops``."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # nbformat's jsonschema would build a grammar for a format that notebooks do not have, which
    # takes most of a second; it does without where the package is missing.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    sys.exit(_main(sys.argv[1:]))


def _main(arguments: list[str]) -> int:
    try:
        result = app.main(arguments, prog_name="mlops", standalone_mode=False)
    except MLOpsError as error:
        _complain(error, as_json="--json" in arguments)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return InvalidInput.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    if isinstance(result, int):
        return result
    return 1 if render.failed(result) else 0


def _complain(error: MLOpsError, *, as_json: bool) -> None:
    if as_json:
        click.echo(to_json(ErrorBody(error.code, error.message, error.hint)), err=True)
    else:
        click.echo(f"{click.style('Error:', fg='red', bold=True)} {error}", err=True)
