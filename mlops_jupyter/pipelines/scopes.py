"""Python's scoping: which names a piece of code has for itself."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SCOPES = (*FUNCTIONS, *_COMPREHENSIONS, ast.ClassDef)


@dataclass
class Scope:
    """A function, comprehension or class body that is being walked.

    ``local`` are the names of a function or comprehension; a class body has those that it
    ``defined`` so far, which code nested in it does not see.
    """

    local: frozenset[str] = frozenset()
    is_class: bool = False
    defined: set[str] = field(default_factory=set)
    globals: frozenset[str] = frozenset()


def is_local(name: str, scopes: Sequence[Scope]) -> bool:
    """Whether ``name`` belongs to one of the scopes around (innermost last) and is not global."""
    for depth, scope in enumerate(reversed(scopes)):
        if name in scope.globals:
            return False
        if name in (scope.local if not scope.is_class else scope.defined if not depth else ()):
            return True
    return False


def function_scope(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Scope:
    """The scope of a function's body."""
    body = node.body if isinstance(node.body, list) else [node.body]
    arguments = node.args
    everyone = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    everyone += [found for found in (arguments.vararg, arguments.kwarg) if found]
    declared = frozenset(
        name for item in own(body) if isinstance(item, ast.Global) for name in item.names
    )
    local = {*(argument.arg for argument in everyone), *stored(body)} - declared
    return Scope(frozenset(local), globals=declared)


def own(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """The nodes of a scope's own code. Inner scopes are yielded but not entered, except that a
    comprehension's walrus binds in the scope around it."""
    for node in body:
        yield node
        if isinstance(node, _COMPREHENSIONS):
            yield from (item for item in ast.walk(node) if isinstance(item, ast.NamedExpr))
        elif not isinstance(node, _SCOPES):
            yield from own(ast.iter_child_nodes(node))


def stored(body: Iterable[ast.AST]) -> Iterator[str]:
    """Names that a scope's own code binds."""
    for node in own(body):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.NamedExpr):
            yield node.target.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (item.asname or item.name.partition(".")[0] for item in node.names)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name
        elif isinstance(node, ast.MatchMapping) and node.rest:
            yield node.rest


def root(node: ast.AST) -> str | None:
    """The name under attributes and subscripts: ``df`` of ``df.loc[0].x``."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def held(value: ast.AST) -> frozenset[str]:
    """Names that stand as values in an expression, so that its result may hold what they hold."""
    functions = {id(node.func) for node in ast.walk(value) if isinstance(node, ast.Call)}
    return frozenset(
        node.id
        for node in ast.walk(value)
        if isinstance(node, ast.Name) and id(node) not in functions
    )


def called(value: ast.AST) -> frozenset[str]:
    """Names that an expression calls."""
    return frozenset(
        node.func.id
        for node in ast.walk(value)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    )
