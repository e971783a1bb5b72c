"""What can be said of an expression's value: what it may share, whether it can change."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import replace

from .events import Argument, Call, Value
from .methods import ATOMIC, FRESH, HOLDING, ONCE
from .scopes import called, dotted, held

Origins = Callable[[str], frozenset[str]]
_NOTHING = frozenset[str]()
_HANDLES = frozenset({"globals", "locals", "vars", "get_ipython"})
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)
_DISPLAYS = (ast.List, ast.Tuple, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
_COPIED_BY = (ast.Compare, ast.List, ast.ListComp)  # df[df.a > 1], df[["a"]]
_WRAPPERS = (ast.Attribute, ast.Subscript, ast.Starred, ast.Await, ast.NamedExpr, ast.keyword)


class Values:
    """Reads expressions; ``origins`` tells what names may share the object of a name: itself if
    it is global, the parameters it came from if it is local."""

    def __init__(self, origins: Origins) -> None:
        self._origins = origins
        self._calls: dict[ast.Call, Call] = {}

    def of(self, node: ast.expr) -> Value:
        """What is known of the value of ``node``."""
        shares, calls = self.shared(node)
        return Value(
            held(node),
            called(node),
            shares,
            tuple(calls),
            atom=_atom(node),
            text=_joined(node),
            once=isinstance(node, ast.GeneratorExp) or _builtin(node) in ONCE,
            awaited=isinstance(node, ast.Await),
            handle=_builtin(node) if _builtin(node) in _HANDLES else "",
        )

    def shared(self, node: ast.AST) -> tuple[frozenset[str], list[Call]]:
        """Names whose object the value may be, hold or look into, and calls that may give it."""
        names: set[str] = set()
        calls: list[Call] = []
        self._collect(node, names, calls, {})
        return frozenset(names), calls

    def _collect(
        self,
        node: ast.AST,
        names: set[str],
        calls: list[Call],
        local: dict[str, set[str]],
    ) -> None:
        if isinstance(node, ast.Name):
            names |= local[node.id] if node.id in local else self._origins(node.id)
        elif isinstance(node, ast.Call):
            self._call(node, names, calls, local)
        elif isinstance(node, _COMPREHENSIONS):
            self._comprehension(node, names, calls, local)
        else:
            self._each(_inside(node), names, calls, local)

    def _comprehension(
        self,
        node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp,
        names: set[str],
        calls: list[Call],
        local: dict[str, set[str]],
    ) -> None:
        inner = dict(local)
        for generator in node.generators:
            source: set[str] = set()
            self._collect(generator.iter, source, calls, inner)
            for item in ast.walk(generator.target):
                if isinstance(item, ast.Name):
                    inner[item.id] = source
        element = node.value if isinstance(node, ast.DictComp) else node.elt
        self._collect(element, names, calls, inner)

    def _each(
        self,
        nodes: Iterable[ast.AST],
        names: set[str],
        calls: list[Call],
        local: dict[str, set[str]],
    ) -> None:
        for node in nodes:
            self._collect(node, names, calls, local)

    def _call(
        self, node: ast.Call, names: set[str], calls: list[Call], local: dict[str, set[str]]
    ) -> None:
        builtin = _builtin(node)
        if builtin in HOLDING:
            self._each([*node.args, *(item.value for item in node.keywords)], names, calls, local)
        elif builtin not in ATOMIC:
            if isinstance(node.func, ast.Attribute) and node.func.attr not in FRESH:
                self._collect(node.func.value, names, calls, local)
            calls.append(self.call(node))

    def call(self, node: ast.Call, *, discarded: bool = False, last: bool = False) -> Call:
        """A call as the analysis sees it."""
        if node not in self._calls:
            self._calls[node] = self._read(node)
        found = self._calls[node]
        return replace(found, discarded=True, last=last) if discarded else found

    def _read(self, node: ast.Call) -> Call:
        function = node.func
        receivers = self.shared(function.value)[0] if isinstance(function, ast.Attribute) else None
        arguments = []
        for place, item in enumerate(node.args):
            starred = isinstance(item, ast.Starred)
            arguments.append(self._argument("*" if starred else place, item))
        for keyword in node.keywords:
            arguments.append(self._argument(keyword.arg or "**", keyword.value))
        return Call(
            dotted(function)
            or (f".{function.attr}" if isinstance(function, ast.Attribute) else ""),
            receivers=receivers or _NOTHING,
            arguments=tuple(arguments),
        )

    def _argument(self, place: int | str, node: ast.expr) -> Argument:
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str):
                return Argument(place, text=node.value)
            return Argument(place, constant=repr(node.value))
        text = _joined(node)
        if text is not None:
            return Argument(place, text=text)
        return Argument(place, self.shared(node)[0])


def _inside(node: ast.AST) -> list[ast.expr]:
    """The parts of an expression that its value may be, hold or look into."""
    found: list[ast.expr] = []
    if isinstance(node, ast.Subscript) and _selects(node.slice):
        pass
    elif isinstance(node, _WRAPPERS):
        found = [node.value]
    elif isinstance(node, ast.IfExp):
        found = [node.body, node.orelse]
    elif isinstance(node, ast.BoolOp | ast.Dict):
        found = node.values
    elif isinstance(node, ast.Tuple | ast.List | ast.Set):
        found = node.elts
    elif isinstance(node, ast.BinOp) and _adds_containers(node):
        found = [node.left, node.right]
    return found


def _adds_containers(node: ast.BinOp) -> bool:
    """Whether ``a + [b]``, ``[a] * n`` or ``a | {b: c}``: the result holds the same items."""
    if not isinstance(node.op, ast.Add | ast.Mult | ast.BitOr):
        return False
    return any(
        isinstance(side, _DISPLAYS)
        or (isinstance(side, ast.BinOp) and _adds_containers(side))
        or _builtin(side) in ("list", "tuple", "dict", "set")
        for side in (node.left, node.right)
    )


def _selects(index: ast.expr) -> bool:
    """Whether ``x[index]`` is a selection that copies: by a condition or a list."""
    if isinstance(index, ast.UnaryOp) and isinstance(index.op, ast.Invert):
        return True
    if isinstance(index, ast.BinOp) and isinstance(index.op, ast.BitAnd | ast.BitOr):
        return True
    return isinstance(index, _COPIED_BY)


def _joined(node: ast.expr) -> str | None:
    """The text of literal strings added to each other."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _joined(node.left), _joined(node.right)
        return left + right if left is not None and right is not None else None
    return None


