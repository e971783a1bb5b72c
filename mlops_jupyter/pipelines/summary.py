"""Pipeline runs and sweeps in Markdown, as a CI server's summary page shows them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ..errors import MLOpsError
from ..models import PipelineRun, StepResult, Sweep
from ..workspace import os_errors
from .failures import Failure

LIMIT = 1 << 20  # bytes that GitHub takes of one job step's summary
_MARKS = {"succeeded": "✅", "failed": "❌", "cancelled": "🛑"}
_STEP_MARKS = {"ran": "✅", "cached": "♻️", "failed": "❌", "skipped": "⏭️"}
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~#])")


def markdown(run: PipelineRun, failure: Failure | None = None) -> str:
    """One run: how it ended, parameters, steps, the error, where the executed notebook is."""
    parts = [_head(run.notebook, run.status, run.seconds)]
    if run.parameters:
        parts.append(_table(("Parameter", "Value"), run.parameters.items()))
    rows = (
        (
            step.name,
            f"{_STEP_MARKS.get(step.status, '')} {step.status}".strip(),
            _seconds(step.seconds),
            _why(step),
        )
        for step in run.steps
    )
    parts.append(_table(("Step", "Status", ">Time", "Why"), rows))
    if run.error:
        parts.append(_error(run.error, failure))
    if run.output:
        parts.append(f"Executed notebook: {_escape(run.output)}")
    if run.run_id:
        parts.append(f"MLflow run: {_escape(run.run_id)}")
    return "\n\n".join(parts) + "\n"


def broken(notebook: str, error: MLOpsError) -> str:
    """A notebook that could not start."""
    return f"{_head(notebook, 'failed', None)}\n\n{_error(str(error), None)}\n"


def sweep(found: Sweep) -> str:
    """A sweep: its runs as one table, those with the best metric first."""
    parts = [_head(found.notebook, found.status, found.seconds)]
    names = list(dict.fromkeys(name for run in found.runs for name in run.parameters))
    metrics = list(dict.fromkeys(name for run in found.runs for name in run.metrics))
    rows = (
        (
            run.number,
            *(run.parameters.get(name) for name in names),
            f"{_MARKS.get(run.status, '')} {run.status}".strip(),
            _seconds(run.seconds),
            f"{run.ran} / {run.cached}",
            *(f"{run.metrics[name]:.4g}" if name in run.metrics else "" for name in metrics),
            run.error or run.output,
        )
        for run in found.runs
    )
    heads = ("Run", *names, "Status", ">Time", "Ran / cached", *(f">{n}" for n in metrics), "")
    parts.append(_table(heads, rows))
    if len(found.runs) < found.total:
        parts.append(f"{found.total - len(found.runs)} of {found.total} did not run.")
    return "\n\n".join(parts) + "\n"


def append(text: str, file: Path, limit: int = LIMIT) -> bool:
    """Append ``text`` to ``file`` (as ``GITHUB_STEP_SUMMARY`` is meant to be used), cut at a line's
    end so that the file keeps below ``limit`` bytes.

    Returns
    -------
    bool
        Whether all of it had room.

    Raises
    ------
    Unavailable
        If it cannot be written.
    """
    raw = text.encode()
    with os_errors(file.name), file.open("ab") as stream:
        begun = stream.tell()
        if begun:
            raw = b"\n" + raw
        room = limit - begun
        if len(raw) <= room:
            stream.write(raw)
            return True
        note = b"\n\n(cut: the summary is too long)\n"
        if len(note) <= room:
            kept = raw[: room - len(note)]
            stream.write(_closed(kept[: kept.rfind(b"\n") + 1]) + note)
        return False


def _closed(kept: bytes) -> bytes:
    """``kept`` without a code block that was cut in two."""
    fences = [found.start() for found in re.finditer(rb"(?m)^`{3,}", kept)]
    return kept[: fences[-1]] if len(fences) % 2 else kept


def _why(step: StepResult) -> str:
    again = f"{step.attempts} attempts" if step.attempts > 1 else ""
    return "; ".join(part for part in (again, step.reason) if part)


def _head(notebook: str, status: str, seconds: float | None) -> str:
    after = f" in {_seconds(seconds)}" if seconds is not None else ""
    return f"### {_MARKS.get(status, '')} {_escape(notebook)}: {status}{after}".replace("  ", " ")


def _table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    names = list(heads)
    lines = [
        "| " + " | ".join(_escape(name.removeprefix(">")) for name in names) + " |",
        "|" + "|".join("---:" if name.startswith(">") else "---" for name in names) + "|",
    ]
    lines += ["| " + " | ".join(_escape(str(item)) for item in row) + " |" for row in rows]
    return "\n".join(lines)


def _error(error: str, failure: Failure | None) -> str:
    """The error as a code block, fenced with more backticks than are in it."""
    if failure is None:
        title, text = "Error", error
    else:
        title = f"Error in {_escape(failure.where)}"
        text = "\n".join(failure.trace or (failure.error,))
    longest = max((len(found) for found in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"**{title}**\n\n{fence}text\n{text}\n{fence}"


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} s"
