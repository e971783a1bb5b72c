"""The ``parameters`` cell as a typed contract, and values checked against it.

A line ``name: type = default  # help`` declares a parameter; help may also stand in comment lines
right above it, or be a text of ``Annotated[type, "help"]``. Without annotation the type is the
default's, if that is a literal or made of literals (``60 * 60``, ``["a"] * 3``): ``int``,
``float``, ``str``, ``bool``, ``list``, ``dict``; ``None`` and all else give ``any``. Annotations
may be those names, ``None``, ``Optional[...]``, unions and ``Literal[...]``; any other annotation
is shown as it is and accepts what is given.
"""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import InvalidInput
from ..models import Parameter
from ..notebook import tags
from .steps import PARAMETERS

ANY = "any"
BUILT_IN = frozenset({"PAPERMILL_INPUT_PATH", "PAPERMILL_OUTPUT_PATH"})
_TYPES = ("bool", "int", "float", "str", "list", "dict")
_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}
_TITLE = re.compile(r"(\w+[ -])?(hyper-?)?param(eter)?s?( cell)?:?")
_NONE = {"none", "null"}


def declared(notebook: Any) -> list[Parameter]:
    """The parameters that the notebook's first cell tagged ``parameters`` declares.

    ``Parameter.default`` is a string's own text, and the source of any other value. A cell that
    does not parse declares none (the analysis refuses it with its line).
    """
    for cell in notebook.cells:
        if cell.cell_type == "code" and PARAMETERS in tags(cell):
            return _declared(cell.source)
    return []


def _declared(source: str) -> list[Parameter]:
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []
    beside, alone = _comments(source)
    found: dict[str, Parameter] = {}
    for node in tree.body:
        about = ""
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            annotation, about = _without_help(node.annotation)
            value, kind = node.value, _annotation(annotation)
        elif isinstance(node, ast.Assign):
            value, kind = node.value, _type_of(node.value)
        else:
            continue
        text = ast.get_source_segment(source, value) or ast.unparse(value)
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            text = value.value
        about = beside.get(node.end_lineno or node.lineno) or about or _above(node.lineno, alone)
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Name):
                found[target.id] = Parameter(target.id, kind, text, about)
    return list(found.values())


