"""How the steps of a pipeline look in a terminal: what each needs, and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from rich.markup import escape

from ..models import Step

_READS = re.compile(r"reads (?P<name>[^,]+), (?P<rest>which .+)")
_MOST = 8

Line = tuple[str, str, str, str]


def step_lines(step: Step) -> Iterator[Line]:
    """The rows of one step: its name, its cells (from 1), a needed step, and one reason."""
    lines = [
        (escape(need.step) if number == 0 else "", escape(reason))
        for need in step.needs
        for number, reason in enumerate(joined(need.why) or [""])
    ]
    lines += [("", f"[yellow]![/] {escape(note)}") for note in step.notes]
    lines += [("", f"[dim]{wish}[/]") for wish in _wishes(step)]
    head = (f"[bold]{escape(step.name)}[/]", _numbers(step.cells))
    for number, (need, reason) in enumerate(lines or [("", "")]):
        yield (*(head if number == 0 else ("", "")), need, reason)


def joined(reasons: Iterable[str]) -> list[str]:
    """Reasons that differ in the name only as one: ``reads a, b and c, which load binds``."""
    names: dict[str, list[str]] = {}
    for reason in reasons:
        found = _READS.fullmatch(reason)
        names.setdefault(found["rest"] if found else reason, [])
        if found:
            names[found["rest"]].append(found["name"])
    return [
        f"reads {_listed(sorted(read))}, {rest}" if read else rest for rest, read in names.items()
    ]


def _listed(names: list[str]) -> str:
    if len(names) > _MOST + 1:
        return f"{', '.join(names[:_MOST])} and {len(names) - _MOST} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _numbers(indices: list[int]) -> str:
    """0-based indices as numbers from 1, neighbours as a range: ``2-4, 7``."""
    parts = []
    for _, group in groupby(enumerate(indices), key=lambda pair: pair[1] - pair[0]):
        run = [index + 1 for _, index in group]
        parts.append(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}")
    return ", ".join(parts)


def _wishes(step: Step) -> list[str]:
    found = ["kept in the cache whatever it contacts"] if step.cache else []
    if step.retries:
        found.append(f"tried again up to {step.retries} times")
    if step.timeout is not None:
        found.append(f"at most {step.timeout:g} s")
    return found
