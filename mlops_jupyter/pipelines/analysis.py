"""What each step of a notebook needs from earlier steps: data flow by names and by files.

A step needs, for each name that it may read before binding it, the last step before it that wrote
(or may have changed) that name. What cannot be known (``exec``, ``eval``, star imports,
``globals()``, ``%run`` and unknown magics) makes a step a barrier: it needs all steps before it,
and all steps after it need it. Not seen: changes through another name of the same object, and
changes a function makes to its arguments.
"""

from __future__ import annotations

import ast
import builtins
import re
from dataclasses import dataclass, field, replace
from typing import Any

from ..models import Need, Step
from ..notebook import tags
from . import files as file_use
from .events import Effects, Event
from .magic import FOREIGN_CELLS, PYTHON_CELLS, magic
from .names import events
from .source import RAISES, parse

_AMBIENT = frozenset({*dir(builtins), "display", "get_ipython", "exit", "quit", "__name__"})
_HISTORY = re.compile(r"_{1,3}|_i{0,3}\d*|_[io]h|In|Out")
_NOTHING = Effects()


@dataclass
class Use:
    """What a step does to names and files that exist outside of it.

    ``reads`` are read before the step binds them; ``binds`` for certain, ``may_bind`` not;
    ``mutates`` what was there before.
    """

    reads: set[str] = field(default_factory=set)
    binds: set[str] = field(default_factory=set)
    may_bind: set[str] = field(default_factory=set)
    mutates: set[str] = field(default_factory=set)
    barrier: bool = False
    files_read: set[str] = field(default_factory=set)
    files_written: set[str] = field(default_factory=set)


def analyse(notebook: Any, steps: list[Step]) -> list[Step]:
    """``steps`` of ``notebook`` with what each needs from earlier ones, in the notebook's order.

    The cells must have passed :func:`mlops_jupyter.pipelines.source.check_syntax`.
    """
    return _connect(steps, uses(notebook, steps))


def uses(notebook: Any, steps: list[Step]) -> list[Use]:
    """What each step does, in the notebook's order."""
    reader = _Reader()
    found = []
    for step in steps:
        reader.start()
        for index in step.cells:
            cell = notebook.cells[index]
            try:
                reader.cell(cell.source)
            except SyntaxError:
                if RAISES not in tags(cell):
                    raise
        found.append(reader.use)
    return found


class _Reader:
    """Reads cells in order; remembers what code each name holds and which names are modules."""

    def __init__(self) -> None:
        self._code: dict[str, Effects] = {}
        self._modules: set[str] = set()
        self._constants: dict[str, str] = {}
        self.start()

    def start(self) -> None:
        """Begin the next step."""
        self.use = Use()
        self._bound: list[set[str]] = [set()]

    def cell(self, source: str) -> None:
        """Read one cell of the step."""
        found = magic(source)
        if found is None:
            self._python(parse(source))
        elif found.name == "timeit":
            kept = [event for event in events(parse(found.body)) if event.kind != "bind"]
            self._follow(kept)
        elif found.name in PYTHON_CELLS:
            self.cell(found.body)
            if found.name == "capture" and found.line.partition(" ")[0].isidentifier():
                self._follow([Event("bind", found.line.partition(" ")[0])])
        elif found.name in FOREIGN_CELLS:
            names = re.findall(r"--(?:out|err|proc)[ =]+([A-Za-z_]\w*)", found.line)
            self._follow([Event("bind", name) for name in names])
            if found.name in ("writefile", "file"):
                self.use.files_written.add(file_use.normal(found.line.split(" ")[-1]))
        else:
            self.use.barrier = True

    def _python(self, tree: ast.Module) -> None:
        self._follow(events(tree))
        read, written = file_use.find(tree, self._constants)
        self.use.files_read |= read - self.use.files_written
        self.use.files_written |= written

    def _follow(self, happened: list[Event]) -> None:
        for event in happened:
            if event.kind == "enter":
                self._bound.append(set())
            elif event.kind == "leave":
                self._bound.pop()
            elif event.kind == "barrier":
                self.use.barrier = True
            elif event.kind == "read":
                self._read(event.name)
            elif event.kind == "mutate":
                self._mutate(event.name)
            else:
                self._bind(event)

    def _known(self, name: str) -> bool:
        return any(name in bound for bound in self._bound)

    def _read(self, name: str) -> None:
        """Reading a name may run the code that its value holds, and what that calls in turn."""
        pending, seen = [name], set[str]()
        while pending:
            current = pending.pop()
            if current in seen:
                continue
            seen.add(current)
            if not self._known(current):
                self.use.reads.add(current)
            code = self._code.get(current, _NOTHING)
            pending += code.reads
            for changed in code.mutates:
                self._mutate(changed)
            for bound in code.binds - self._bound[0]:
                self.use.may_bind.add(bound)
            self.use.barrier |= code.barrier

    def _mutate(self, name: str) -> None:
        if name not in self._modules and not self._known(name):
            self.use.mutates.add(name)
            self.use.reads.add(name)

    def _bind(self, event: Event) -> None:
        name, certain = event.name, len(self._bound) == 1
        code = event.effects or _NOTHING
        for other in event.holds:
            code |= replace(self._code.get(other, _NOTHING), makes=False)
        for other in event.calls:
            made = self._code.get(other, _NOTHING)
            code |= replace(made, makes=False) if made.makes else _NOTHING
        if event.effects is None:
            aliases = [self._code[other] for other in event.holds if other in self._code]
            code = replace(code, makes=any(alias.makes for alias in aliases))
        self._code[name] = code if certain else self._code.get(name, _NOTHING) | code
        (self._modules.add if event.module else self._modules.discard)(name)
        self._bound[-1].add(name)
        (self.use.binds if certain else self.use.may_bind).add(name)


def _connect(steps: list[Step], used: list[Use]) -> list[Step]:
    """Edges from each step to the last writers of what it reads."""
    writers: dict[str, list[int]] = {}
    file_writers: dict[str, int] = {}
    barrier: int | None = None
    connected = []
    for number, (step, use) in enumerate(zip(steps, used, strict=True)):
        unknown = use.reads - set(writers) - _AMBIENT
        is_barrier = use.barrier or any(_HISTORY.fullmatch(name) for name in unknown)
        names: dict[int, set[str]] = {}
        files: dict[int, set[str]] = {}
        if barrier is not None:
            names[barrier] = set(unknown)
        if is_barrier:
            names.update({earlier: names.get(earlier, set()) for earlier in range(number)})
        for name in set(writers) if is_barrier else use.reads:
            for writer in writers.get(name, ()):
                names.setdefault(writer, set()).add(name)
        for path in use.files_read & set(file_writers):
            files.setdefault(file_writers[path], set()).add(path)
        needs = [
            Need(steps[writer].name, sorted(names.get(writer, ())), sorted(files.get(writer, ())))
            for writer in sorted({*names, *files})
        ]
        connected.append(replace(step, needs=needs))
        if is_barrier:
            barrier = number
            writers = {name: [number] for name in {*writers, *use.binds, *use.may_bind}}
        for name in use.binds | use.mutates:
            writers[name] = [number]
        for name in use.may_bind - use.binds - use.mutates:
            writers.setdefault(name, []).append(number)
        file_writers.update(dict.fromkeys(use.files_written, number))
    return connected
