"""Reads a notebook's cells in order and tells what each step does to names and around them.

It remembers what code each name holds, which names are modules, which may stand for the same
object and which cannot change, so that what a call does can be followed into the notebook's own
functions and looked up for well-known libraries.
"""

from __future__ import annotations

import ast

from . import files
from .calling import Calling
from .events import Event
from .following import NAME
from .magic import PYTHON_CELLS, UNBOUND, Magic, cell_events, magic, python_of
from .names import events
from .source import automagic, parse
from .use import Use

_FILES = frozenset({"writefile", "file"})


class Reader(Calling):
    """Reads cells in order; :meth:`start` and :meth:`end` stand around each step's."""

    def __init__(self) -> None:
        super().__init__()
        self._constants: dict[str, str] = {}

    def start(self) -> None:
        """Begin the next step."""
        self.use = Use()
        self._number += 1
        self._bound = [set()]
        self._followed = set()
        self._visited = set()
        self._defined = []
        self._expanded = {}
        self._made = set()

    def end(self) -> Use:
        """End the step: what code defined in it may read counts as read, unless the step binds
        it."""
        for code in self._defined:
            for event in code.effects.events if code.effects else ():
                if event.kind == "read" and not self._known(event.name):
                    self.use.direct.add(event.name)
        self._ever |= self.use.binds | self.use.may_bind
        self._any = self._any or bool(self.use.anything)
        return self.use

    def cell(self, source: str, *, index: int = 0, uncertain: bool = False) -> None:
        """Read one cell of the step.

        Parameters
        ----------
        source:
            The cell's text.
        index:
            Its place in the notebook.
        uncertain:
            Whether it may stop midway without ending the notebook's run.

        Raises
        ------
        SyntaxError
            If it is not Python that IPython would run.
        """
        self._index = index
        found = magic(source)
        if found is None:
            line = automagic(source)
            if line and not self._own(NAME.findall(line)[0]):
                source = f"%{line}"
            self._python(parse(source), uncertain=uncertain)
        else:
            self._magic(found, uncertain=uncertain)

    def _magic(self, found: Magic, *, uncertain: bool) -> None:
        if found.name in UNBOUND:
            setup = parse(python_of(found.name, found.line))
            for tree in (setup, parse(found.body)):
                self._follow([event for event in events(tree) if event.kind != "bind"])
        elif found.name in PYTHON_CELLS:
            self.cell(found.body, index=self._index, uncertain=uncertain)
        elif found.name in _FILES and found.line and not set("{$") & set(found.line):
            path = files.normal(found.line.split(" ")[-1])
            if "-a" in found.line.split() and path not in self.use.files_written:
                self.use.files_read.add(path)
            self.use.files_written.add(path)
        self._follow(cell_events(found))

    def _python(self, tree: ast.Module, *, uncertain: bool) -> None:
        try:
            found = events(tree, uncertain=uncertain)
        except RecursionError:
            found = [
                Event("everything", "code too deep to be read"),
                Event("anything", "such code"),
            ]
        read, written = files.find(tree, self._constants)
        self._follow(found)
        self.use.files_read |= read - self.use.files_written
        self.use.files_written |= written
