"""What is to be run, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..models import Step, StepStatus
from .state import Delta, State

if TYPE_CHECKING:
    from .predictions import Prediction
    from .traces import Trace
    from .work import Outcome

_EXITS = {("SystemExit", ""), ("SystemExit", "0"), ("SystemExit", "None")}


@dataclass(frozen=True)
class Plan:
    """What the scheduler has to do.

    Attributes
    ----------
    notebook:
        Its name in the records.
    steps, cells, counts, codes, predictions:
        One each per step: the step, its cells with their index in the notebook, the execution
        count of its first cell, its code key, and what it may do.
    outside:
        Steps that write files or run programs: they never run ahead of others.
    looks:
        Steps that ask for files without opening them, of which nothing is heard.
    registers:
        Steps that may have left code of the notebook in a library, which may call it at any time.
    rng:
        Ambient providers that whoever reads also changes.
    """

    notebook: str
    steps: list[Step]
    cells: list[list[tuple[int, Any]]]
    counts: list[int]
    codes: list[str]
    predictions: list[Prediction]
    rng: frozenset[str]
    outside: frozenset[int] = frozenset()
    looks: frozenset[int] = frozenset()
    registers: frozenset[int] = frozenset()


@dataclass
class Result:
    """A step's result.

    Attributes
    ----------
    status:
        ``ran``, ``cached`` or ``failed``.
    without:
        Earlier steps whose changes it did not see.
    outcome, trace:
        How it ran, or what stands for its run.
    outputs:
        What it showed, as the cache has it.
    """

    status: StepStatus
    label: str
    why: str
    delta: Delta
    state: State
    without: frozenset[int]
    reads: Mapping[str, str]
    everything: bool
    outcome: Outcome | None = None
    trace: Trace | None = None
    outputs: bytes = b""
    attempts: int = 1
    seconds: float = 0.0

    @property
    def error(self) -> tuple[int, str, str] | None:
        """Cell index, exception name and message, if a cell raised or the kernel died."""
        return self.outcome.error if self.outcome is not None else None

    @property
    def ends(self) -> bool:
        """Whether the step ended the notebook, as ``SystemExit`` without a code does."""
        return self.error is not None and self.error[1:] in _EXITS
