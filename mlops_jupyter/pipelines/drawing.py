"""Which steps have nothing to do with the global random number generators.

A step that leaves a generator as it was has probably not used it; then its result holds whatever
state the generator is in. Who seeds it as it was seeded leaves it as it was, too: where code that
may seed can be reached, the state counts as read.
"""

from __future__ import annotations

from pathlib import Path

from .plan import SEEDS, Plan, Result


def untouched(plan: Plan, step: int, result: Result, folder: Path) -> frozenset[str]:
    """The generators (names of ambient providers) that a step neither draws from nor sets."""
    if result.trace is not None:
        return frozenset(result.trace.unread)
    changed = {*result.delta.ambient, *result.delta.live}
    left = plan.rng - changed - plan.predictions[step].ambient
    if not left or _seeds(plan, step, result) or any(map(_file_seeds, _code(result, folder))):
        return frozenset()
    return left


def _seeds(plan: Plan, step: int, result: Result) -> bool:
    """Whether the step, or code of an earlier one that it reaches, may set a generator."""
    reached = {name.partition("#")[0] for name in result.reads}
    return step in plan.seeds or any(
        code and (result.everything or not code.isdisjoint(reached))
        for earlier, code in plan.seeds.items()
        if earlier < step
    )


def _code(result: Result, folder: Path) -> set[Path]:
    """The project's own files of code that it may have run."""
    found = {*result.state.modules, *result.delta.modules}
    if result.outcome is not None and result.outcome.finished is not None:
        read = result.outcome.finished.observed.read
        found.update(path for path in read if path.endswith((".py", ".ipynb")))
    return {folder / path for path in found}


def _file_seeds(path: Path) -> bool:
    try:
        return bool(SEEDS.search(path.read_text("utf-8", "replace")))
    except OSError:
        return True
