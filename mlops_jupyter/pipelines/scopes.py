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
    is_function: bool = False


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
    declared = frozenset(
        name for item in own(body) if isinstance(item, ast.Global) for name in item.names
    )
    local = {*(argument.arg for argument in parameters_of(node)), *stored(body)} - declared
    return Scope(frozenset(local), globals=declared, is_function=True)


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


def parameters_of(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> list[ast.arg]:
    """All parameters of a function in the order in which calls fill them."""
    arguments = node.args
    extra = [found for found in (arguments.vararg, arguments.kwarg) if found]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *extra]


def root(node: ast.AST) -> str | None:
    """The name under attributes and subscripts: ``df`` of ``df.loc[0].x``."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def dotted(node: ast.AST) -> str:
    """The path that an expression goes from a name: ``alt.Chart().mark_bar`` for
    ``alt.Chart(df).mark_bar``, ``os.environ[]`` for ``os.environ["A"]``; empty if it starts
    elsewhere."""
    parts: list[str] = []
    while True:
        if isinstance(node, ast.Attribute):
            parts.append(f".{node.attr}")
            node = node.value
        elif isinstance(node, ast.Subscript):
            parts.append("[]")
            node = node.value
        elif isinstance(node, ast.Call):
            parts.append("()")
            node = node.func
        elif isinstance(node, ast.Name):
            return node.id + "".join(reversed(parts))
        else:
            return ""


def first(path: str) -> str:
    """The name that a :func:`dotted` path starts with."""
    return path.partition(".")[0].partition("[")[0].partition("(")[0]


def own_returns(body: Iterable[ast.AST]) -> Iterator[ast.expr]:
    """What the ``return`` statements of a function's own code give back."""
    for node in own(body):
        if isinstance(node, ast.Return) and node.value is not None:
            yield node.value


def is_generator(body: Iterable[ast.AST]) -> bool:
    """Whether a function with this body gives a generator."""
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in own(body))


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
