"""IPython's magics, as far as the analysis must know them."""

from __future__ import annotations

import re
from dataclasses import dataclass


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Cell magics whose body is Python that runs in the notebook's own namespace.
PYTHON_CELLS = _words("capture prun step time timeit track")
# Cell magics whose body is not Python and which bind no name but those their options name.
FOREIGN_CELLS = _words(
    """bash cmd file html HTML javascript js latex markdown mlops perl python python2 python3 pypy
    ruby script sh svg SVG writefile"""
)
# Line magics whose line is Python.
PYTHON_LINES = _words("time timeit prun")
# Line magics that touch no name but those written in their line as {x} or $x.
PLAIN_LINES = _words(
    """alias autoreload cat cd conda config cp dhist env history less load_ext logging ls lsmagic
    mamba man matplotlib micromamba mkdir mlops more mv pinfo pinfo2 pip popd precision psearch
    pushd pwd reload_ext rm rmdir set_env sx system unload_ext uv who who_ls whos"""
)
# Line magics that IPython accepts without `%` when they are a cell's only line.
AUTOMAGIC = _words(
    """alias cat cd conda config cp env less load_ext ls mamba man matplotlib micromamba mkdir more
    mv pip popd pushd pwd reload_ext rm rmdir run time timeit uv who whos"""
)
_CELL_MAGIC = re.compile(r"\s*%%(?P<name>\w+)[ \t]*(?P<line>[^\n]*)\n?(?P<body>.*)", re.DOTALL)


@dataclass(frozen=True)
class Magic:
    """A cell magic: its name, the rest of its line, and the cell's other lines."""

    name: str
    line: str
    body: str


def magic(source: str) -> Magic | None:
    """The cell magic that ``source`` starts with, if it does."""
    found = _CELL_MAGIC.fullmatch(source)
    return Magic(found["name"], found["line"].strip(), found["body"]) if found else None
