"""What may happen to names: the facts that the analysis works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["read", "bind", "delete", "mutate", "barrier", "enter", "leave"]


@dataclass(frozen=True)
class Effects:
    """What code that a value holds may do to global names when it runs.

    ``makes`` tells that calling it gives a value that holds the same code: a class, or a function
    with functions inside.
    """

    reads: frozenset[str] = frozenset()
    binds: frozenset[str] = frozenset()
    mutates: frozenset[str] = frozenset()
    barrier: bool = False
    makes: bool = False

    def __or__(self, other: Effects) -> Effects:
        return Effects(
            self.reads | other.reads,
            self.binds | other.binds,
            self.mutates | other.mutates,
            self.barrier or other.barrier,
            self.makes or other.makes,
        )


@dataclass(frozen=True)
class Event:
    """One thing that happens to ``name``.

    A bind has ``effects`` if the value is a function or class, ``holds`` names of which the value
    may keep the code (an alias, an argument), ``calls`` names that were called to make it, and
    ``module`` if it is an import.
    """

    kind: Kind
    name: str = ""
    effects: Effects | None = None
    holds: frozenset[str] = frozenset()
    calls: frozenset[str] = frozenset()
    module: bool = False
