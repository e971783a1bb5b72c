"""What each step of a notebook needs from earlier steps, and why: flow by names and by files.

A step needs, for each name that it may read before binding it, the last step before it that wrote
(or may have changed) that name. A step that may read any name (``exec``, ``globals()``, ``%run``,
unknown magics ...) needs all steps before it; where it may also bind any name, it is a barrier, and
all steps after it that read a name need it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ..models import Need, Step
from ..notebook import tags
from .knowledge import BUILTINS
from .reader import Reader
from .source import RAISES
from .steps import PARAMETERS
from .use import Use


def analyse(notebook: Any, steps: list[Step]) -> list[Step]:
    """``steps`` of ``notebook`` with what each needs from earlier ones, in the notebook's order.

    The cells must have passed :func:`mlops_jupyter.pipelines.source.check_syntax`.
    """
    return _Flow(steps).connect(uses(notebook, steps))


def uses(notebook: Any, steps: list[Step]) -> list[Use]:
    """What each step does, in the notebook's order."""
    reader = Reader()
    found = []
    for step in steps:
        reader.start()
        for index in step.cells:
            cell = notebook.cells[index]
            fails = RAISES in tags(cell)
            try:
                reader.cell(cell.source, index=index, uncertain=fails)
            except SyntaxError:
                if not fails:
                    raise
            if PARAMETERS in tags(cell):
                reader.forget_texts()
        found.append(reader.end())
    return found


class _Flow:
    """Draws edges from each step to the last writers of what it reads."""

    def __init__(self, steps: list[Step]) -> None:
        self._steps = steps
        self._writers: dict[str, dict[int, str]] = {}
        self._files: dict[str, int] = {}
        self._drawn: dict[str, int] = {}
        self._binders: dict[int, str] = {}
        self._barrier: int | None = None

    def connect(self, used: list[Use]) -> list[Step]:
        """The steps with what they need and what is special about them."""
        connected = []
        for number, (step, use) in enumerate(zip(self._steps, used, strict=True)):
            found = _Found()
            self._all_before(number, use, found)
            self._names(use, found)
            self._others(use, found)
            needs = [
                Need(self._steps[writer].name, sorted(names), sorted(files), list(why))
                for writer, (names, files, why) in sorted(found.items())
            ]
            connected.append(replace(step, needs=needs, notes=notes(use)))
            self._write(number, use)
        return connected

    def _all_before(self, number: int, use: Use, found: _Found) -> None:
        if self._barrier is not None:
            reason = f"{self._binders[self._barrier]} may bind anything"
            found[self._barrier].why.setdefault(reason)
        if not (use.everything or use.history):
            return
        reason = f"{use.everything} may read anything"
        if not use.everything:
            reason = f"{use.history} looks back at earlier cells"
        for earlier in range(self._barrier or 0, number):
            found[earlier].why.setdefault(reason)
        if use.everything:
            for name, writers in self._writers.items():
                for writer in writers:
                    found[writer].names.add(name)

    def _names(self, use: Use, found: _Found) -> None:
        for name, via in use.reads.items():
            writers = self._writers.get(name)
            if writers is None and name not in BUILTINS:
                writers = dict.fromkeys(self._binders, "")
            for writer, known in (writers or {}).items():
                how = known or f"may bind ({self._binders[writer]})"
                step = self._steps[writer].name
                found[writer].names.add(name)
                found[writer].why.setdefault(_reason(name, via, step, how))

    def _others(self, use: Use, found: _Found) -> None:
        for path in use.files_read & set(self._files):
            writer = self._files[path]
            found[writer].files.add(path)
            found[writer].why.setdefault(f"reads {path}, which {self._steps[writer].name} writes")
        for thing in sorted((use.ambient - use.restarted) & set(self._drawn)):
            writer = self._drawn[thing]
            reason = f"goes on drawing {_DRAWN[thing]} after {self._steps[writer].name}"
            found[writer].why.setdefault(reason)

    def _write(self, number: int, use: Use) -> None:
        if use.anything:
            self._binders[number] = use.anything
        if use.anything and use.everything:
            self._barrier = number
            self._binders = {number: use.anything}
            for name in self._writers:
                self._writers[name] = {number: "may bind"}
        for name in use.mutates:
            self._writers[name] = {number: "changes"}
        for name in use.binds:
            self._writers[name] = {number: "binds"}
        for name in use.may_bind - use.binds:
            if name in use.mutates:
                continue
            before = {} if name in use.reads else self._writers.get(name, {})
            self._writers[name] = {**before, number: "may bind"}
        self._files.update(dict.fromkeys(use.files_written, number))
        self._drawn.update(dict.fromkeys(use.ambient & set(_DRAWN), number))


@dataclass
class _Needed:
    """What is needed of one step; ``why`` keeps its order."""

    names: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    why: dict[str, None] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.names, self.files, self.why))


class _Found(defaultdict[int, _Needed]):
    """By the number of the needed step."""

    def __init__(self) -> None:
        super().__init__(_Needed)


def _reason(name: str, via: tuple[str, ...], step: str, how: str) -> str:
    """``calls train(), which calls clean(), which reads limit``."""
    if not via:
        return f"reads {name}, which {step} {how}"
    words = [f"calls {one}" if one.endswith("()") else f"uses {one}" for one in via]
    return ", which ".join([*words, f"reads {name}"])


def notes(use: Use) -> list[str]:
    """What is special about a step, in words for people."""
    found = []
    if use.everything and use.anything:
        found.append(f"barrier: {use.everything} may read and bind anything")
    elif use.everything:
        found.append(f"needs all steps before it: {use.everything} may read anything")
    elif use.anything:
        found.append(f"may bind more names: {use.anything}")
    if use.history:
        found.append(f"needs all steps before it in one kernel: {use.history} looks back")
    if use.surroundings:
        found.append(f"runs again in every new kernel: {use.surroundings}")
    things = [_CHANGED.get(thing, f"changes {thing}") for thing in sorted(use.ambient)]
    return found + things


_DRAWN = {
    "numpy-random": "numpy's random numbers",
    "random": "Python's random numbers",
    "torch-random": "torch's random numbers",
}
_CHANGED = {
    **{thing: f"draws or seeds {words}" for thing, words in _DRAWN.items()},
    "environment": "changes environment variables",
    "matplotlib": "changes how matplotlib draws",
    "interpreter": "changes Python's limits",
    "locale": "changes the locale",
    "logging": "changes what is logged",
    "numpy-options": "changes numpy's options",
    "pandas": "changes pandas' options",
    "path": "changes sys.path",
    "sklearn": "changes scikit-learn's options",
    "torch-options": "changes torch's defaults",
    "warnings": "changes which warnings are shown",
    "working-folder": "changes the working folder",
}
