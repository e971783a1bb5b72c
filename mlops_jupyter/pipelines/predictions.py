"""What each step will probably do, before it runs: what the scheduler plans with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import InvalidInput
from ..models import Step
from .analysis import uses
from .knowledge import BUILTINS


@dataclass(frozen=True)
class Prediction:
    """What one step may do; its run tells whether it did.

    Parameters
    ----------
    reads:
        Names that the step's text, or code that it defines, may read from before it. What
        functions of earlier steps read when they are called here is not among them.
    binds:
        Names that it may bind or delete.
    perhaps:
        Those of ``binds`` that it may also leave as they are.
    binds_more:
        Why it may bind names that the analysis cannot know (a star import, ``exec``); empty if it
        does not. Whoever reads a name that no step is known to bind needs such steps.
    mutates:
        Names from before the step whose objects it may change in place, also those that it changes
        under another name.
    everything:
        Why it may read any name; empty if it does not.
    history:
        Whether it looks back at earlier inputs and outputs: it needs all steps before it in the
        same kernel.
    surroundings:
        Why it changes the process outside of names, files and what ``ambient`` plug-ins carry;
        empty if it does not.
    registers:
        Whether what changes the process may keep code of the notebook, to call it at any time.
    ambient:
        What it changes of what they carry, by their names; drawing random numbers counts.
    files_read, files_written:
        Literal paths, as the text has them.
    imports:
        Dotted names of modules in the order of its import statements.
    input:
        Index of a cell that asks the user for input whenever it runs.
    """

    reads: frozenset[str] = frozenset()
    binds: frozenset[str] = frozenset()
    perhaps: frozenset[str] = frozenset()
    binds_more: str = ""
    mutates: frozenset[str] = frozenset()
    everything: str = ""
    history: bool = False
    surroundings: str = ""
    registers: bool = False
    ambient: frozenset[str] = frozenset()
    files_read: frozenset[str] = frozenset()
    files_written: frozenset[str] = frozenset()
    imports: tuple[str, ...] = ()
    input: int | None = None


def predict(notebook: Any, steps: list[Step]) -> list[Prediction]:
    """A prediction for each of ``steps``, in the notebook's order.

    The cells must have passed :func:`mlops_jupyter.pipelines.source.check_syntax`.
    """
    shadowed: set[str] = set()
    hidden = BUILTINS
    found = []
    for use in uses(notebook, steps):
        found.append(
            Prediction(
                reads=frozenset(use.direct - hidden),
                binds=frozenset(use.binds | use.may_bind),
                perhaps=frozenset(use.may_bind - use.binds),
                binds_more=use.anything,
                mutates=frozenset(use.mutates),
                everything=use.everything,
                history=bool(use.history),
                surroundings=use.surroundings,
                registers=use.registers,
                ambient=frozenset(use.ambient),
                files_read=frozenset(use.files_read),
                files_written=frozenset(use.files_written),
                imports=tuple(use.imports),
                input=use.input,
            )
        )
        shadowed |= (use.binds | use.may_bind) & BUILTINS
        hidden = frozenset() if use.anything else hidden - shadowed
    return found


def check_input(predictions: list[Prediction], name: str) -> None:
    """Refuse a notebook that surely asks its user for input: nobody is there to answer.

    Raises
    ------
    InvalidInput
        Naming the file and the first cell that asks (its number in the notebook, from 1).
    """
    for prediction in predictions:
        if prediction.input is not None:
            raise InvalidInput(
                f"{name}, cell {prediction.input + 1}: input() waits for somebody to answer.",
                hint="Make it a parameter: assign a default in the cell tagged `parameters`.",
            )
