"""From a cell's text to Python's AST: IPython's own transformer first, cell magics unwrapped."""

from __future__ import annotations

import ast
import warnings
from typing import Any

from ..errors import InvalidInput
from ..models import Step
from ..notebook import tags
from .magic import AUTOMAGIC, PYTHON_CELLS, magic

RAISES = "raises-exception"


def parse(source: str) -> ast.Module:
    """The AST of a cell's Python, with ``await`` allowed at the top level.

    Line magics and shell escapes become the calls of ``get_ipython()`` that IPython makes of them.
    A single line that IPython would take as a magic without ``%`` becomes one as well.

    Raises
    ------
    SyntaxError
        If IPython would refuse it; ``lineno`` counts from the cell's first line.
    """
    from IPython.core.inputtransformer2 import TransformerManager

    code = TransformerManager().transform_cell(source)
    try:
        return _compiled(code)
    except SyntaxError as error:
        line = source.strip()
        if "\n" in line or line.partition(" ")[0] not in AUTOMAGIC:
            if error.lineno:  # the transformer takes blank lines at the top away
                error.lineno += source[: len(source) - len(source.lstrip())].count("\n")
            raise
        return _compiled(TransformerManager().transform_cell(f"%{line}"))


def _compiled(code: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            tree: ast.Module = compile(code, "<cell>", "exec", flags, dont_inherit=True)
            compile(tree, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        except ValueError as error:
            raise SyntaxError(str(error)) from error
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
                raise InvalidInput(
                    f"{where}: {_reason(error)}",
                    hint="Correct the cell, or tag it `skip` or `raises-exception`.",
                ) from error


def _reason(error: SyntaxError) -> str:
    text = (error.msg or "invalid syntax").rstrip(".")
    code = (error.text or "").strip()
    return f"{text}: {code[:80]}" if code else f"{text}."


def _check(source: str) -> None:
    found = magic(source)
    if found is None:
        parse(source)
    elif found.name in PYTHON_CELLS:
        above = len(source) - len(found.body)
        try:
            _check(found.body)
        except SyntaxError as error:
            if error.lineno:
                error.lineno += source[:above].count("\n")
            raise
