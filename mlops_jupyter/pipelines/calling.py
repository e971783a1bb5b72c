"""What calls do: of well-known libraries, of the notebook's own functions, of methods."""

from __future__ import annotations

import re

from . import libraries
from .arguments import actual, given, gives_names, names_of, substituted, with_receiver
from .events import Argument, Call, Effects, Event
from .following import Following
from .knowledge import Code, definitions
from .methods import FITTING, PURE, STORING
from .scopes import first

_CONSTRUCTED = re.compile(r"(.*\.[A-Z]\w*\(\))\.\w+")
_SEEDS = re.compile(r"(manual_)?seed(_all|_everything)?|set_state|set_rng_state")
_DEEPEST = 25


class Calling(Following):
    """Adds what calls do."""

    def __init__(self) -> None:
        super().__init__()
        self._index = 0
        self._made: set[str] = set()

    def _call(self, event: Event, via: tuple[str, ...] = (), *, surely: bool) -> None:
        call = event.call
        if call is None:
            return
        name = first(call.path)
        path = call.library or self._path(call.path)
        library = bool(call.library) or name in self._modules
        if library or not self._own(name):
            self._library_call(call, path, via, library=library, surely=surely)
        self._texts_of(call, path, via)
        for argument in call.arguments:
            if argument.names & self._stateful:
                self._mutate_all(argument.names & self._stateful)
        if call.method in FITTING or call.method[:1].islower():
            drawing = {n for argument in call.arguments for n in argument.names} & self._drawing
            if drawing or (call.receivers & self._drawing and call.method in FITTING):
                self.use.ambient.add("numpy-random")
            sampling = call.method == "sample" and not call.receivers & self._stateful
            state = call.argument(-1, "random_state")
            if sampling and not library and (state is None or state.constant == "None"):
                self.use.ambient.add("numpy-random")
        if not library and (not via or gives_names(call)):
            self._own_call(call, name)

    def _mutate_all(self, names: set[str] | frozenset[str]) -> None:
        for name in sorted(names):
            self._mutate(name)

    def _library_call(
        self, call: Call, path: str, via: tuple[str, ...], *, library: bool, surely: bool
    ) -> None:
        use = self.use
        for full in [path] if library else [f"{module}.{path}" for module in self._stars]:
            found = libraries.ambient(full, call)
            constructed = _CONSTRUCTED.fullmatch(full)
            if constructed and constructed[1] in self._made and call.method in FITTING:
                found.add("numpy-random")
            if libraries.draws(full, call):
                self._made.add(f"{full}()")
            if _SEEDS.fullmatch(call.method):
                use.restarted |= found - use.ambient
            use.ambient |= found
            for kind, reason in libraries.reasons(full, call).items():
                self._remark(kind, reason, via)
            if libraries.unpickles(full):
                for definition in [n for n, code in self._code.items() if code.effects is not None]:
                    self._read(definition)
        for argument in libraries.changed(path, call) if library or "." not in path else ():
            self._mutate_all(argument.names)
            self._join(names_of(call))
            if path in ("setattr", "delattr") and argument.names & set(self._modules):
                self._remark("surroundings", f"{path}() on a library", via)
        if path in ("input", "getpass.getpass") and surely and use.input is None:
            use.input = self._index

    def _texts_of(self, call: Call, path: str, via: tuple[str, ...]) -> None:
        """Texts given to calls may name variables."""
        for argument in call.arguments:
            text = argument.text or ""
            if "__main__" in text:
                self._remark("everything", f"{call.path}() with a text that says __main__", via)
            if "@" in text or "~" in text:
                self._mention(text)
        named = libraries.names_in(path, call, frozenset(self._imported))
        if named is None or named.constant is not None:
            return
        literal = named.text if named.text is not None else self._literal(named)
        if literal is not None:
            self._mention(literal)
        else:
            name = call.path.lstrip(".")
            self._remark("everything", f"{name}() of a text made at run time", via)

    def _literal(self, argument: Argument) -> str | None:
        """The text of a name that was assigned one literal string."""
        names = list(argument.names)
        return self._texts.get(names[0]) if len(names) == 1 else None

    def _own_call(self, call: Call, name: str) -> None:
        """A call of the notebook's own function, or of a method."""
        if call.path == name:
            code = self._code.get(name)
            self._change_by(code, call, set(), 0)
        elif call.path:
            self._method_call(call)

    def _change_by(
        self, code: Code | None, call: Call, seen: set[tuple[int, Call]], depth: int
    ) -> None:
        """Arguments that calling a value's functions, or its class, changes."""
        for part in definitions(code) if code else ():
            start = part.effects.methods.get("__init__")
            if start is not None:
                self._change_arguments(start, with_receiver(call), seen, depth)
            else:
                self._change_arguments(part.effects, call, seen, depth)

    def _method_call(
        self, call: Call, seen: set[tuple[int, Call]] | None = None, depth: int = 0
    ) -> None:
        seen = set() if seen is None else seen
        method = call.method
        inplace = call.argument(-1, "inplace")
        own = [effects for effects in self._methods.get(method, ()) if effects.parameters]
        changes = method not in PURE or (inplace is not None and inplace.constant != "False")
        if own:
            changes = changes and not self._only_own(call)
            for effects in own:
                self._change_arguments(effects, with_receiver(call), seen, depth + 1)
        receivers = call.receivers
        if changes or receivers & self._stateful:
            self._mutate_all(receivers)
            if method in STORING and not receivers & self._stateful:
                self._join(names_of(call))
        if method in ("shuffle", "Shuffle") and call.arguments:
            self._mutate_all(call.arguments[0].names)

    def _only_own(self, call: Call) -> bool:
        """Whether the receiver is certainly an instance of a class that the notebook defines."""
        codes = [self._code.get(name) for name in call.receivers]
        return bool(codes) and all(
            code is not None and any(part.effects.methods for part in definitions(code))
            for code in codes
        )

    def _change_arguments(
        self, effects: Effects, call: Call, seen: set[tuple[int, Call]], depth: int
    ) -> None:
        """Arguments of a call that the called function's body changes, itself or by calling on."""
        if depth > _DEEPEST or (id(effects), call) in seen:
            return
        seen.add((id(effects), call))
        values = actual(effects, call)
        if not values:
            return
        for parameter in effects.changed:
            self._mutate_all(values.get(parameter, frozenset()))
        for event in effects.events:
            inner = event.call
            if event.kind == "share":
                self._join(given(event.value.shares, values))
            if inner is None:
                continue
            passed = substituted(inner, values)
            if passed is None:
                continue
            if inner.path and inner.path == first(inner.path):
                self._change_by(self._code.get(inner.path), passed, seen, depth + 1)
            elif not (inner.library or first(inner.path) in self._modules):
                self._method_call(passed, seen, depth + 1)
            path = inner.library or self._path(inner.path)
            for argument in libraries.changed(path, passed):
                self._mutate_all(argument.names)
                self._join(names_of(passed))
