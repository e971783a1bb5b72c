"""Why a pipeline run failed, for people: the step, the cell, the last lines of its traceback."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import notebook as notebooks
from ..errors import MLOpsError
from ..models import PipelineRun, StepResult
from ..notebook import tags
from ..redaction import plain

_REASON = re.compile(r"cell (?P<cell>\d+): (?P<error>.*)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][\w.]*(?=:|$)")
_LINES = 12


@dataclass(frozen=True)
class Failure:
    """The step that failed.

    ``cell`` is its number in the original notebook, from 1, where the reason names one; ``error``
    one line; ``trace`` the traceback's last lines without colours (none if the kernel died).
    """

    step: str
    cell: int | None
    error: str
    trace: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """Step and cell as one phrase."""
        return f"step {self.step}" + (f", cell {self.cell}" if self.cell is not None else "")

    @property
    def kind(self) -> str:
        """The exception's name, or ``StepFailed`` if none is known."""
        found = _NAME.match(self.error)
        return found[0] if found else "StepFailed"


def find(run: PipelineRun, executed: Path) -> Failure | None:
    """The failure of ``run``, or ``None`` if no step failed.

    Parameters
    ----------
    run:
        How the run ended.
    executed:
        The executed notebook; if it cannot be read, there is no traceback.
    """
    step = next((step for step in run.steps if step.status == "failed"), None)
    if step is None:
        return None
    found = _REASON.fullmatch(step.reason)
    cell, error = (int(found["cell"]), found["error"]) if found else (None, step.reason)
    return Failure(step.name, cell, error or "failed", _trace(step, executed))


def _trace(step: StepResult, executed: Path) -> tuple[str, ...]:
    try:
        cells = notebooks.read(executed).cells
    except (MLOpsError, OSError):
        return ()
    for cell in reversed(cells):
        for output in _errors(cell):
            if output.ename in step.reason:
                text = plain("\n".join(output.traceback)).strip("-\n")  # a line of hyphens first
                return tuple(line.rstrip() for line in text.splitlines()[-_LINES:])
    return ()


def _errors(cell: Any) -> list[Any]:
    """The errors that ended a cell (one that is expected to raise ends nothing)."""
    if cell.cell_type != "code" or "raises-exception" in tags(cell):
        return []
    return [output for output in cell.outputs if output.output_type == "error"]
