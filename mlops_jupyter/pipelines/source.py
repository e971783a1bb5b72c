"""From a cell's text to Python's AST: IPython's own transformer first, cell magics unwrapped."""

from __future__ import annotations

import ast
import functools
import re
import warnings
from typing import Any

from ..errors import InvalidInput
from ..models import Step
from ..notebook import tags
from .magic import AUTOMAGIC, PYTHON_CELLS, magic

RAISES = "raises-exception"
_FIRST_WORD = re.compile(r"(\w+)(?!\.|\s*[=,])\b.*")
_CONVERT = (
    "Convert it to Python 3, for example with 2to3 (in Python up to 3.12: python -m lib2to3), "
    "or tag it `skip`."
)
# What only Python 2 understands; tried on the line of a syntax error.
_PYTHON_2 = {
    "print statement": re.compile(r"(.*[;:])?\s*print\b\s*(?![\s=.,)(]|\()\S|.*\bprint\s+[\"'\w]"),
    "exec statement": re.compile(r"(.*[;:])?\s*exec\s+[\"'\w]"),
    "`except Error, name`": re.compile(r"\s*except\s+[\w.]+\s*,\s*\w+\s*:.*"),
    "`raise Error, message`": re.compile(r"(.*[;:])?\s*raise\s+[\w.]+\s*,.*"),
    "backticks": re.compile(r"[^#'\"]*`[^`]+`"),
    "the operator <>": re.compile(r"[^#'\"]*<>"),
    "a long integer": re.compile(r"[^#'\"]*\b\d+[lL]\b"),
    "an octal number": re.compile(r"[^#'\"]*(?<![\w.])0\d+\b"),
    "a ur'' string": re.compile(r".*\b[uU][rR][\"']"),
    "a tuple parameter": re.compile(r".*(\blambda\s*\(|\bdef\s+\w+\(([^=]*,)?\s*\()"),
}


@functools.lru_cache(maxsize=4096)
def parse(source: str) -> ast.Module:
    """The AST of a cell's Python, with ``await`` allowed at the top level. It is shared: do not
    change it.

    Line magics and shell escapes become the calls of ``get_ipython()`` that IPython makes of them.
    A single line that IPython would take as a magic without ``%`` becomes one as well.

    Raises
    ------
    SyntaxError
        If IPython would refuse it; ``lineno`` counts from the cell's first line.
    """
    try:
        return _compiled(source)
    except SyntaxError:
        return _transformed(source)


def _transformed(source: str) -> ast.Module:
    from IPython.core.inputtransformer2 import TransformerManager

    code = TransformerManager().transform_cell(source)
    try:
        return _compiled(code)
    except SyntaxError as error:
        line = automagic(source)
        if line is None:
            if error.lineno:  # the transformer takes blank lines at the top away
                error.lineno += source[: len(source) - len(source.lstrip())].count("\n")
            raise
        return _compiled(TransformerManager().transform_cell(f"%{line}"))


def automagic(source: str) -> str | None:
    """A cell's only line if IPython may take it as a magic without ``%``."""
    line = source.strip()
    found = _FIRST_WORD.fullmatch(line)
    return line if found and found[1] in AUTOMAGIC else None


def _compiled(code: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            tree: ast.Module = compile(code, "<cell>", "exec", flags, dont_inherit=True)
            for node in tree.body:  # as IPython does: imports from __future__ may stand anywhere
                part = ast.Module([node], [])
                compile(part, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        except (ValueError, RecursionError, MemoryError) as error:
            raise SyntaxError(str(error) or "too deeply nested") from error
    return tree


def check_syntax(notebook: Any, steps: list[Step], name: str) -> None:
    """Refuse a notebook in which a cell of ``steps`` is not Python that IPython would run.

    Cells tagged ``raises-exception`` may be anything.

    Raises
    ------
    InvalidInput
        Naming the file, the cell (its number in the notebook, from 1) and the line in the cell.
    """
    for step in steps:
        for index in step.cells:
            cell = notebook.cells[index]
            if RAISES in tags(cell):
                continue
            try:
                _check(cell.source)
            except SyntaxError as error:
                where = f"{name}, cell {index + 1}"
                if error.lineno:
                    where += f", line {error.lineno}"
                old = python_2(error, cell.source)
                if old:
                    raise InvalidInput(f"{where}: Python 2 code {old}.", hint=_CONVERT) from error
                raise InvalidInput(
                    f"{where}: {_reason(error)}",
                    hint="Correct the cell, or tag it `skip` or `raises-exception`.",
                ) from error


def python_2(error: SyntaxError, source: str) -> str:
    """What on the line of a syntax error is Python 2, if something is: ``(print statement):
    print x``."""
    lines = source.splitlines()
    if not error.lineno or error.lineno > len(lines):
        return ""
    line = lines[error.lineno - 1]
    for words, pattern in _PYTHON_2.items():
        if pattern.match(line):
            return f"({words}): {line.strip()[:80]}"
    return ""


def _reason(error: SyntaxError) -> str:
    text = (error.msg or "invalid syntax").rstrip(".")
    code = (error.text or "").strip()
    return f"{text}: {code[:80]}" if code else f"{text}."


def _check(source: str) -> None:
    found = magic(source)
    if found is None:
        _refuse_print_to(parse(source))
    elif found.name in PYTHON_CELLS:
        above = len(source) - len(found.body)
        try:
            _check(found.body)
        except SyntaxError as error:
            if error.lineno:
                error.lineno += source[:above].count("\n")
            raise


def _refuse_print_to(tree: ast.Module) -> None:
    """Refuse ``print >>file, x``, which is a shift of ``print`` in Python 3 and always fails."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.RShift):
            left = node.left
            if isinstance(left, ast.Name) and left.id == "print":
                raise SyntaxError("print statement", ("<cell>", node.lineno, 1, ast.unparse(node)))
