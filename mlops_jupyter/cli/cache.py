"""``mlops cache``."""

from __future__ import annotations

import click

from .. import cache as feature
from ..models import CacheSummary
from ..workspace import Workspace
from ._app import noun, verb

cache = noun("cache", "Results of steps, kept so that they need not run again.")


@verb(cache, "list")
def list_(workspace: Workspace) -> CacheSummary:
    """Cached steps, newest first, and what they take."""
    return feature.show(workspace)


@verb(cache, "prune", short_help="Remove what is old or too much.")
@click.option("--older-than", metavar="AGE", help="Remove what was not used for so long: 12h, 30d.")
@click.option(
    "--max-size", metavar="SIZE", help="Then what was used longest ago, down to SIZE: 500MB, 10GB."
)
@click.option(
    "--grace",
    metavar="AGE",
    default="1h",
    show_default=True,
    help="Keep what was used within this time: a run may be about to need it.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
def prune(
    workspace: Workspace, older_than: str | None, max_size: str | None, grace: str, dry_run: bool
) -> CacheSummary:
    """Remove what is old or too much, and always what no cached step needs.

    Pipelines may run meanwhile: what they use stays.
    """
    return feature.prune(
        workspace,
        older_than=None if older_than is None else feature.parse_age(older_than, "--older-than"),
        max_size=None if max_size is None else feature.parse_size(max_size, "--max-size"),
        grace=feature.parse_age(grace, "--grace"),
        dry_run=dry_run,
    )


@verb(cache, "clear")
def clear(workspace: Workspace) -> CacheSummary:
    """Remove everything that no running pipeline uses."""
    return feature.clear(workspace)
