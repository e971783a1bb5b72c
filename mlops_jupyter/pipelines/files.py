"""Literal file paths that code reads and writes, by the calls that usually do so.

Known are ``open``, ``Path(...).read_text`` and its kin, ``to_*`` methods, ``savefig``, ``read_*``
functions, and the ``load``/``save``/``dump`` functions of numpy, joblib, torch and the like. A
path may also be a name that was assigned one literal string.
"""

from __future__ import annotations

import ast
import posixpath
import re

_READERS = re.compile(r"read_\w+|load|loadtxt|genfromtxt|loadmat|imread|scan_\w+")
_WRITERS = re.compile(r"to_\w+|savefig|write_\w+|imwrite|imsave|write_image|write_html")
_SECOND = frozenset({"dump"})
_FIRST_WRITERS = frozenset({"save", "savez", "savez_compressed", "savetxt", "savemat"})
_PATH_READS = frozenset({"read_text", "read_bytes"})
_PATH_WRITES = frozenset({"write_text", "write_bytes"})
_KEYWORDS = ("path", "path_or_buf", "filepath_or_buffer", "fname", "file", "filename", "io")
_SUFFIXES = {"save": ".npy", "savez": ".npz", "savez_compressed": ".npz"}


def normal(path: str) -> str:
    """``path`` in one spelling: ``./a//b.csv`` and ``a/b.csv`` are the same file."""
    return posixpath.normpath(path.strip().strip("\"'"))


def find(tree: ast.AST, constants: dict[str, str]) -> tuple[set[str], set[str]]:
    """Paths that code reads, and paths that it writes.

    Parameters
    ----------
    tree:
        Parsed code.
    constants:
        Names known to be one literal string; assignments in ``tree`` are added or, if the name
        is assigned anything else, removed.
    """
    _learn(tree, constants)
    read: set[str] = set()
    written: set[str] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = _called(node.func)
        if name == "open":
            _open(node, constants, read, written)
        elif name in _PATH_READS | _PATH_WRITES and isinstance(node.func, ast.Attribute):
            path = _path(node.func.value, constants)
            (read if name in _PATH_READS else written).update([path] if path else [])
        elif name in _SECOND:
            path = (
                _path(node.args[1], constants) if len(node.args) > 1 else _keyword(node, constants)
            )
            written.update([path] if path else [])
        elif name in _FIRST_WRITERS or _WRITERS.fullmatch(name):
            found = _argument(node, constants)
            if name == "save" and found is None and len(node.args) > 1:  # torch.save(object, path)
                found = _path(node.args[1], constants)
            elif found and name in _SUFFIXES and not posixpath.splitext(found)[1]:
                found += _SUFFIXES[name]
            written.update([found] if found else [])
        elif _READERS.fullmatch(name):
            found = _argument(node, constants)
            read.update([found] if found else [])
    return read, written


def _learn(tree: ast.AST, constants: dict[str, str]) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            constants.pop(node.id, None)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            text = _path(node.value, constants)
            for target in targets:
                if isinstance(target, ast.Name):
                    if text is None:
                        constants.pop(target.id, None)
                    else:
                        constants[target.id] = text


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _path(node: ast.expr, constants: dict[str, str]) -> str | None:
    """The literal path that an expression is: a string, ``Path("x")``, ``Path("a") / "b"``."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = node.value.strip()
        return normal(text) if text and "\n" not in text and "://" not in text else None
    if isinstance(node, ast.Name):
        return constants.get(node.id)
    if isinstance(node, ast.Call) and _called(node.func) in ("Path", "PurePath", "str"):
        return _path(node.args[0], constants) if len(node.args) == 1 else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        left, right = _path(node.left, constants), _path(node.right, constants)
        return posixpath.normpath(f"{left}/{right}") if left and right else None
    return None


def _keyword(node: ast.Call, constants: dict[str, str]) -> str | None:
    for item in node.keywords:
        if item.arg in _KEYWORDS:
            return _path(item.value, constants)
    return None


def _argument(node: ast.Call, constants: dict[str, str]) -> str | None:
    return _path(node.args[0], constants) if node.args else _keyword(node, constants)


def _open(node: ast.Call, constants: dict[str, str], read: set[str], written: set[str]) -> None:
    """``open(path, mode)``, ``gzip.open(path, mode)`` and ``Path(path).open(mode)``."""
    function, arguments = node.func, list(node.args)
    path = _path(arguments[0], constants) if arguments else _keyword(node, constants)
    own_path = _path(function.value, constants) if isinstance(function, ast.Attribute) else None
    if own_path is not None:
        path, arguments = own_path, [function, *arguments]
    if path is None:
        return
    modes = [item.value for item in node.keywords if item.arg == "mode"] or arguments[1:2]
    mode = modes[0].value if modes and isinstance(modes[0], ast.Constant) else "r"
    if set(str(mode)) & set("wax+"):
        written.add(path)
    if set(str(mode)) & set("ra+"):
        read.add(path)
