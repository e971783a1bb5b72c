"""Write ``src/models.ts`` from ``mlops_jupyter/models.py``; ``--check`` only compares.

::

    python labextension/generate_models.py [--check]

Every dataclass becomes an exported interface, every ``Literal`` or union alias an exported type,
every docstring a doc comment. ``dict[str, float]`` -> ``Record<string, number>``, ``X | None``
-> ``X | null``, ``Any`` -> ``unknown``, inheritance -> ``extends``.
"""

from __future__ import annotations

import ast
import sys
import textwrap
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent / "mlops_jupyter" / "models.py"
TARGET = HERE / "src" / "models.ts"

HEADER = """\
/**
 * What crosses the wire. Made by generate_models.py from mlops_jupyter/models.py: edit that file,
 * then run `jlpm models`.
 */
"""
_NAMES = {
    "str": "string",
    "int": "number",
    "float": "number",
    "bool": "boolean",
    "None": "null",
    "Any": "unknown",
}


def type_of(node: ast.expr) -> str:
    """The TypeScript type of a Python annotation.

    Raises
    ------
    ValueError
        If the annotation has no counterpart that this generator knows.
    """
    if isinstance(node, ast.Constant):
        return "null" if node.value is None else repr(node.value)
    if isinstance(node, ast.Name):
        return _NAMES.get(node.id, node.id)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union([node.left, node.right])
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if node.value.id == "Literal":
            return _union(items)
        if node.value.id == "list":
            inner = type_of(items[0])
            return f"({inner})[]" if " | " in inner else f"{inner}[]"
        if node.value.id == "dict" and type_of(items[0]) == "string":
            return f"Record<string, {type_of(items[1])}>"
    raise ValueError(f"No TypeScript type for {ast.unparse(node)!r} (line {node.lineno}).")


def _union(nodes: list[ast.expr]) -> str:
    parts = " | ".join(type_of(node) for node in nodes).split(" | ")
    return " | ".join(dict.fromkeys(parts))


def _comment(text: str | None, indent: str = "") -> list[str]:
    if not text:
        return []
    lines = textwrap.wrap(" ".join(text.replace("``", "`").split()), 96 - len(indent))
    if len(lines) == 1:
        return [f"{indent}/** {lines[0]} */"]
    return [f"{indent}/**", *(f"{indent} * {line}" for line in lines), f"{indent} */"]


def _alias(node: ast.Assign) -> list[str]:
    name = node.targets[0]
    is_alias = isinstance(node.value, (ast.BinOp, ast.Subscript))
    if not (isinstance(name, ast.Name) and name.id[0].isupper() and is_alias):
        return []
    return [f"export type {name.id} = {type_of(node.value)};", ""]


def _interface(node: ast.ClassDef) -> list[str]:
    bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
    extends = f" extends {', '.join(bases)}" if bases else ""
    lines = _comment(ast.get_docstring(node))
    if not bases and not any(isinstance(item, ast.AnnAssign) for item in node.body):
        return [*lines, f"export type {node.name} = Record<string, never>;", ""]
    lines.append(f"export interface {node.name}{extends} {{")
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            lines.append(f"  {item.target.id}: {type_of(item.annotation)};")
    return [*lines, "}", ""]


def generate(source: str) -> str:
    """The TypeScript text for the Python text ``source``."""
    lines = [HEADER]
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign):
            lines += _alias(node)
        elif isinstance(node, ast.ClassDef) and any(
            "dataclass" in ast.unparse(decorator) for decorator in node.decorator_list
        ):
            lines += _interface(node)
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Write the file, or with ``--check`` return 1 if it is not up to date."""
    text = generate(SOURCE.read_text(encoding="utf-8"))
    if "--check" not in arguments:
        TARGET.write_text(text, encoding="utf-8")
        return 0
    if TARGET.is_file() and TARGET.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write("src/models.ts is not up to date. Run: jlpm models\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
