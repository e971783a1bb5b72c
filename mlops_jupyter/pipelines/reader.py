"""Reads a notebook's cells in order and tells what each step does to names and around them.

It remembers what code each name holds, which names are modules, which may stand for the same
object and which cannot change, so that what a call does can be followed into the notebook's own
functions and looked up for well-known libraries.
"""

from __future__ import annotations

import ast
import builtins
import re
from dataclasses import dataclass, field, replace

from . import files, libraries
from .events import Argument, Call, Effects, Event, Kind, Value, is_parameter
from .magic import PYTHON_CELLS, UNBOUND, Magic, cell_events, magic, python_of
from .methods import FITTING, PURE, STATEFUL
from .names import events
from .scopes import first
from .shares import Shares
from .source import automagic, parse

BUILTINS = frozenset({*dir(builtins), "display", "get_ipython", "exit", "quit", "__name__"})
HISTORY = re.compile(r"_{1,3}|_i{0,3}\d*|_[iod]h|In|Out|_exit_code")
_NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_FILES = frozenset({"writefile", "file"})
_SEEDS = re.compile(r"(manual_)?seed(_all|_everything)?|set_state|set_rng_state")
_DEEPEST = 25
_LONGEST = 4


@dataclass(eq=False)
class Code:
    """Code that a value holds: its own ``effects``, and that of other values."""

    step: int
    effects: Effects | None = None
    parts: tuple[Code, ...] = ()
    makes: bool = False
    name: str = ""


@dataclass
class Use:
    """What a step does to names and files that exist outside of it.

    ``reads`` are read before the step binds them, each with the names of code on the way to it
    (none if the step's own text reads it); ``direct`` those that its own text or code that it
    defines reads; ``binds`` for certain, ``may_bind`` not; ``mutates`` what was there before, maybe
    under another name. Texts are reasons; empty means no. Of ``ambient`` things, random generators
    that the step seeds before it draws are ``restarted``.
    """

    reads: dict[str, tuple[str, ...]] = field(default_factory=dict)
    direct: set[str] = field(default_factory=set)
    binds: set[str] = field(default_factory=set)
    may_bind: set[str] = field(default_factory=set)
    mutates: set[str] = field(default_factory=set)
    everything: str = ""
    anything: str = ""
    history: str = ""
    surroundings: str = ""
    ambient: set[str] = field(default_factory=set)
    restarted: set[str] = field(default_factory=set)
    files_read: set[str] = field(default_factory=set)
    files_written: set[str] = field(default_factory=set)
    imports: dict[str, None] = field(default_factory=dict)
    input: int | None = None


