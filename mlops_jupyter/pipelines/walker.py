"""The state of walking code: which events there were, which scopes are around, what locals are."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from .events import Effects, Event, Kind, Value
from .scopes import Scope, is_local, own, stored
from .values import Values


class Walker(ast.NodeVisitor):
    """Walks code in the order of evaluation; ``scopes`` are those around, innermost last.

    Parameters
    ----------
    scopes:
        The scopes around the code.
    aliases:
        The global names and parameters whose objects each local name may stand for.
    modules:
        The modules that local names stand for.
    """

    def __init__(
        self,
        scopes: Iterable[Scope] = (),
        aliases: dict[str, frozenset[str]] | None = None,
        modules: dict[str, str] | None = None,
    ) -> None:
        self.events: list[Event] = []
        self.last: ast.stmt | None = None
        self.scopes = list(scopes)
        self.aliases = dict(aliases or {})
        self.modules = dict(modules or {})
        self.values = Values(self.origins)

    @property
    def in_function(self) -> bool:
        """Whether the code belongs to a function."""
        return any(scope.is_function for scope in self.scopes)

    def local(self, name: str) -> bool:
        """Whether a name belongs to one of the scopes around."""
        return is_local(name, self.scopes)

    def origins(self, name: str) -> frozenset[str]:
        """The global names and parameters whose object ``name`` may stand for."""
        return self.aliases.get(name, frozenset()) if self.local(name) else frozenset({name})

    def emit(self, event: Event) -> None:
        """Add an event, if its name is global; remember what a local name is bound to."""
        innermost = self.scopes[-1] if self.scopes else None
        if event.kind == "bind" and innermost is not None and innermost.is_class:
            innermost.defined.add(event.name)
        elif self.local(event.name):
            if event.kind == "bind":
                self._alias(event)
        else:
            self.events.append(event)

    def _alias(self, event: Event) -> None:
        """Remember what a local name stands for, and which module it is."""
        if event.module:
            self.modules[event.name] = event.module
        self.aliases[event.name] = event.value.shares

    def say(self, kind: Kind, reason: str) -> None:
        """Add an event about no name."""
        self.events.append(Event(kind, reason))

    def all(self, nodes: Iterable[ast.AST | None]) -> None:
        """Walk nodes one after the other."""
        for node in nodes:
            if node is not None:
                self.visit(node)

    def perhaps(self, nodes: Iterable[ast.AST | None]) -> set[str]:
        """Walk code that may not run; returns what it binds for certain when it does."""
        start = len(self.events)
        before = dict(self.aliases)
        self.events.append(Event("enter"))
        self.all(nodes)
        self.events.append(Event("leave"))
        for name, origins in before.items():
            self.aliases[name] = self.aliases.get(name, origins) | origins
        depth, bound = 0, set()
        for event in self.events[start:]:
            depth += (event.kind == "enter") - (event.kind == "leave")
            if depth == 1 and event.kind == "bind":
                bound.add(event.name)
            elif depth == 1 and event.kind == "delete":
                bound.discard(event.name)
        return bound

    def rebind(self, names: Iterable[str]) -> None:
        """Names that each of some alternatives has bound are bound for certain."""
        for name in sorted(names):
            same = Value(shares=self.origins(name), atom=frozenset(), grows=True)
            self.emit(Event("bind", name, value=same))

    def unknown(self, builtin: str, reason: str = "") -> None:
        """Something reads or binds what cannot be seen; the reader ignores a builtin to whose name
        the notebook has bound something else."""
        reason = reason or f"{builtin}()"
        self.events.append(Event("everything", reason, builtin=builtin))
        self.events.append(Event("anything", reason, builtin=builtin))
        if builtin == "get_ipython":
            self.events.append(Event("surroundings", reason, builtin=builtin))

    def mutate(self, names: Iterable[str]) -> None:
        """What these names stand for changes."""
        self.events += [Event("mutate", name) for name in sorted(names)]

    def share(self, *groups: frozenset[str]) -> None:
        """What one group of names stands for may be kept by the other."""
        names = frozenset[str]().union(*groups)
        if len(names) > 1 and all(groups):
            self.events.append(Event("share", value=Value(shares=names)))

    def bind_stored(self, target: ast.expr, value: Value, effects: Effects | None = None) -> None:
        """Bind the names in a target that takes its value apart."""
        for name in sorted(set(stored([target]))):
            self.emit(Event("bind", name, effects, value))
        siblings = frozenset(name for name in stored([target]) if not self.local(name))
        if value.calls and len(siblings) > 1:
            self.events.append(Event("share", "siblings", value=Value(shares=siblings)))
        inside = (item for item in own([target]) if isinstance(item, ast.Attribute | ast.Subscript))
        self.all(item for item in inside if not isinstance(item.ctx, ast.Load))

    def add(self, found: Iterable[Event]) -> None:
        """Events of what is not Python."""
        for event in found:
            if event.kind in ("read", "bind", "delete"):
                self.emit(event)
            else:
                self.events.append(event)
