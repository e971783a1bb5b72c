"""What code does to names: reads, binds, deletes, may change in place.

The code of a cell becomes a list of :class:`~.events.Event` in the order of evaluation; ``enter``
and ``leave`` stand around code that may not run (branches, loops, handlers). Bodies of functions
run when they are called, so a function becomes :class:`~.events.Effects` that count where its name
is read. Scoping is Python's (:mod:`mlops_jupyter.pipelines.scopes`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import replace

from .events import Effects, Event, Kind, Value, is_parameter, parameter, unique
from .magic import PYTHON_LINES, UNBOUND, expanded, line_events, option_names, python_of
from .methods import words
from .scopes import (
    FUNCTIONS,
    Scope,
    called,
    dotted,
    first,
    function_scope,
    held,
    is_generator,
    is_local,
    own,
    own_returns,
    parameters_of,
    stored,
)
from .values import Values

# Builtins after which nothing is known about names; the second set only at a module's top level.
_UNKNOWN = frozenset({"exec", "eval", "globals", "get_ipython"})
_AT_THE_TOP = frozenset({"locals", "vars", "dir"})
_SHELL_READS = frozenset({"__class__", "has_trait", "__repr__", "colors", "kernel"})
_SHOWN = frozenset({"str", "repr", "type", "isinstance", "hasattr", "print", "bool"})
# Managers that let no exception of their block pass unseen: the block runs to its end.
_STRICT = words(
    """open errstate catch_warnings no_grad inference_mode start_run option_context rc_context context
    Pool ThreadPool ThreadPoolExecutor ProcessPoolExecutor ZipFile TarFile closing connect urlopen
    TemporaryDirectory NamedTemporaryFile parallel_backend config_context autocast Session session
    device scope Progress tqdm redirect_stdout redirect_stderr Output plotting_context axes_style
    color_palette localcontext Parallel Model ExcelWriter HDFStore File cursor strategy nullcontext
    GradientTape"""
)


def events(tree: ast.Module, *, uncertain: bool = False) -> list[Event]:
    """All events of a module in the order of evaluation; ``uncertain`` if it may stop midway."""
    walker = Walker()
    walker.last = tree.body[-1] if tree.body else None
    if uncertain:
        walker.perhaps(tree.body)
    else:
        walker.visit(tree)
    return walker.events


class Walker(ast.NodeVisitor):
    """Walks code in the order of evaluation; ``scopes`` are those around, innermost last."""

    def __init__(
        self,
        scopes: Iterable[Scope] = (),
        aliases: dict[str, frozenset[str]] | None = None,
        modules: dict[str, str] | None = None,
    ) -> None:
        self.events: list[Event] = []
        self.last: ast.stmt | None = None
        self._scopes = list(scopes)
        self._aliases = dict(aliases or {})
        self._modules = dict(modules or {})
        self.values = Values(self._origins)

    # --- emitting -----------------------------------------------------------------------------

    @property
    def _in_function(self) -> bool:
        return any(scope.is_function for scope in self._scopes)

    def _local(self, name: str) -> bool:
        return is_local(name, self._scopes)

    def _origins(self, name: str) -> frozenset[str]:
        """The global names and parameters whose object ``name`` may stand for."""
        return self._aliases.get(name, frozenset()) if self._local(name) else frozenset({name})

    def _emit(self, event: Event) -> None:
        innermost = self._scopes[-1] if self._scopes else None
        if event.kind == "bind" and innermost is not None and innermost.is_class:
            innermost.defined.add(event.name)
        elif self._local(event.name):
            if event.kind == "bind":
                self._alias(event)
        else:
            self.events.append(event)

    def _alias(self, event: Event) -> None:
        """Remember what a local name stands for, and which module it is."""
        if event.module:
            self._modules[event.name] = event.module
        self._aliases[event.name] = event.value.shares

    def _say(self, kind: Kind, reason: str) -> None:
        self.events.append(Event(kind, reason))

    def _all(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    def perhaps(self, nodes: Iterable[ast.AST | None]) -> set[str]:
        """Walk code that may not run; returns what it binds for certain when it does."""
        start = len(self.events)
        before = dict(self._aliases)
        self.events.append(Event("enter"))
        self._all(nodes)
        self.events.append(Event("leave"))
        for name, origins in before.items():
            self._aliases[name] = self._aliases.get(name, origins) | origins
        depth, bound = 0, set()
        for event in self.events[start:]:
            depth += (event.kind == "enter") - (event.kind == "leave")
            if depth == 1 and event.kind == "bind":
                bound.add(event.name)
            elif depth == 1 and event.kind == "delete":
                bound.discard(event.name)
        return bound

    def _either(self, *branches: Iterable[ast.AST | None]) -> None:
        """Alternatives of which one runs: what all of them bind is bound."""
        for name in sorted(set.intersection(*[self.perhaps(branch) for branch in branches])):
            same = Value(shares=self._origins(name), atom=frozenset(), grows=True)
            self._emit(Event("bind", name, value=same))

    def visit_Name(self, node: ast.Name) -> None:
        kinds: dict[type, Kind] = {ast.Load: "read", ast.Store: "bind", ast.Del: "delete"}
        kind = kinds[type(node.ctx)]
        if kind == "delete":
            self._emit(Event("read", node.id))
        self._emit(Event(kind, node.id))
        if kind == "read" and node.id in _UNKNOWN and not self._local(node.id):
            self._unknown(node.id)

    def _unknown(self, builtin: str, reason: str = "") -> None:
        """Something reads or binds what cannot be seen; the reader ignores a builtin to whose name
        the notebook has bound something else."""
        reason = reason or f"{builtin}()"
        self.events.append(Event("everything", reason, builtin=builtin))
        self.events.append(Event("anything", reason, builtin=builtin))
        if builtin == "get_ipython":
            self.events.append(Event("surroundings", reason, builtin=builtin))

    # --- binding ------------------------------------------------------------------------------

    def visit_Assign(self, node: ast.Assign) -> None:
        self._assign(node.targets, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.annotation)
        if node.value is not None:
            self._assign([node.target], node.value)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._assign([node.target], node.value)

    def _assign(self, targets: Iterable[ast.expr], value: ast.expr) -> None:
        effects = None
        if isinstance(value, ast.Lambda) and not self._scopes:
            self._signature(value.args)
            effects = effects_of([value])
        else:
            self.visit(value)
        for target in targets:
            self._bind_target(target, value, effects)

    def _bind_target(self, target: ast.expr, value: ast.expr, effects: Effects | None) -> None:
        if isinstance(target, ast.Name):
            known = self.values.of(value)
            if known.once:
                known = replace(known, parts=_walked(value, self._scopes))
            self._emit(Event("bind", target.id, effects, known))
        elif isinstance(target, ast.Tuple | ast.List):
            pairs = _pairs(target, value)
            if pairs:
                for one, other in pairs:
                    self._bind_target(one, other, effects)
                return
            known = self.values.of(value)
            known = Value(known.holds, known.made_by, known.shares, known.calls)
            self._bind_stored(target, known, effects)
        elif isinstance(target, ast.Starred):
            self._bind_target(target.value, value, effects)
        else:
            self.visit(target)

    def _bind_stored(self, target: ast.expr, value: Value, effects: Effects | None = None) -> None:
        """Bind the names in a target that takes its value apart."""
        for name in sorted(set(stored([target]))):
            self._emit(Event("bind", name, effects, value))
        inside = (item for item in own([target]) if isinstance(item, ast.Attribute | ast.Subscript))
        self._all(item for item in inside if not isinstance(item.ctx, ast.Load))

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            name = node.target.id
            self._emit(Event("read", name))
            self.visit(node.value)
            self._mutate(self._origins(name))
            holds = held(node.value) | {name}
            atom = self.values.of(node.value).atom
            value = Value(holds, shares=self._origins(name), atom=atom, grows=True)
            self._emit(Event("bind", name, value=value))
        else:
            self.visit(node.value)
            self.visit(node.target)

    def _mutate(self, names: Iterable[str]) -> None:
        self.events += [Event("mutate", name) for name in sorted(names)]

    def _change(self, node: ast.Attribute | ast.Subscript) -> None:
        """An attribute or item is set or deleted."""
        self._mutate(self.values.shared(node.value)[0])
        path = dotted(node)
        if path:
            name = first(path)
            library = self._modules.get(name, "") if self._local(name) else ""
            if library or not self._local(name):
                full = library + path[len(name) :] if library else path
                self.events.append(Event("store", full, module=library))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if _is_shell(node.value):
            if node.attr not in _SHELL_READS:
                self._unknown("get_ipython")
            return
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load):
            self._change(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load):
            self._change(node)
        elif dotted(node.value).endswith("sys.modules"):
            literal = node.slice.value if isinstance(node.slice, ast.Constant) else "__main__"
            if literal == "__main__":
                self._unknown("", "sys.modules")

    def visit_Import(self, node: ast.Import) -> None:
        for item in node.names:
            if item.name == "__main__":
                self._unknown("", "import __main__")
            self._say("import", item.name)
            name = item.asname or item.name.partition(".")[0]
            module = item.name if item.asname else name
            self._emit(Event("bind", name, module=module))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = "." * node.level + (node.module or "")
        self._say("import", module)
        for item in node.names:
            if item.name == "*":
                self._say("anything", f"from {module} import *")
            else:
                if module == "__main__":
                    self._emit(Event("read", item.name))
                self._emit(Event("bind", item.asname or item.name, module=f"{module}.{item.name}"))

    # --- functions, classes, comprehensions ---------------------------------------------------

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._decorators(node.decorator_list)
        self._signature(node.args)
        self._all([node.returns])
        inner = effects_of([node], self._scopes, self._aliases, self._modules)
        if self._scopes and not self._scopes[-1].is_class:
            self._apply(inner)
        self._emit(Event("bind", node.name, inner, _decorated(node)))

    visit_AsyncFunctionDef = visit_FunctionDef

    def _decorators(self, nodes: list[ast.expr]) -> None:
        for node in nodes:
            self.visit(node)
            if isinstance(node, ast.Attribute | ast.Name):  # a call without parentheses
                path = dotted(node)
                if path:
                    self._emit_call(ast.Call(node, [], []), discarded=True)

    def _signature(self, arguments: ast.arguments) -> None:
        self._all([*arguments.defaults, *arguments.kw_defaults])
        everyone = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        everyone += [found for found in (arguments.vararg, arguments.kwarg) if found]
        self._all(argument.annotation for argument in everyone)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._signature(node.args)
        self._apply(effects_of([node], self._scopes, self._aliases, self._modules))

    def _apply(self, inner: Effects) -> None:
        """Count a function as called where it stands: whoever gets it may call it."""
        own_names = set(inner.parameters)
        self.events.append(Event("enter"))
        self.events += [
            event
            for event in inner.events
            if not (event.kind == "mutate" and event.name in own_names)
        ]
        self.events.append(Event("leave"))

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._decorators(node.decorator_list)
        self._all([*node.bases, *(item.value for item in node.keywords)])
        inner = effects_of([node], self._scopes, self._aliases, self._modules)
        self._scopes.append(Scope(is_class=True))
        self._all(node.body)
        self._scopes.pop()
        if self._scopes and not self._scopes[-1].is_class:
            self._apply(inner)
        bases = frozenset[str]().union(*[held(base) for base in node.bases])
        value = _decorated(node)
        self._emit(Event("bind", node.name, inner, Value(value.holds | bases, value.made_by)))

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
    ) -> None:
        self.visit(node.generators[0].iter)
        targets = frozenset(stored([generator.target for generator in node.generators]))
        sources = [self.values.shared(generator.iter)[0] for generator in node.generators]
        self._scopes.append(Scope(targets))
        hidden = {name: self._aliases[name] for name in targets if name in self._aliases}
        self._aliases.update(dict.fromkeys(targets, frozenset[str]().union(*sources)))
        parts: list[ast.AST] = []
        for number, generator in enumerate(node.generators):
            parts += [*([generator.iter] if number else []), *generator.ifs]
        parts += [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self.perhaps(parts)
        self._scopes.pop()
        for name in targets:
            self._aliases.pop(name, None)
        self._aliases.update(hidden)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    # --- control flow -------------------------------------------------------------------------

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        self._either(node.body, node.orelse)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.visit(node.test)
        self._either([node.body], [node.orelse])

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self.visit(node.values[0])
        self.perhaps(node.values[1:])

    def visit_Compare(self, node: ast.Compare) -> None:
        self._all(item for item in [node.left, *node.comparators[:1]] if not _is_shell(item))
        if node.comparators[1:]:
            self.perhaps(node.comparators[1:])

    def visit_Assert(self, node: ast.Assert) -> None:
        self.visit(node.test)
        if node.msg is not None:
            self.perhaps([node.msg])

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        shares, calls = self.values.shared(node.iter)
        value = Value(held(node.iter), shares=shares, calls=tuple(calls))
        self.perhaps([_Bound(node.target, value), *node.body])
        self.perhaps(node.orelse)

    visit_AsyncFor = visit_For

    def visit__Bound(self, node: _Bound) -> None:
        """A loop's or manager's target."""
        if isinstance(node.target, ast.Attribute | ast.Subscript):
            self.visit(node.target)
        else:
            self._bind_stored(node.target, node.value)

    def visit_While(self, node: ast.While) -> None:
        self.visit(node.test)
        self.perhaps(node.body)
        self.perhaps(node.orelse)

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        strict = True
        for item in node.items:
            self.visit(item.context_expr)
            path = dotted(item.context_expr).rstrip("()[]")
            strict = strict and path.rpartition(".")[2] in _STRICT
            if item.optional_vars is not None:
                shares = self.values.shared(item.context_expr)
                value = Value(held(item.context_expr), shares=shares[0], calls=tuple(shares[1]))
                self.visit(_Bound(item.optional_vars, value))
        if strict:
            self._all(node.body)
        else:
            self.perhaps(node.body)

    visit_AsyncWith = visit_With

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        if node.handlers:
            self.perhaps([*node.body, *node.orelse])
            for handler in node.handlers:
                self.perhaps([handler])
        else:
            self._all(node.body)
        self._all(node.finalbody)

    def visit_TryStar(self, node: ast.TryStar) -> None:
        self.visit_Try(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self._all([node.type])
        self._bind_if(node.name)
        self._all(node.body)

    def visit_Match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        for case in node.cases:
            self.perhaps([case])

    def _bind_if(self, name: str | None) -> None:
        if name:
            self._emit(Event("bind", name))

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self._all([node.pattern])
        self._bind_if(node.name)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        self._bind_if(node.name)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self.generic_visit(node)
        self._bind_if(node.rest)

    # --- calls --------------------------------------------------------------------------------

    def visit_Expr(self, node: ast.Expr) -> None:
        value = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(value, ast.Call):
            if not _is_shell(value):
                self._visit_call(value, discarded=True, last=node is self.last)
        else:
            self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        self._visit_call(node)

    def _visit_call(self, node: ast.Call, *, discarded: bool = False, last: bool = False) -> None:
        function = node.func
        if isinstance(function, ast.Attribute) and _is_shell(function.value):
            self._shell(function.attr, node.args)
            return
        plain = isinstance(function, ast.Name) and not self._local(function.id) and function.id
        if plain in ("exec", "eval") and len(node.args) + len(node.keywords) > 1:
            self._emit(Event("read", str(plain)))
            self._all([*node.args, *(item.value for item in node.keywords)])
        elif plain in _SHOWN and any(_is_shell(item) or _is_handle(item) for item in node.args):
            self._emit(Event("read", str(plain)))
            self._all(item for item in node.args if not (_is_shell(item) or _is_handle(item)))
        else:
            self.generic_visit(node)
        if plain == "exec":
            self._exec(node)
        if plain in _AT_THE_TOP and not self._in_function and not node.args:
            self._unknown(str(plain))
        self._emit_call(node, discarded=discarded, last=last)

    def _exec(self, node: ast.Call) -> None:
        """Code in a text is walked if it can be read; it may do anything else all the same."""
        code = node.args[0] if node.args else None
        if isinstance(code, ast.Constant) and isinstance(code.value, str):
            try:
                tree = ast.parse(code.value)
            except (SyntaxError, ValueError):  # it raises where it runs
                return
            self.perhaps(tree.body)
        else:
            self.events.append(Event("surroundings", "exec()", builtin="exec"))

    def _emit_call(self, node: ast.Call, *, discarded: bool = False, last: bool = False) -> None:
        call = self.values.call(node, discarded=discarded, last=last)
        name = first(call.path)
        if name and self._local(name):
            library = self._modules.get(name, "")
            rest = call.path[len(name) :]
            call = replace(call, path=rest, library=library and library + rest)
        self.events.append(Event("call", name, call=call))

    def _shell(self, method: str, arguments: list[ast.expr]) -> None:
        """A call that IPython makes of a magic or a shell escape."""
        literal = [
            item.value if isinstance(item, ast.Constant) and isinstance(item.value, str) else None
            for item in arguments
        ]
        texts = [text or "" for text in literal]
        name = texts[0] if texts else ""
        if method in ("run_line_magic", "magic") and literal and None not in literal:
            if method == "magic":
                name, _, rest = name.lstrip("%").partition(" ")
                texts = [name, rest]
            self.line_magic(name, texts[1] if len(texts) > 1 else "")
        elif method in ("system", "getoutput", "getoutput_pexpect"):
            if None in literal:
                self._all(arguments)
                self._unknown("get_ipython")
            self.add(expanded(" ".join(texts)))
        elif method not in _SHELL_READS:
            self._all(arguments)
            self._unknown("get_ipython")

    def line_magic(self, name: str, line: str) -> None:
        """What ``%name line`` does."""
        if name not in PYTHON_LINES:
            self.add(line_events(name, line))
            return
        self.add([Event("read", function) for function in option_names(name, line)])
        try:
            inner = ast.parse(python_of(name, line))
        except SyntaxError:
            self._unknown("", f"%{name}")
            return
        start = len(self.events)
        self._all(inner.body)
        if name in UNBOUND:
            self.events[start:] = [event for event in self.events[start:] if event.kind != "bind"]

    def add(self, found: Iterable[Event]) -> None:
        """Events of what is not Python."""
        for event in found:
            if event.kind in ("read", "bind", "delete"):
                self._emit(event)
            else:
                self.events.append(event)


class _Bound(ast.expr):
    """Stands in a list of nodes for a target that takes ``value``."""

    def __init__(self, target: ast.expr, value: Value) -> None:
        super().__init__()
        self.target = target
        self.value = value


def _is_shell(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and _is_handle(node.func)


def _is_handle(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "get_ipython"


def _pairs(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """``a, b = x, y`` as its two assignments; empty if it is not of that form."""
    if not isinstance(target, ast.Tuple | ast.List) or not isinstance(value, ast.Tuple | ast.List):
        return []
    if any(isinstance(item, ast.Starred) for item in [*target.elts, *value.elts]):
        return []
    same = len(target.elts) == len(value.elts)
    return list(zip(target.elts, value.elts, strict=True)) if same else []


def _walked(node: ast.AST, scopes: Iterable[Scope]) -> tuple[Event, ...]:
    """What happens when a generator expression is consumed."""
    walker = Walker(scopes)
    walker.visit(node)
    return unique(walker.events)


def _decorated(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Value:
    """Names of which a decorated definition may hold the code, and those called to make it."""
    nothing = frozenset[str]()
    return Value(
        nothing.union(*[held(item) for item in node.decorator_list]),
        nothing.union(*[called(item) for item in node.decorator_list]),
    )


def effects_of(
    nodes: Iterable[ast.AST],
    scopes: Iterable[Scope] = (),
    aliases: dict[str, frozenset[str]] | None = None,
    modules: dict[str, str] | None = None,
) -> Effects:
    """What the bodies of functions, and of the methods of classes, may do to global names."""
    scopes = list(scopes)
    found = [
        _class(node, scopes, aliases, modules)
        if isinstance(node, ast.ClassDef)
        else _function(node, scopes, aliases, modules)
        for node in nodes
        if isinstance(node, (*FUNCTIONS, ast.ClassDef))
    ]
    if len(found) == 1:
        return found[0]
    return Effects(
        unique(event for effects in found for event in effects.events),
        any(effects.makes for effects in found),
    )


def _class(
    node: ast.ClassDef,
    scopes: list[Scope],
    aliases: dict[str, frozenset[str]] | None,
    modules: dict[str, str] | None,
) -> Effects:
    inner = [item for item in own(node.body) if isinstance(item, (*FUNCTIONS, ast.ClassDef))]
    methods = {
        item.name: effects_of([item], scopes, aliases, modules)
        for item in inner
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    others = [item for item in inner if isinstance(item, ast.Lambda | ast.ClassDef)]
    parts = [*methods.values(), effects_of(others, scopes, aliases, modules)]
    kept = unique(event for part in parts for event in part.events if not is_parameter(event.name))
    start = methods.get("__init__")
    return Effects(
        tuple(kept),
        makes=True,
        parameters=start.parameters[1:] if start else (),
        methods=methods,
    )


def _function(
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda,
    scopes: list[Scope],
    aliases: dict[str, frozenset[str]] | None,
    modules: dict[str, str] | None,
) -> Effects:
    depth = len(scopes)
    names = [argument.arg for argument in parameters_of(node)]
    known = {**(aliases or {}), **{name: frozenset({parameter(depth, name)}) for name in names}}
    scope = function_scope(node)
    for name in scope.local - set(names):
        known.pop(name, None)
    walker = Walker([*scopes, scope], known, modules)
    body = node.body if isinstance(node.body, list) else [node.body]
    for item in body:
        walker.visit(item)
    results = [node.body] if isinstance(node, ast.Lambda) else list(own_returns(body))
    returned = set[str]()
    for result in results:
        names_shared, calls = walker.values.shared(result)
        plain = [call for call in calls if "." not in call.path]
        given = (argument.names for call in plain for argument in call.arguments)
        returned |= names_shared.union(*given)
    return Effects(
        unique(walker.events),
        makes=any(isinstance(item, (*FUNCTIONS, ast.ClassDef)) for item in own(body)),
        parameters=tuple(parameter(depth, name) for name in names),
        returns=frozenset(returned),
        once=is_generator(body) or isinstance(node, ast.AsyncFunctionDef),
    )
