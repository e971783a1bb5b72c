"""Control flow: code that may not run, loops and what they bind."""

# ruff: noqa: D102 - visit_X says what an X does

from __future__ import annotations

import ast
from collections.abc import Iterable

from .events import Event, Value
from .methods import words
from .scopes import dotted, held
from .shell import asked_for, is_shell
from .walker import Walker

# Managers that let no exception of their block pass unseen: the block runs to its end.
_STRICT = words(
    """open errstate catch_warnings no_grad inference_mode start_run option_context rc_context
    context Pool ThreadPool ThreadPoolExecutor ProcessPoolExecutor ZipFile TarFile closing
    connect urlopen TemporaryDirectory NamedTemporaryFile parallel_backend config_context
    autocast Session session device scope Progress tqdm redirect_stdout redirect_stderr Output
    plotting_context axes_style color_palette localcontext Parallel Model ExcelWriter HDFStore
    File cursor strategy nullcontext GradientTape"""
)


class Target(ast.expr):
    """Stands in a list of nodes for a target that takes ``value``."""

    def __init__(self, target: ast.expr, value: Value) -> None:
        super().__init__()
        self.target = target
        self.value = value


class Branches(Walker):
    """Walks statements and expressions of which parts may not run."""

    def _either(self, *branches: Iterable[ast.AST | None]) -> None:
        """Alternatives of which one runs: what all of them bind is bound."""
        self.rebind(set.intersection(*[self.perhaps(branch) for branch in branches]))

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
        asked = asked_for(node)
        if asked and not (self.in_function and asked[0] != "globals") and not self.local(asked[0]):
            self.emit(Event("read", asked[0]))
            self.emit(Event("read", asked[1]))
            return
        self.all(item for item in [node.left, *node.comparators[:1]] if not is_shell(item))
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
        self.perhaps([Target(node.target, value), *node.body])
        self.perhaps(node.orelse)

    visit_AsyncFor = visit_For

    def visit_Target(self, node: Target) -> None:
        """A loop's or manager's target."""
        if isinstance(node.target, ast.Attribute | ast.Subscript):
            self.visit(node.target)
        else:
            self.bind_stored(node.target, node.value)

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
                self.visit(Target(item.optional_vars, value))
        if strict:
            self.all(node.body)
        else:
            self.perhaps(node.body)

    visit_AsyncWith = visit_With

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        if node.handlers:
            bound = [self.perhaps([*node.body, *node.orelse])]
            for handler in node.handlers:
                handled = self.perhaps([handler]) - {handler.name or ""}
                if not isinstance(handler.body[-1], ast.Raise):
                    bound.append(handled)
            self.rebind(set.intersection(*bound))
        else:
            self.all(node.body)
        self.all(node.finalbody)

    def visit_TryStar(self, node: ast.TryStar) -> None:
        self.visit_Try(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self.all([node.type])
        self._bind_if(node.name)
        self.all(node.body)

    def visit_Match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        for case in node.cases:
            self.perhaps([case])

    def _bind_if(self, name: str | None) -> None:
        if name:
            self.emit(Event("bind", name))

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self.all([node.pattern])
        self._bind_if(node.name)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        self._bind_if(node.name)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self.generic_visit(node)
        self._bind_if(node.rest)
