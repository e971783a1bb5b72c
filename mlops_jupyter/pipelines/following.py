"""Follows what happens in a step: reads into the code that values hold, changes into aliases."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

from . import libraries, magic
from .events import Event, Kind, is_parameter
from .knowledge import BUILTINS, Code, Knowledge
from .scopes import first

HISTORY = re.compile(r"_{1,3}|_i{0,3}\d*|_[iod]h|In|Out|_exit_code|__annotations__")
NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_STAR = re.compile(r"from (\S+) import \*")
_LONGEST = 4


class Following(Knowledge, ABC):
    """Turns events into a step's :class:`~.use.Use`."""

    def __init__(self) -> None:
        super().__init__()
        self._imported: set[str] = set()
        self._stars: list[str] = []
        self._any = False
        self._followed: set[int] = set()
        self._expanded: dict[str, int] = {}

    @abstractmethod
    def _call(self, event: Event, via: tuple[str, ...] = (), *, surely: bool) -> None:
        """What a call does."""

    def _follow(self, happened: list[Event]) -> None:
        for event in happened:
            if event.kind == "enter":
                self._bound.append(set())
            elif event.kind == "leave":
                if self._bound.pop():
                    self._visited.clear()
                    self._followed.clear()
            elif event.kind == "read":
                self._read(event.name)
            elif event.kind in ("bind", "delete"):
                self._bind(event)
            elif event.kind == "call":
                self._call(event, surely=len(self._bound) == 1)
            else:
                self._fact(event, ())

    def _needs(self, name: str, via: tuple[str, ...], *, direct: bool) -> None:
        """A name is read from before the step."""
        if HISTORY.fullmatch(name) and not self._own(name):
            self.use.history = self.use.history or name
            return
        if direct:
            self.use.direct.add(name)
        before = self.use.reads.get(name)
        if before is None or len(via) < len(before):
            self.use.reads[name] = via

    def _read(self, name: str) -> None:
        """Reading a name may run the code that its value holds, and what that calls in turn.

        What a generator reads when it is consumed counts as read directly: nobody can look into
        it at run time.
        """
        pending: list[tuple[str, tuple[str, ...], bool]] = [(name, (), True)]
        while pending:
            current, via, direct = pending.pop()
            if not self._known(current):
                self._needs(current, via, direct=direct)
            if current in self._visited:
                continue
            self._visited.add(current)
            lazy = current in self._once or (direct and bool(via))
            if current in self._once:
                self._mutate(current, alone=True)
                parts = [event for event in self._once[current] if event.kind == "read"]
                pending += [(event.name, (*via, current), True) for event in parts]
            held = self._code.get(current)
            label = f"{current}()" if held and held.effects and held.name else current
            further = via if len(via) >= _LONGEST else (*via, label)
            for code in self._reachable(held):
                found = self._run(code, further)
                here = lazy or code.step == self._number
                pending += [(other, further, here) for other in found]

    def _reachable(self, code: Code | None) -> list[Code]:
        """A value's code and that of all it holds, what this step has not followed yet."""
        found, pending = [], [code] if code else []
        while pending:
            one = pending.pop()
            if id(one) not in self._followed:
                self._followed.add(id(one))
                found.append(one)
                pending += one.parts
        return found

    def _run(self, code: Code, via: tuple[str, ...]) -> list[str]:
        """What happens outside of it when code runs; returns the names that it reads."""
        names = []
        for event in code.effects.events if code.effects else ():
            if event.kind == "read":
                names.append(event.name)
            elif event.kind in ("bind", "delete"):
                self._bound.append(set())
                self._bind(event)
                self._bound.pop()
            elif event.kind == "call":
                self._call(event, via, surely=False)
            else:
                self._fact(event, via)
        return names

    def _fact(self, event: Event, via: tuple[str, ...]) -> None:
        """Anything but reads, binds and calls."""
        if event.builtin and self._own(event.builtin):
            return
        if event.kind == "mutate":
            self._mutate(event.name)
        elif event.kind == "mention":
            self._mention(event.name)
        elif event.kind == "share":
            if event.name != "siblings" or event.value.shares <= self._stateful:
                self._join(event.value.shares)
        elif event.kind == "store":
            self._store(event, via)
        elif event.kind == "import":
            self._imported.add(event.name.partition(".")[0])
            self.use.imports.setdefault(event.name)
        elif event.kind == "ambient":
            self.use.ambient.add(event.name)
        else:
            self._remark(event.kind, event.name, via)

    def _remark(self, kind: Kind, reason: str, via: tuple[str, ...] = ()) -> None:
        """Keep the first reason of a kind."""
        use = self.use
        words = f"{reason} in {via[-1]}" if via and via[-1] != reason else reason
        if kind == "everything":
            use.everything = use.everything or words
        elif kind == "anything":
            star = _STAR.fullmatch(reason)
            self._stars += [star[1]] if star else []
            use.anything = use.anything or words
            self.forget_texts()
        elif kind == "history":
            use.history = use.history or words
        elif kind == "surroundings":
            use.surroundings = use.surroundings or words
            use.registers = use.registers or not magic.is_setting(reason)

    def _mention(self, text: str) -> None:
        """Names in a text that other code may look up."""
        for name in dict.fromkeys(NAME.findall(text)):
            if self._own(name) or (self._any and name not in BUILTINS):
                self._read(name)

    def _mutate(self, name: str, *, alone: bool = False) -> None:
        """What a name stands for changes; ``alone``: not what it looks into."""
        if is_parameter(name) or name in self._modules or name in self._atoms:
            return
        if not self._known(name):
            self.use.mutates.add(name)
            self._needs(name, (), direct=True)
        size = self._shares.size(name)
        if not (alone or name in self._once) and size and self._expanded.get(name) != size:
            self._expanded[name] = size
            others = (other for other in self._shares.group(name) if not self._known(other))
            self.use.mutates.update(others)

    def _store(self, event: Event, via: tuple[str, ...]) -> None:
        """An attribute or item of what may be a module is set."""
        name = first(event.name)
        path = event.name if event.module else self._path(event.name)
        if not event.module and name not in self._modules:
            return
        ambient = libraries.ambient(path, None)
        self.use.ambient |= ambient
        if not ambient:
            self._remark("surroundings", f"{event.name} = ...", via)