def _builtin(node: ast.AST) -> str:
    """The name that a call calls, if it is a plain one."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id
    return ""


def _atom(node: ast.expr) -> frozenset[str] | None:
    """Names on whose values it depends whether the value can change; ``None`` if it surely or
    maybe can. Numbers, text and results of ``is`` and ``in`` cannot."""
    if isinstance(node, ast.Name):
        return frozenset({node.id})
    if isinstance(node, ast.Constant | ast.JoinedStr) or _builtin(node) in ATOMIC:
        return _NOTHING
    if isinstance(node, ast.Compare):  # arrays compare to arrays
        identity = (ast.Is, ast.IsNot, ast.In, ast.NotIn)
        plain = all(isinstance(operator, identity) for operator in node.ops)
        return _NOTHING if plain else _all_atoms([node.left, *node.comparators])
    if isinstance(node, ast.UnaryOp):
        return _NOTHING if isinstance(node.op, ast.Not) else _atom(node.operand)
    if isinstance(node, ast.BinOp):
        return _all_atoms([node.left, node.right])
    return _all_atoms(node.elts) if isinstance(node, ast.Tuple) else None


def _all_atoms(nodes: Iterable[ast.expr]) -> frozenset[str] | None:
    found = [_atom(node) for node in nodes]
    known = [names for names in found if names is not None]
    return _NOTHING.union(*known) if len(known) == len(found) else None