class Reader:
    """Reads cells in order; :meth:`start` and :meth:`end` stand around each step's."""

    def __init__(self) -> None:
        self._code: dict[str, Code] = {}
        self._modules: dict[str, str] = {}
        self._imported: set[str] = set()
        self._constants: dict[str, str] = {}
        self._raw: dict[str, str] = {}
        self._stars: list[str] = []
        self._atoms: set[str] = set()
        self._once: dict[str, tuple[Event, ...]] = {}
        self._stateful: set[str] = set()
        self._drawing: set[str] = set()
        self._shares = Shares()
        self._ever: set[str] = set()
        self._any = False
        self._methods: dict[str, list[Effects]] = {}
        self._number = -1
        self.start()

    # --- steps and cells ----------------------------------------------------------------------

    def start(self) -> None:
        """Begin the next step."""
        self.use = Use()
        self._number += 1
        self._bound: list[set[str]] = [set()]
        self._followed: set[int] = set()
        self._visited: set[str] = set()
        self._defined: list[Code] = []
        self._expanded: dict[str, int] = {}

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
            if line and line.partition(" ")[0] not in self._ever | self.use.binds:
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

    def _known(self, name: str) -> bool:
        return any(name in bound for bound in self._bound)

    def _own(self, name: str) -> bool:
        """Whether the notebook has bound the name so far."""
        return name in self._ever or name in self.use.binds or name in self.use.may_bind

    # --- reading ------------------------------------------------------------------------------

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
                self._mutate(current)
                parts = [event for event in self._once[current] if event.kind == "read"]
                pending += [(event.name, (*via, current), True) for event in parts]
            held = self._code.get(current)
            label = f"{current}()" if held and held.effects and held.name else current
            further = via if len(via) >= _LONGEST else (*via, label)
            for code in self._reachable(held):
                found = self._run(code, further)
                pending += [(other, further, lazy) for other in found]

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
        use, reason = self.use, event.name
        if via and event.kind not in ("mutate", "mention", "store", "import"):
            reason = f"{event.name} in {via[-1]}"
        if event.kind == "mutate":
            self._mutate(event.name)
        elif event.kind == "mention":
            self._mention(event.name)
        elif event.kind == "store":
            self._store(event)
        elif event.kind == "import":
            self._imported.add(event.name.partition(".")[0])
            use.imports.setdefault(event.name)
        elif event.kind == "everything":
            use.everything = use.everything or reason
        elif event.kind == "anything":
            star = re.fullmatch(r"from (\S+) import \*", event.name)
            self._stars += [star[1]] if star else []
            use.anything = use.anything or reason
        elif event.kind == "history":
            use.history = use.history or reason
        elif event.kind == "surroundings":
            use.surroundings = use.surroundings or reason
        elif event.kind == "ambient":
            use.ambient.add(event.name)

    def _mention(self, text: str) -> None:
        """Names in a text that other code may look up."""
        for name in dict.fromkeys(_NAME.findall(text)):
            if self._own(name) or (self._any and name not in BUILTINS):
                self._read(name)

    def _mutate(self, name: str) -> None:
        if is_parameter(name) or name in self._modules or name in self._atoms:
            return
        if not self._known(name):
            self.use.mutates.add(name)
            self._needs(name, (), direct=True)
        size = self._shares.size(name)
        if size and self._expanded.get(name) != size:
            self._expanded[name] = size
            self.use.mutates.update(other for other in self._shares.group(name) if other != name)

    def _store(self, event: Event) -> None:
        """An attribute or item of what may be a module is set."""
        name = first(event.name)
        path = event.name if event.module else self._path(event.name)
        if not event.module and name not in self._modules:
            return
        ambient = libraries.ambient(path, None)
        self.use.ambient |= ambient
        if not ambient:
            self.use.surroundings = self.use.surroundings or f"{event.name} = ..."

    # --- binding ------------------------------------------------------------------------------

    def _bind(self, event: Event) -> None:
        name, certain = event.name, len(self._bound) == 1
        if event.value.grows:
            if event.value.atom is None or not event.value.atom <= self._atoms:
                self._atoms.discard(name)
            self._raw.pop(name, None)
            if event.value.holds:
                self._code_of(event, certain=certain)
        else:
            self._rebind(event, certain=certain)
        self._visited.discard(name)
        self._bound[-1].add(name)
        (self.use.binds if certain else self.use.may_bind).add(name)

    def _rebind(self, event: Event, *, certain: bool) -> None:
        """A name stands for something new, for certain or maybe."""
        name, value = event.name, event.value
        atom = value.atom is not None and value.atom <= self._atoms and event.kind == "bind"
        atom = atom and not (event.module or event.effects)
        shares, once, stateful, drawing = self._result(value)
        self._code_of(event, certain=certain)
        if event.module:
            if certain or not self._own(name):
                self._modules[name] = event.module
        else:
            self._modules.pop(name, None)
        if certain:
            self._shares.leave(name)
        for marks, marked in (
            (self._stateful, stateful),
            (self._drawing, drawing),
            (self._atoms, atom and (certain or name in self._atoms or not self._own(name))),
        ):
            if marked:
                marks.add(name)
            elif certain or marks is self._atoms:
                marks.discard(name)
        if not (atom or event.effects or event.module):
            for other in shares - {name}:
                if self._can_share(other):
                    self._shares.join(name, other)
        if once:
            self._once[name] = value.parts
        elif certain:
            self._once.pop(name, None)
        if certain and value.text is not None:
            self._raw[name] = value.text
        else:
            self._raw.pop(name, None)

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
                lazy = any(part.effects.once for part in _definitions(code))
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
        for part in _definitions(code):
            if part.effects.methods or part.makes:
                found |= given
            actual = _actual(part.effects, call)
            for name in part.effects.returns:
                found |= actual.get(name, frozenset()) if is_parameter(name) else {name}
        return found if code.effects or code.parts else given

    def _code_of(self, event: Event, *, certain: bool) -> None:
        """What code the name holds from now on."""
        name, value = event.name, event.value
        held = [self._code[other] for other in value.holds if other in self._code]
        made = [self._code[other] for other in value.made_by if other in self._code]
        lazy = [] if value.awaited else [code for code in made if _lazy(code)]
        parts = [*held, *(code for code in made if code.makes), *lazy]
        if value.handle and not self._own(value.handle):
            parts.append(Code(self._number, _handle_effects(value.handle)))
        makes = event.effects.makes if event.effects else any(code.makes for code in held)
        if event.effects:
            code = Code(self._number, event.effects, tuple(parts), makes, name)
            self._defined.append(code)
            for method, effects in event.effects.methods.items():
                self._methods.setdefault(method, []).append(effects)
        elif parts:
            code = (
                parts[0]
                if len(parts) == 1 and parts[0].makes == makes
                else Code(self._number, None, tuple(parts), makes, name)
            )
        elif certain:
            self._code.pop(name, None)
            return
        else:
            return
        before = self._code.get(name)
        if not certain and before is not None and before is not code:
            code = Code(self._number, None, (before, code), makes or before.makes, name)
        self._code[name] = code

    # --- calls --------------------------------------------------------------------------------

    def _path(self, path: str) -> str:
        """A path in full: ``numpy.random.seed`` for ``np.random.seed``."""
        name = first(path)
        return self._modules[name] + path[len(name) :] if name in self._modules else path

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
            if sampling and not library and not call.argument(-1, "random_state"):
                self.use.ambient.add("numpy-random")
        if not library and (not via or _gives_names(call)):
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
            if _SEEDS.fullmatch(call.method):
                use.restarted |= found - use.ambient
            use.ambient |= found
            self._reasons("surroundings", libraries.surroundings(full, call), via)
            self._reasons("everything", libraries.reads_all(full, call), via)
            self._reasons("anything", libraries.binds_any(full, call), via)
        for argument in libraries.changed(path, call):
            self._mutate_all(argument.names)
            if path in ("setattr", "delattr") and argument.names & set(self._modules):
                self._reasons("surroundings", f"{path}() on a library", via)
        if path in ("input", "getpass.getpass") and surely and use.input is None:
            use.input = self._index

    def _reasons(self, kind: Kind, reason: str, via: tuple[str, ...]) -> None:
        if reason:
            self._fact(Event(kind, reason), via)

    def _texts_of(self, call: Call, path: str, via: tuple[str, ...]) -> None:
        """Texts given to calls may name variables."""
        for argument in call.arguments:
            text = argument.text or ""
            if "__main__" in text:
                self._fact(
                    Event("everything", f"{call.path}() with a text that says __main__"), via
                )
            if "@" in text or "~" in text:
                self._mention(text)
        named = libraries.names_in(path, call, frozenset(self._imported))
        if named is None or named.constant is not None:
            return
        text = named.text if named.text is not None else self._literal(named)
        if text is not None:
            self._mention(text)
        else:
            self._fact(
                Event("everything", f"{call.path.lstrip('.')}() of a text made at run time"), via
            )

    def _literal(self, argument: Argument) -> str | None:
        """The text of a name that was assigned one literal string."""
        names = list(argument.names)
        return self._raw.get(names[0]) if len(names) == 1 else None

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
        for part in _definitions(code) if code else ():
            start = part.effects.methods.get("__init__")
            if start is not None:
                self._change_arguments(start, _with_receiver(call), seen, depth)
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
                self._change_arguments(effects, _with_receiver(call), seen, depth + 1)
        receivers = call.receivers
        if changes or receivers & self._stateful:
            self._mutate_all(receivers)
        if method in ("shuffle", "Shuffle") and call.arguments:
            self._mutate_all(call.arguments[0].names)

    def _only_own(self, call: Call) -> bool:
        """Whether the receiver is certainly an instance of a class that the notebook defines."""
        codes = [self._code.get(name) for name in call.receivers]
        return bool(codes) and all(
            code is not None and any(part.effects.methods for part in _definitions(code))
            for code in codes
        )

    def _change_arguments(
        self, effects: Effects, call: Call, seen: set[tuple[int, Call]], depth: int
    ) -> None:
        """Arguments of a call that the called function's body changes, itself or by calling on."""
        if depth > _DEEPEST or (id(effects), call) in seen:
            return
        seen.add((id(effects), call))
        actual = _actual(effects, call)
        if not actual:
            return
        for parameter in effects.changed:
            self._mutate_all(actual.get(parameter, frozenset()))
        for event in effects.events:
            inner = event.call
            if event.kind != "call" or inner is None:
                continue
            passed = _substituted(inner, actual)
            if passed is None:
                continue
            if inner.path and inner.path == first(inner.path):
                self._change_by(self._code.get(inner.path), passed, seen, depth + 1)
            elif not (inner.library or first(inner.path) in self._modules):
                self._method_call(passed, seen, depth + 1)
            path = inner.library or self._path(inner.path)
            for argument in libraries.changed(path, passed):
                self._mutate_all(argument.names)


