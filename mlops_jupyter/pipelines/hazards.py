"""Steps that run ahead of earlier ones: when they may, and when what they did does not count."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from .drawing import untouched
from .plan import Plan, Result
from .state import Delta, State
from .work import relative


def waits(plan: Plan, step: int, state: State, without: Collection[int]) -> bool:
    """Whether a step must wait for one of the unfinished ones before it, as far as is predicted."""
    mine = plan.predictions[step]
    if mine.everything or mine.history or mine.surroundings or step in plan.outside or state.live:
        return True
    reach = set(state.reach(mine.reads))
    for earlier in without:
        other = plan.predictions[earlier]
        if (
            (other.everything or other.surroundings or other.history or other.binds_more)
            or (other.binds | other.mutates) & reach
            or (other.ambient & mine.ambient or other.ambient - plan.rng)
            or other.files_written & (mine.files_read | mine.files_written)
            or mine.files_written & other.files_read
        ):
            return True
    return False


def hazard(
    plan: Plan,
    folder: str,
    step: int,
    result: Result,
    deltas: Sequence[Delta],
    keeps: Collection[int],
) -> str | None:
    """Why the result of a step that ran ahead is not what it would be in notebook order.

    Parameters
    ----------
    deltas:
        What the committed steps changed.
    keeps:
        Those that changed their surroundings.
    """
    if result.error is not None:
        return "it failed before the steps above it were done"
    read, listed = _files(result, folder)
    alone = untouched(plan, step, result, Path(folder))
    for earlier in sorted(result.without):
        name, delta = plan.steps[earlier].name, deltas[earlier]
        found = (
            _names(delta, result)
            or _ambient(delta, result, alone)
            or ("its surroundings" if earlier in keeps else "")
            or _written(delta, read, listed, looks=bool(plan.looks))
        )
        if found:
            return f"{name} changed {found}"
    return None


def _names(delta: Delta, result: Result) -> str:
    if result.everything and delta.names:
        return min(delta.names)
    return min(delta.names & set(result.reads), default="").partition("#")[0]


def _ambient(delta: Delta, result: Result, untouched: frozenset[str]) -> str:
    changed = sorted({*delta.ambient, *delta.live} - untouched)
    if changed:
        return changed[0]
    if delta.modules and dict(delta.modules) != dict(result.delta.modules):
        return "the modules"
    return ""


def _written(delta: Delta, read: set[str], listed: set[str], *, looks: bool) -> str:
    if delta.written and looks:
        return f"the file {min(delta.written)}"
    for path in sorted(delta.written):
        if path in read or Path(path).parent.as_posix() in listed:
            return f"the file {path}"
    return ""


def _files(result: Result, folder: str) -> tuple[set[str], set[str]]:
    """Files that a step read or wrote, and folders that it listed."""
    written = set(result.delta.written)
    if result.trace is not None:
        return {*result.trace.files, *written}, set(result.trace.listed)
    if result.outcome is None or result.outcome.finished is None:
        return written, set()
    observed, place = result.outcome.finished.observed, Path(folder)
    read = {relative(path, place) for path in observed.read}
    return read | written, {relative(path, place) for path in observed.listed}
