"""What code does to names: reads, binds, deletes, may change in place.

The code of a cell becomes a list of :class:`~.events.Event` in the order of evaluation; ``enter``
and ``leave`` stand around code that may not run (branches, loops, handlers). Bodies of functions
run when they are called, so a function becomes :class:`~.events.Effects` that count where its name
is read.
Scoping is Python's (:mod:`mlops_jupyter.pipelines.scopes`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from .events import Effects, Event, Kind
from .magic import PLAIN_LINES, PYTHON_LINES
from .scopes import FUNCTIONS, Scope, called, function_scope, held, is_local, own, root, stored

# Builtins after which nothing is known about names; the second set only at a module's top level.
_BARRIERS, _TOP_BARRIERS = (
    frozenset({"exec", "eval", "globals"}),
    frozenset({"locals", "vars", "dir"}),
)
_EXPANDED = re.compile(r"\$\{?([A-Za-z_]\w*)|\{([A-Za-z_]\w*)")


def events(tree: ast.AST) -> list[Event]:
    """All events of a module in the order of evaluation."""
    walker = _Walker()
    walker.visit(tree)
    return walker.events


class _Walker(ast.NodeVisitor):
    """Walks code in the order of evaluation; ``scopes`` are those around, innermost last."""

    def __init__(self, scopes: Iterable[Scope] = ()) -> None:
        self.events: list[Event] = []
        self._scopes = list(scopes)

    def _emit(self, event: Event) -> None:
        innermost = self._scopes[-1] if self._scopes else None
        if event.kind == "bind" and innermost is not None and innermost.is_class:
            innermost.defined.add(event.name)
        elif not is_local(event.name, self._scopes):
            self.events.append(event)

    def _all(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    def _perhaps(self, nodes: Iterable[ast.AST | None]) -> set[str]:
        """Walk code that may not run; returns what it binds for certain when it does."""
        start = len(self.events)
        self.events.append(Event("enter"))
        self._all(nodes)
        self.events.append(Event("leave"))
        depth, bound = 0, set()
        for event in self.events[start:]:
            depth += (event.kind == "enter") - (event.kind == "leave")
            if depth == 1 and event.kind == "bind":
                bound.add(event.name)
        return bound

    def _either(self, *branches: Iterable[ast.AST | None]) -> None:
        """Alternatives of which one runs: what all of them bind is bound."""
        for name in sorted(set.intersection(*[self._perhaps(branch) for branch in branches])):
            self._emit(Event("bind", name, holds=frozenset({name})))

    def visit_Name(self, node: ast.Name) -> None:
        kinds: dict[type, Kind] = {ast.Load: "read", ast.Store: "bind", ast.Del: "delete"}
        self._emit(Event(kinds[type(node.ctx)], node.id))
        if node.id == "get_ipython" and not is_local(node.id, self._scopes):
            self._emit(Event("barrier", "get_ipython"))

    # --- binding ------------------------------------------------------------------------------

    def visit_Assign(self, node: ast.Assign) -> None:
        self._assign(node.targets, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.annotation)
        if node.value is not None:
            self._assign([node.target], node.value)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._assign([node.target], node.value)

    def _assign(self, targets: list[ast.expr], value: ast.expr) -> None:
        effects = None
        if isinstance(value, ast.Lambda) and not self._scopes:
            self._signature(value.args)
            effects = effects_of([value])
        else:
            self.visit(value)
        holds, calls = held(value), called(value)
        for target in targets:
            if isinstance(target, ast.Name):
                self._emit(Event("bind", target.id, effects, holds, calls))
            elif isinstance(target, ast.Tuple | ast.List | ast.Starred):
                for name in sorted(set(stored([target]))):
                    self._emit(Event("bind", name, effects, holds, calls))
                self._all(
                    item
                    for item in own([target])
                    if isinstance(item, ast.Attribute | ast.Subscript)
                )
            else:
                self.visit(target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            name = node.target.id
            self._emit(Event("read", name))
            self.visit(node.value)
            self._emit(Event("mutate", name))
            self._emit(Event("bind", name, holds=held(node.value) | {name}))
        else:
            self.visit(node.value)
            self.visit(node.target)

    def _change(self, node: ast.expr) -> None:
        name = root(node)
        if name is not None:
            self._emit(Event("mutate", name))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load):
            self._change(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load):
            self._change(node)

    def visit_Import(self, node: ast.Import) -> None:
        for item in node.names:
            name = item.asname or item.name.partition(".")[0]
            self._emit(Event("bind", name, module=True))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for item in node.names:
            if item.name == "*":
                self._emit(Event("barrier", f"from {node.module} import *"))
            else:
                self._emit(Event("bind", item.asname or item.name, module=True))

    # --- functions, classes, comprehensions ---------------------------------------------------

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._all(node.decorator_list)
        self._signature(node.args)
        self._all([node.returns])
        inner = effects_of([node], self._scopes)
        if self._scopes and not self._scopes[-1].is_class:
            self._apply(inner)
        self._emit(Event("bind", node.name, inner, *_decorated(node)))

    visit_AsyncFunctionDef = visit_FunctionDef

    def _signature(self, arguments: ast.arguments) -> None:
        self._all([*arguments.defaults, *arguments.kw_defaults])
        everyone = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        self._all(argument.annotation for argument in everyone)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._signature(node.args)
        self._apply(effects_of([node], self._scopes))

    def _apply(self, inner: Effects) -> None:
        """Count a function as called where it stands: whoever gets it may call it."""
        self.events.append(Event("enter"))
        self.events += [Event("read", name) for name in sorted(inner.reads)]
        self.events += [Event("mutate", name) for name in sorted(inner.mutates)]
        self.events += [Event("bind", name) for name in sorted(inner.binds)]
        self.events += [Event("barrier", "a call")] if inner.barrier else []
        self.events.append(Event("leave"))

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._all([*node.decorator_list, *node.bases, *(item.value for item in node.keywords)])
        inner = effects_of([node], self._scopes)
        self._scopes.append(Scope(is_class=True))
        self._all(node.body)
        self._scopes.pop()
        if self._scopes and not self._scopes[-1].is_class:
            self._apply(inner)
        bases = frozenset[str]().union(*[held(base) for base in node.bases])
        holds, calls = _decorated(node)
        self._emit(Event("bind", node.name, inner, holds | bases, calls))

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
    ) -> None:
        self.visit(node.generators[0].iter)
        targets = frozenset(stored([generator.target for generator in node.generators]))
        self._scopes.append(Scope(targets))
        parts: list[ast.AST] = []
        for number, generator in enumerate(node.generators):
            parts += [*([generator.iter] if number else []), generator.target, *generator.ifs]
        parts += [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._perhaps(parts)
        self._scopes.pop()

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
        self._perhaps(node.values[1:])

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self._perhaps([node.target, *node.body])
        self._perhaps(node.orelse)

    visit_AsyncFor = visit_For

    def visit_While(self, node: ast.While) -> None:
        self.visit(node.test)
        self._perhaps(node.body)
        self._perhaps(node.orelse)

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        if node.handlers:
            self._perhaps([*node.body, *node.orelse])
            for handler in node.handlers:
                self._perhaps([handler])
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
            self._perhaps([case])

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

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        if isinstance(function, ast.Attribute) and _is_shell(function.value):
            self._shell(function.attr, node.args)
            return
        self.generic_visit(node)
        if isinstance(function, ast.Attribute):
            self._change(function)
        elif isinstance(function, ast.Name) and not is_local(function.id, self._scopes):
            top = not self._scopes and not node.args
            if function.id in _BARRIERS or (top and function.id in _TOP_BARRIERS):
                self._emit(Event("barrier", f"{function.id}()"))

    def _shell(self, method: str, arguments: list[ast.expr]) -> None:
        """A call that IPython makes of a magic or a shell escape."""
        texts = [ast.literal_eval(item) for item in arguments if isinstance(item, ast.Constant)]
        texts = [text for text in texts if isinstance(text, str)]
        name = texts[0] if texts else ""
        if method in ("run_line_magic", "run_cell_magic") and name in PYTHON_LINES:
            try:
                inner = ast.parse(re.sub(r"^(\s*-\w+(\s*\d+)?)+\s*", "", texts[1]))
            except (SyntaxError, IndexError):
                self._emit(Event("barrier", f"%{name}"))
            else:
                self._all(inner.body)
        elif method in ("system", "getoutput") or (
            method == "run_line_magic" and name in PLAIN_LINES
        ):
            for found in _EXPANDED.finditer(" ".join(texts)):
                self._emit(Event("read", found[1] or found[2]))
        else:
            self._emit(Event("barrier", f"%{name}"))


def _is_shell(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "get_ipython"
    )


def _decorated(
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef,
) -> tuple[frozenset[str], frozenset[str]]:
    """Names of which a decorated definition may hold the code, and those called to make it."""
    nothing = frozenset[str]()
    return (
        nothing.union(*[held(item) for item in node.decorator_list]),
        nothing.union(*[called(item) for item in node.decorator_list]),
    )


def effects_of(nodes: Iterable[ast.AST], scopes: Iterable[Scope] = ()) -> Effects:
    """What the bodies of functions, and of the methods of classes, may do to global names."""
    total = Effects()
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            inner = [
                item for item in own(node.body) if isinstance(item, (*FUNCTIONS, ast.ClassDef))
            ]
            total |= effects_of(inner, scopes) | Effects(makes=True)
        elif isinstance(node, FUNCTIONS):
            walker = _Walker([*scopes, function_scope(node)])
            body = node.body if isinstance(node.body, list) else [node.body]
            for item in body:
                walker.visit(item)
            names: dict[Kind, set[str]] = {}
            for event in walker.events:
                names.setdefault(event.kind, set()).add(event.name)
            total |= Effects(
                frozenset(names.get("read", ())),
                frozenset(names.get("bind", set()) | names.get("delete", set())),
                frozenset(names.get("mutate", ())),
                "barrier" in names,
                any(isinstance(item, (*FUNCTIONS, ast.ClassDef)) for item in own(body)),
            )
    return total
