"""What the runner and the agent in a step kernel say to each other, as JSON.

A request is a message of type ``mlops_request`` on the kernel's shell channel, so it is taken in
order with the cells. Its content is one of the dataclasses here with its name under ``request``;
the answer is a message ``mlops_reply`` with ``answer`` (the other dataclass) or ``error``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..heap import Bundle
from .observer import Observed

REQUEST, REPLY = "mlops_request", "mlops_reply"


@dataclass(frozen=True)
class Prepare:
    """Make the kernel what a step expects.

    Attributes
    ----------
    bundles:
        What the step's names must be.
    lineages:
        All lineages that there are.
    stale:
        Names held here at a version that is not the step's; they are taken away.
    ambient:
        Ambient provider to the blob with its value; those not named get their value from the start.
    live:
        Ambient provider to the token of a state that cannot be stored and must be here already.
    imports:
        Modules that earlier steps imported, in order.
    cells:
        Execution count and source of earlier cells, for tracebacks and ``inspect``.
    count:
        The execution count of the step's first cell.
    environment:
        Variables to set, as the runner's pipeline needs them.
    seed:
        What the ids of widgets that the step makes come from.
    """

    bundles: list[Bundle]
    lineages: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    ambient: dict[str, str] = field(default_factory=dict)
    live: dict[str, str] = field(default_factory=dict)
    imports: list[str] = field(default_factory=list)
    cells: list[tuple[int, str]] = field(default_factory=list)
    count: int = 1
    environment: dict[str, str] = field(default_factory=dict)
    seed: str = ""


@dataclass(frozen=True)
class Prepared:
    """What could not be made: tokens of live bundles and ambient states that are not here."""

    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Finish:
    """Say what the step changed.

    Attributes
    ----------
    touched:
        Names that the step may have reached; ``None``: any.
    label:
        Goes into the tokens of what cannot be stored.
    again:
        Whether the step runs again only for what it leaves here: the label is taken as it is, not
        made more precise by what the step read from outside.
    unique:
        Whether what it read from outside is not known: no two executions have the same label.
    """

    touched: list[str] | None
    label: str
    again: bool = False
    unique: bool = False


@dataclass(frozen=True)
class Finished:
    """What a step changed.

    Attributes
    ----------
    bundles, deleted, bound:
        As :class:`mlops_jupyter.heap.Changes`.
    ambient:
        Provider to the blob with its new value, or ``""`` for its value from the start.
    live:
        Provider to the reason why its new state cannot be stored.
    observed:
        Files and other contact with the outside.
    label:
        The request's, made more precise.
    """

    bundles: list[Bundle]
    deleted: list[str]
    ambient: dict[str, str]
    live: dict[str, str]
    observed: Observed
    label: str
    bound: list[str] = field(default_factory=list)
    seconds: float = 0.0
