"""What names stand for, as far as a notebook's text tells: code, modules, shared objects."""

from __future__ import annotations

import builtins
from collections.abc import Collection
from dataclasses import dataclass

from . import libraries
from .arguments import actual
from .events import Call, Effects, Event, Kind, Value, is_parameter
from .methods import STATEFUL
from .scopes import first
from .shares import Shares
from .use import Use

BUILTINS = frozenset({*dir(builtins), "display", "get_ipython", "exit", "quit", "__name__"})
_MOST_PARTS = 50


@dataclass(eq=False)
class Code:
    """Code that a value holds: its own ``effects``, and that of other values."""

    step: int
    effects: Effects | None = None
    parts: tuple[Code, ...] = ()
    makes: bool = False
    name: str = ""


class Knowledge:
    """What names stand for at a place of the notebook, and what the step has bound so far."""

    def __init__(self) -> None:
        self.use = Use()
        self._number = -1
        self._code: dict[str, Code] = {}
        self._methods: dict[str, list[Effects]] = {}
        self._modules: dict[str, str] = {}
        self._atoms: set[str] = set()
        self._texts: dict[str, str] = {}
        self._once: dict[str, tuple[Event, ...]] = {}
        self._stateful: set[str] = set()
        self._drawing: set[str] = set()
        self._shares = Shares()
        self._ever: set[str] = set()
        self._bound: list[set[str]] = [set()]
        self._visited: set[str] = set()
        self._defined: list[Code] = []

    def forget_texts(self) -> None:
        """Names that were given literal texts may be given others before they are used."""
        self._texts.clear()

    def _known(self, name: str) -> bool:
        return any(name in bound for bound in self._bound)

    def _own(self, name: str) -> bool:
        """Whether the notebook has bound the name so far."""
        return name in self._ever or name in self.use.binds or name in self.use.may_bind

    def _path(self, path: str) -> str:
        """A path in full: ``numpy.random.seed`` for ``np.random.seed``."""
        name = first(path)
        return self._modules[name] + path[len(name) :] if name in self._modules else path

    def _bind(self, event: Event) -> None:
        name, certain = event.name, len(self._bound) == 1
        if event.value.grows:
            if not self._is_atom(event.value):
                self._atoms.discard(name)
            self._texts.pop(name, None)
            if event.value.holds:
                self._hold_code(event, certain=certain)
        else:
            self._rebind(event, certain=certain)
        self._visited.discard(name)
        self._bound[-1].add(name)
        (self.use.binds if certain else self.use.may_bind).add(name)

    def _rebind(self, event: Event, *, certain: bool) -> None:
        """A name stands for something new, for certain or maybe."""
        name, value = event.name, event.value
        plain = not (event.module or event.effects)
        atom = plain and event.kind == "bind" and self._is_atom(value)
        shares, once, stateful, drawing = self._result(value)
        self._hold_code(event, certain=certain)
        if not event.module:
            self._modules.pop(name, None)
        elif certain or not self._own(name):
            self._modules[name] = event.module
        if name in shares:  # a = a[0]
            shares |= self._shares.group(name)
        if certain:
            self._shares.leave(name)
        _mark(self._stateful, name, stateful, certain=certain)
        _mark(self._drawing, name, drawing, certain=certain)
        was_atom = certain or name in self._atoms or not self._own(name)
        _mark(self._atoms, name, atom and was_atom, certain=True)
        if plain and not atom:
            self._join({name, *shares})
        if once:
            self._once[name] = value.parts
        elif certain:
            self._once.pop(name, None)
        self._texts.pop(name, None)
        if certain and value.text is not None:
            self._texts[name] = value.text

    def _is_atom(self, value: Value) -> bool:
        return value.atom is not None and value.atom <= self._atoms

    def _join(self, names: Collection[str]) -> None:
        """All of these may share from now on."""
        able = sorted(name for name in names if self._can_share(name))
        for other in able[1:]:
            self._shares.join(able[0], other)

    def _can_share(self, name: str) -> bool:
        code = self._code.get(name)
        is_code = code is not None and code.effects is not None
        return not (is_parameter(name) or name in self._modules or name in self._atoms or is_code)

    def _result(self, value: Value) -> tuple[set[str], bool, bool, bool]:
        """Of a value: what it may share, whether it is read once, keeps state, draws numbers."""
        shares, once = set(value.shares), value.once
        stateful, drawing = bool(value.shares & self._stateful), bool(value.shares & self._drawing)
        for call in value.calls:
            path = self._path(call.library or call.path)
            root = first(call.path)
            code = self._code.get(root)
            given = {other for argument in call.arguments for other in argument.names}
            if code is not None and call.path == root:
                shares |= self._given_back(code, call, given)
                lazy = any(part.effects.once for part in definitions(code))
                once = once or (lazy and not value.awaited)
            elif root in self._modules or call.library:
                if libraries.looks_into(path):
                    shares |= given
                once = once or libraries.once(path)
                drawing = drawing or libraries.draws(path, call)
            elif not code and call.path == root and root not in BUILTINS:
                shares |= given
            drawing = drawing or bool(given & self._drawing and call.method[:1].isupper())
            stateful = stateful or path.startswith(STATEFUL)
        return shares, once, stateful, drawing

    def _given_back(self, code: Code, call: Call, given: set[str]) -> set[str]:
        """What the result of calling the notebook's own function or class may share."""
        found: set[str] = set()
        for part in definitions(code):
            if part.effects.methods or part.makes:
                found |= given
            values = actual(part.effects, call)
            for name in part.effects.returns:
                found |= values.get(name, frozenset()) if is_parameter(name) else {name}
        return found if code.effects or code.parts else given

    def _hold_code(self, event: Event, *, certain: bool) -> None:
        """What code the name holds from now on."""
        name, value = event.name, event.value
        held = [self._code[other] for other in value.holds if other in self._code]
        made = [self._code[other] for other in value.made_by if other in self._code]
        lazy = [] if value.awaited else [code for code in made if _is_lazy(code)]
        parts = [*held, *(code for code in made if code.makes), *lazy]
        if value.handle and not self._own(value.handle):
            parts.append(Code(self._number, _handle_effects(f"{value.handle}()")))
        if event.module == "__main__":
            parts.append(Code(self._number, _handle_effects("__main__")))
        makes = event.effects.makes if event.effects else any(code.makes for code in held)
        if event.effects:
            code = self._define(event.effects, tuple(parts), name)
        elif parts:
            alias = len(parts) == 1 and parts[0].makes == makes
            code = parts[0] if alias else Code(self._number, None, tuple(parts), makes, name)
        else:
            if certain:
                self._code.pop(name, None)
            return
        before = self._code.get(name)
        if not certain and before is not None and before is not code:
            code = Code(self._number, None, (before, code), makes or before.makes, name)
        self._code[name] = code

    def _define(self, effects: Effects, parts: tuple[Code, ...], name: str) -> Code:
        code = Code(self._number, effects, parts, effects.makes, name)
        self._defined.append(code)
        for method, its_effects in effects.methods.items():
            self._methods.setdefault(method, []).append(its_effects)
        return code


def _mark(marks: set[str], name: str, marked: bool, *, certain: bool) -> None:
    if marked:
        marks.add(name)
    elif certain:
        marks.discard(name)


def definitions(code: Code) -> list[Defined]:
    """The functions and classes among a value's code."""
    found: list[Defined] = []
    pending, seen = [code], set[int]()
    while pending and len(seen) < _MOST_PARTS:
        one = pending.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if one.effects is not None:
            found.append(Defined(one.effects, one.makes))
        else:
            pending += one.parts
    return found


def _handle_effects(handle: str) -> Effects:
    """What whoever has the namespace or the shell in hand may do."""
    kinds: list[Kind] = ["everything", "anything"]
    if handle == "get_ipython()":
        kinds.append("surroundings")
    return Effects(tuple(Event(kind, handle) for kind in kinds))


def _is_lazy(code: Code) -> bool:
    """Whether calling it gives something that runs later: a generator or coroutine."""
    return any(part.effects.once for part in definitions(code))


@dataclass(frozen=True)
class Defined:
    """A function or class, and whether calling it gives a value that holds its code."""

    effects: Effects
    makes: bool
