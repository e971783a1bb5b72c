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

from .branches import Branches
from .calls import Calls
from .events import Effects, Event, Kind, Value, is_parameter, parameter, unique
from .scopes import (
    FUNCTIONS,
    Scope,
    called,
    dotted,
    first,
    function_scope,
    held,
    is_generator,
    own,
    own_returns,
    parameters_of,
    stored,
)
from .shell import SHELL_READS, is_shell

# Builtins after which nothing is known about names.
_UNKNOWN = frozenset({"exec", "eval", "globals", "get_ipython"})


def events(tree: ast.Module, *, uncertain: bool = False) -> list[Event]:
    """All events of a module in the order of evaluation; ``uncertain`` if it may stop midway."""
    walker = _Names()
    walker.last = tree.body[-1] if tree.body else None
    if uncertain:
        walker.perhaps(tree.body)
    else:
        walker.visit(tree)
    return walker.events


class _Names(Branches, Calls):
    """Walks names, assignments and definitions, and all that its bases walk."""

    def visit_Name(self, node: ast.Name) -> None:
        kinds: dict[type, Kind] = {ast.Load: "read", ast.Store: "bind", ast.Del: "delete"}
        kind = kinds[type(node.ctx)]
        if kind == "delete":
            self.emit(Event("read", node.id))
        self.emit(Event(kind, node.id))
        if kind == "read" and node.id in _UNKNOWN and not self.local(node.id):
            self.unknown(node.id)

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
        if isinstance(value, ast.Lambda) and not self.scopes:
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
                known = replace(known, parts=_walked(value, self.scopes))
            self.emit(Event("bind", target.id, effects, known))
        elif isinstance(target, ast.Tuple | ast.List):
            pairs = _pairs(target, value)
            if pairs:
                for one, other in pairs:
                    self._bind_target(one, other, effects)
                return
            known = self.values.of(value)
            known = Value(known.holds, known.made_by, known.shares, known.calls)
            self.bind_stored(target, known, effects)
        elif isinstance(target, ast.Starred):
            self._bind_target(target.value, value, effects)
        else:
            self.visit(target)
            held_in = target.value if isinstance(target, ast.Attribute | ast.Subscript) else target
            self.share(self.values.shared(held_in)[0], self.values.shared(value)[0])

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            name = node.target.id
            self.emit(Event("read", name))
            self.visit(node.value)
            self.mutate(self.origins(name))
            holds = held(node.value) | {name}
            atom = self.values.of(node.value).atom
            value = Value(holds, shares=self.origins(name), atom=atom, grows=True)
            self.emit(Event("bind", name, value=value))
            self.share(self.origins(name), self.values.shared(node.value)[0])
            if atom is None and not self.local(name):
                self.events.append(Event("store", name))
        else:
            self.visit(node.value)
            self.visit(node.target)
            held_in = node.target.value
            self.share(self.values.shared(held_in)[0], self.values.shared(node.value)[0])

    def _change(self, node: ast.Attribute | ast.Subscript) -> None:
        """An attribute or item is set or deleted."""
        self.mutate(self.values.shared(node.value)[0])
        path = dotted(node)
        if path:
            name = first(path)
            library = self.modules.get(name, "") if self.local(name) else ""
            if library or not self.local(name):
                full = library + path[len(name) :] if library else path
                self.events.append(Event("store", full, module=library))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if is_shell(node.value):
            if node.attr not in SHELL_READS:
                self.unknown("get_ipython")
            return
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load):
            self._change(node)
        elif dotted(node).startswith("sys.last_"):
            self.say("history", f"sys.{node.attr}")  # what a cell that failed has left

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load):
            self._change(node)
        elif dotted(node.value).endswith("sys.modules"):
            literal = node.slice.value if isinstance(node.slice, ast.Constant) else "__main__"
            if literal == "__main__":
                self.unknown("", "sys.modules")

    def visit_Import(self, node: ast.Import) -> None:
        for item in node.names:
            if item.name == "__main__":
                self.unknown("", "import __main__")
            self.say("import", item.name)
            name = item.asname or item.name.partition(".")[0]
            module = item.name if item.asname else name
            self.emit(Event("bind", name, module=module))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = "." * node.level + (node.module or "")
        self.say("import", module)
        for item in node.names:
            if item.name == "*":
                self.say("anything", f"from {module} import *")
            else:
                if module == "__main__":
                    self.emit(Event("read", item.name))
                self.emit(Event("bind", item.asname or item.name, module=f"{module}.{item.name}"))

    # --- functions, classes, comprehensions ---------------------------------------------------

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._decorators(node.decorator_list)
        self._signature(node.args)
        self.all([node.returns])
        inner = effects_of([node], self.scopes, self.aliases, self.modules)
        if self.scopes and not self.scopes[-1].is_class:
            self._apply(inner)
        self.emit(Event("bind", node.name, inner, _decorated(node)))

    visit_AsyncFunctionDef = visit_FunctionDef

    def _decorators(self, nodes: list[ast.expr]) -> None:
        for node in nodes:
            self.visit(node)
            if isinstance(node, ast.Attribute | ast.Name):  # a call without parentheses
                path = dotted(node)
                if path:
                    self.emit_call(ast.Call(node, [], []))

    def _signature(self, arguments: ast.arguments) -> None:
        self.all([*arguments.defaults, *arguments.kw_defaults])
        everyone = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        everyone += [found for found in (arguments.vararg, arguments.kwarg) if found]
        self.all(argument.annotation for argument in everyone)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._signature(node.args)
        self._apply(effects_of([node], self.scopes, self.aliases, self.modules))

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
        self.all([*node.bases, *(item.value for item in node.keywords)])
        inner = effects_of([node], self.scopes, self.aliases, self.modules)
        self.scopes.append(Scope(is_class=True))
        self.all(node.body)
        self.scopes.pop()
        if self.scopes and not self.scopes[-1].is_class:
            self._apply(inner)
        bases = frozenset[str]().union(*[held(base) for base in node.bases])
        value = _decorated(node)
        self.emit(Event("bind", node.name, inner, Value(value.holds | bases, value.made_by)))

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
    ) -> None:
        self.visit(node.generators[0].iter)
        targets = frozenset(stored([generator.target for generator in node.generators]))
        sources = [self.values.shared(generator.iter)[0] for generator in node.generators]
        self.scopes.append(Scope(targets))
        hidden = {name: self.aliases[name] for name in targets if name in self.aliases}
        self.aliases.update(dict.fromkeys(targets, frozenset[str]().union(*sources)))
        parts: list[ast.AST] = []
        for number, generator in enumerate(node.generators):
            parts += [*([generator.iter] if number else []), *generator.ifs]
        parts += [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self.perhaps(parts)
        self.scopes.pop()
        for name in targets:
            self.aliases.pop(name, None)
        self.aliases.update(hidden)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension


def _pairs(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """``a, b = x, y`` as its two assignments; empty if it is not of that form, or if one reads
    what another binds, as ``a, b = b, a`` does."""
    if not isinstance(target, ast.Tuple | ast.List) or not isinstance(value, ast.Tuple | ast.List):
        return []
    if any(isinstance(item, ast.Starred) for item in [*target.elts, *value.elts]):
        return []
    read = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
    if len(target.elts) != len(value.elts) or read & set(stored([target])):
        return []
    return list(zip(target.elts, value.elts, strict=True))


def _walked(node: ast.AST, scopes: Iterable[Scope]) -> tuple[Event, ...]:
    """What happens when a generator expression is consumed."""
    walker = _Names(scopes)
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
    walker = _Names([*scopes, scope], known, modules)
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
