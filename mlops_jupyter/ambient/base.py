"""What an ambient provider is: it reads and sets one piece of state that belongs to no variable.

A plug-in is a subclass of :class:`Ambient` under the entry-point group ``mlops_jupyter.ambient``;
:class:`mlops_jupyter.testing.AmbientConformance` is the suite that it has to pass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any


class Unstorable(Exception):
    """The state cannot be carried to another kernel; the message says why, in a few words.

    Parameters
    ----------
    version:
        What is another one when the state changes; without it only another reason tells of that.
    """

    def __init__(self, reason: str, version: str = "") -> None:
        super().__init__(reason)
        self.version = version


class Ambient(ABC):
    """One piece of a kernel's state outside of its namespace.

    One instance serves one kernel, from before its first cell. Its methods are called between
    cells, on the thread and in the context in which cells run.

    Attributes
    ----------
    name:
        The entry point's name.
    module:
        Only asked once this module is imported; empty: always.
    reads_change:
        Whether reading the state changes it, as with random number generators.
    settles:
        Whether what first uses a library brings the state about by itself, so that steps that did
        so in different kernels do not contradict each other. It cannot be undone.
    """

    name: str
    module: str = ""
    reads_change: bool = False
    settles: bool = False

    def start(self) -> Any:
        """The state of a kernel in which nobody changed it, as :meth:`capture` would give it.

        Asked once, when the provider is first used. By then a cell may have imported the module and
        changed the state: a provider with a ``module`` gives the library's own defaults.
        """
        return self.capture()

    @abstractmethod
    def capture(self) -> Any:
        """The state now: plain data, functions and classes included; equal states, equal data.

        Raises
        ------
        Unstorable
            If it cannot be carried to another kernel.
        """

    @abstractmethod
    def restore(self, value: Any) -> None:
        """Make the state what :meth:`capture` or :meth:`start` gave, here or in another kernel.

        Raises
        ------
        Unstorable
            If this kernel cannot be brought to that state.
        """


class Refused(Ambient):
    """State that is never carried: fine as it was at the start, else unstorable."""

    def start(self) -> None:
        """Nothing."""

    def capture(self) -> None:
        """Nothing, as long as the state is the start's.

        Raises
        ------
        Unstorable
            If it is not.
        """
        reason = self.changed()
        if reason:
            raise Unstorable(reason)

    def restore(self, value: None) -> None:
        """Undo what can be undone.

        Raises
        ------
        Unstorable
            If the state is still not the start's.
        """
        self.undo()
        self.capture()

    @abstractmethod
    def changed(self) -> str:
        """What is not as at the start, in a few words; empty: nothing."""

    def undo(self) -> None:  # most have nothing to undo
        """Bring back the start's state as far as possible."""
