"""A command about a notebook whose ``--help`` also shows that notebook's parameters."""

from __future__ import annotations

import io
from typing import Any

import click
from rich.console import Console

from ..errors import MLOpsError
from ..models import Parameter
from . import render


class NotebookCommand(click.Command):
    """``mlops run train.ipynb --help``: the command's help, then the notebook's contract.

    The command has an argument ``notebook`` and may have the option ``around`` for the workspace's
    folder. A notebook that cannot be read costs one line, never the help.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Remember what was typed: ``--help`` stops before arguments have values."""
        ctx.meta[__name__] = list(args)
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The notebook's parameters below everything else."""
        super().format_epilog(ctx, formatter)
        notebook, around = self._typed(ctx)
        if not notebook:
            return
        formatter.write_paragraph()
        try:
            formatter.write(_contract(notebook, around, formatter.width))
        except MLOpsError as error:
            formatter.write(f"No parameters shown: {error}\n")

    def _typed(self, ctx: click.Context) -> tuple[str, str | None]:
        """The notebook and the workspace's folder on the command line."""
        words = [word for word in ctx.meta.get(__name__, ()) if word not in ctx.help_option_names]
        parser = self.make_parser(ctx)
        parser.ignore_unknown_options = True
        try:
            values, _, _ = parser.parse_args(words)
        except click.UsageError:  # an option without its value, say
            values = {"notebook": next((word for word in words if word.endswith(".ipynb")), "")}
        found: Any = values.get("notebook")
        around: Any = values.get("around")
        return (
            found if isinstance(found, str) else "",
            around if isinstance(around, str) else None,
        )


def _contract(notebook: str, around: str | None, width: int) -> str:
    """The parameters as a table."""
    from .. import notebook as notebooks
    from ..pipelines import parameters
    from ..workspace import Workspace

    path = Workspace.find(around).resolve(notebook, "notebook")
    found: list[Parameter] = parameters.declared(notebooks.read(path))
    if not found:
        return f"{path.name} declares no parameters: no cell is tagged `parameters`.\n"
    screen = io.StringIO()
    console = Console(file=screen, width=width, highlight=False, color_system=None)
    console.print(f"Parameters of {path.name} (-p NAME VALUE):\n", markup=False)
    render.rows(console, found)
    return "\n".join(line.rstrip() for line in screen.getvalue().splitlines()) + "\n"