def _annotation(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    text = ast.unparse(node)
    return ANY if text in ("Any", "typing.Any", "object") else text


def _without_help(node: ast.expr) -> tuple[ast.expr, str]:
    """The type in ``Annotated[type, ...]`` and the texts beside it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            node = ast.parse(node.value, mode="eval").body
        except SyntaxError:
            return node, ""
    if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Tuple):
        return node, ""
    if ast.unparse(node.value).rpartition(".")[2] != "Annotated":
        return node, ""
    kind, *extra = node.slice.elts
    texts = [item.value for item in extra if isinstance(item, ast.Constant)]
    return kind, " ".join(text for text in texts if isinstance(text, str))


def _type_of(value: ast.expr) -> str:
    """The type of a default without annotation: what its expression certainly gives."""
    by_node = {ast.JoinedStr: "str", ast.ListComp: "list", ast.DictComp: "dict"}
    if type(value) in by_node:
        return by_node[type(value)]
    if isinstance(value, ast.BinOp):
        return _type_of_operation(value)
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.Not):
        return "bool"
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        return value.func.id if value.func.id in _TYPES else ANY
    try:
        kind = type(ast.literal_eval(value)).__name__
    except (ValueError, TypeError, SyntaxError):
        return ANY
    return kind if kind in _TYPES else ANY


def _type_of_operation(value: ast.BinOp) -> str:
    left, right = _type_of(value.left), _type_of(value.right)
    kinds = {left, right}
    kind = ANY
    if kinds <= {"int", "float"}:
        kind = "float" if "float" in kinds or isinstance(value.op, ast.Div) else "int"
        if isinstance(value.op, ast.Pow) and not isinstance(value.right, ast.Constant):
            kind = ANY
    elif isinstance(value.op, ast.Add) and kinds in ({"str"}, {"list"}):
        kind = left
    elif isinstance(value.op, ast.Mult) and "int" in kinds and kinds & {"str", "list"}:
        kind = next(iter(kinds - {"int"}))
    elif isinstance(value.op, ast.Mod) and left == "str":
        kind = "str"
    return kind


def _above(line: int, alone: dict[int, str]) -> str:
    """The comment lines that end right above ``line``."""
    first = line
    while first - 1 in alone:
        first -= 1
    lines = [alone[number] for number in range(first, line) if alone[number]]
    return " ".join(lines[1:] if lines and _TITLE.fullmatch(lines[0].lower()) else lines)


def _comments(source: str) -> tuple[dict[int, str], dict[int, str]]:
    """Comments by 1-based line: those beside code, and those alone in their line."""
    beside: dict[int, str] = {}
    alone: dict[int, str] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            stands_alone = not token.line[: token.start[1]].strip()
            text = token.string.lstrip("#").strip().strip("-=").strip()
            (alone if stands_alone else beside)[token.start[0]] = text
    return beside, alone


def check(parameters: list[Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of ``given`` by their declared types.

    Parameters
    ----------
    parameters:
        What the notebook declares.
    given:
        Values by name. Strings (as a command line gives them) are converted to the declared type;
        other values must already have it.

    Raises
    ------
    InvalidInput
        If a name is not declared, or a value does not fit its type.
    """
    known = {parameter.name: parameter for parameter in parameters}
    for name in given:
        if name not in known:
            hint = "Tag a cell of the notebook `parameters` and assign the defaults there."
            if known:
                hint = f"Known: {', '.join(known)}."
            raise InvalidInput(f"The notebook has no parameter {name!r}.", hint=hint)
    return {name: _convert(known[name], value) for name, value in given.items()}


def _convert(parameter: Parameter, value: Any) -> Any:
    try:
        options = _options(ast.parse(parameter.type, mode="eval").body)
    except (SyntaxError, ValueError):
        options = [_anything]
    for option in options:
        try:
            return option(value)
        except (ValueError, TypeError, SyntaxError, RecursionError):
            continue
    given = repr(value) if isinstance(value, str) else f"{value!r} ({type(value).__name__})"
    raise InvalidInput(
        f"Parameter {parameter.name!r} must be {parameter.type}, not {given[:200]}.",
        hint=f"The default is {parameter.default or 'empty'}.",
    )


def _options(node: ast.expr) -> list[Callable[[Any], Any]]:
    """Converters that an annotation allows, the strictest first (``str`` takes any text)."""
    names = [ast.unparse(part).rpartition(".")[2] for part in _alternatives(node)]
    order = ["None", *_TYPES[:3], "list", "dict"]
    names.sort(key=lambda name: order.index(name) if name in order else len(order))
    options = [_CONVERTERS[name] for name in names if name in _CONVERTERS]
    for part in _alternatives(node):
        base = ast.unparse(part.value if isinstance(part, ast.Subscript) else part)
        base = base.rpartition(".")[2]
        if base == "Literal" and isinstance(part, ast.Subscript):
            options.insert(0, _one_of(part.slice))
        elif isinstance(part, ast.Subscript) and base.lower() in ("list", "dict"):
            options.insert(0, _CONVERTERS[base.lower()])
        elif base not in _CONVERTERS:
            options.append(_anything)
    return options


def _alternatives(node: ast.expr) -> list[ast.expr]:
    """``Optional[int]``, ``Union[int, None]`` and ``int | None`` as their parts."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _alternatives(node.left) + _alternatives(node.right)
    if isinstance(node, ast.Subscript):
        base = ast.unparse(node.value).rpartition(".")[2]
        if base == "Optional":
            return [*_alternatives(node.slice), ast.Constant(None)]
        if base == "Union":
            parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            return [found for part in parts for found in _alternatives(part)]
    return [node]


def _one_of(node: ast.expr) -> Callable[[Any], Any]:
    choices = [
        ast.literal_eval(item) for item in (node.elts if isinstance(node, ast.Tuple) else [node])
    ]

    def convert(value: Any) -> Any:
        for choice in choices:
            if value == choice and type(value) is type(choice):
                return choice
        for choice in choices:
            if isinstance(value, str) and value == str(choice):
                return choice
        raise ValueError(value)

    return convert


def _none(value: Any) -> None:
    if value is not None and not (isinstance(value, str) and value.lower() in _NONE):
        raise ValueError(value)


def _bool(value: Any) -> bool:
    if isinstance(value, str) and value.strip().lower() in _TRUE | _FALSE:
        return value.strip().lower() in _TRUE
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def _int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(value)
    return int(value)


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(value)
    return float(value)


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    return value


def _container(kind: type) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                value = ast.literal_eval(value)
        if not isinstance(value, kind):
            raise ValueError(value)
        return value

    return convert


def _anything(value: Any) -> Any:
    """Text that looks like a bool, ``None`` or a number becomes it, as papermill does."""
    for option in (_exact_word, _int, _float) if isinstance(value, str) else ():
        try:
            return option(value)
        except ValueError:
            continue
    return value


def _exact_word(value: str) -> bool | None:
    words = {"True": True, "False": False, "None": None}
    if value not in words:
        raise ValueError(value)
    return words[value]


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "None": _none,
    "bool": _bool,
    "int": _int,
    "float": _float,
    "str": _str,
    "list": _container(list),
    "dict": _container(dict),
    ANY: _anything,
}