def _definitions(code: Code) -> list[_Defined]:
    """The functions and classes among a value's code."""
    found: list[_Defined] = []
    pending, seen = [code], set[int]()
    while pending and len(seen) < 50:
        one = pending.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if one.effects is not None:
            found.append(_Defined(one.effects, one.makes))
        else:
            pending += one.parts
    return found


def _handle_effects(builtin: str) -> Effects:
    """What whoever has the namespace or the shell in hand may do."""
    kinds: list[Kind] = ["everything", "anything"]
    if builtin == "get_ipython":
        kinds.append("surroundings")
    return Effects(tuple(Event(kind, f"{builtin}()") for kind in kinds))


def _lazy(code: Code) -> bool:
    """Whether calling it gives something that runs later: a generator or coroutine."""
    return any(part.effects.once for part in _definitions(code))


@dataclass(frozen=True)
class _Defined:
    effects: Effects
    makes: bool


def _actual(effects: Effects, call: Call) -> dict[str, frozenset[str]]:
    """The global names that a call gives to each parameter of a function."""
    found: dict[str, frozenset[str]] = {}
    names = effects.parameters
    by_name = {name.partition(":")[2]: name for name in names}
    for argument in call.arguments:
        given = frozenset(name for name in argument.names if not is_parameter(name))
        place = argument.place
        if not given:
            continue
        if isinstance(place, int) and names:
            targets = [names[min(place, len(names) - 1)]]
        elif place in by_name:
            targets = [by_name[str(place)]]
        else:
            targets = list(names)
        for target in targets:
            found[target] = found.get(target, frozenset()) | given
    return found


def _gives_names(call: Call) -> bool:
    """Whether a call has to do with anything global."""
    given = [call.receivers, *(argument.names for argument in call.arguments)]
    return any(not is_parameter(name) for names in given for name in names)


def _with_receiver(call: Call) -> Call:
    """A method's call as its function gets it: the object first."""
    moved = [
        replace(argument, place=argument.place + 1) if isinstance(argument.place, int) else argument
        for argument in call.arguments
    ]
    return replace(call, arguments=(Argument(0, call.receivers), *moved))


def _substituted(call: Call, actual: dict[str, frozenset[str]]) -> Call | None:
    """A call inside a function with the caller's names for its parameters; ``None`` if it is
    given none of them."""
    touched = False

    def names(given: frozenset[str]) -> frozenset[str]:
        nonlocal touched
        inner = frozenset(name for name in given if is_parameter(name))
        found = frozenset[str]().union(*(actual.get(name, frozenset()) for name in inner))
        touched = touched or bool(found)
        return found

    arguments = tuple(replace(item, names=names(item.names)) for item in call.arguments)
    changed = replace(call, receivers=names(call.receivers), arguments=arguments)
    return changed if touched else None
