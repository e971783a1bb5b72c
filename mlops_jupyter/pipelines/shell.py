"""Ways to IPython's shell and to the notebook's namespace that are looked at as such."""

from __future__ import annotations

import ast

_NAMESPACES = frozenset({"globals", "locals", "vars", "dir"})
SHELL_READS = frozenset({"__class__", "has_trait", "__repr__", "colors", "kernel"})


def is_shell(node: ast.AST) -> bool:
    """Whether a node is ``get_ipython()``."""
    return isinstance(node, ast.Call) and is_handle(node.func)


def is_handle(node: ast.AST) -> bool:
    """Whether a node is ``get_ipython``."""
    return isinstance(node, ast.Name) and node.id == "get_ipython"


def asked_for(node: ast.Compare) -> tuple[str, str] | None:
    """For ``"name" in globals()`` (or ``locals()``, ``vars()``, ``dir()``): the builtin and the
    name."""
    if len(node.ops) != 1 or not isinstance(node.ops[0], ast.In | ast.NotIn):
        return None
    name, namespace = node.left, node.comparators[0]
    if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
        return None
    if not isinstance(namespace, ast.Call) or namespace.args:
        return None
    builtin = namespace.func.id if isinstance(namespace.func, ast.Name) else ""
    return (builtin, name.value) if builtin in _NAMESPACES else None
