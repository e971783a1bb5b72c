"""Notebooks of random assignments, mutations, aliases and functions, with edits of them."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

NAMES = ("a", "b", "c", "d")
FUNCTIONS = ("f", "g")
FIRST = """import random
random.seed(0)
a, b, c, d = [1], [2], [3], [4]
def f(x): return x
def g(x): return [x]"""
LAST = """print(a, b, c, d)
print([[x is y for x in (a, b, c, d)] for y in (a, b, c, d)])
print(f([0]), g([0]), random.random())"""

name = st.sampled_from(NAMES)
function = st.sampled_from(FUNCTIONS)
number = st.integers(0, 9)


def _form(text: str, **parts: st.SearchStrategy) -> st.SearchStrategy[str]:
    return st.builds(text.format, **parts)


assignments = st.one_of(
    _form("{x} = [{n}]", x=name, n=number),
    _form("{x} = {y}", x=name, y=name),
    _form("{x} = [{y}, {y}]", x=name, y=name),
    _form("{x} = {y}[:3]", x=name, y=name),
    _form("{x}, {y} = {y}, {x}", x=name, y=name),
    _form("{x} = {x} + [{n}]", x=name, n=number),
    _form("{x} = [{y} for {y} in range({n} % 3)]", x=name, y=name, n=number),
    _form("if len({y}) > {n} % 4:\n    {x} = [{n}]", x=name, y=name, n=number),
    _form("for {x} in ([], [{n}]):\n    {x}.append({n})", x=name, n=number),
)
mutations = st.one_of(
    _form("{x}.append({n})", x=name, n=number),
    _form("{x}.append({y})", x=name, y=name),
    _form("{x} += [{n}]", x=name, n=number),
    _form("{x}[:] = {x}[-2:]", x=name),
    _form("if {x}:\n    {x}.pop(0)", x=name),
    _form(
        "for item in {x}:\n    if isinstance(item, list):\n        item.append({n})\n        break",
        x=name,
        n=number,
    ),
    _form("{x}.extend({y}[:2])", x=name, y=name),
    _form("alias = {x}\nalias.append({n})", x=name, n=number),
    _form("globals()['{x}'].append({n})", x=name, n=number),
)
functions = st.one_of(
    *(
        _form(text, f=function, g=function, y=name, n=number)
        for text in (
            "def {f}(x):\n    return [{y}, {n}]",
            "def {f}(x):\n    {y}.append({n})\n    return len({y})",
            "def {f}(x, kept={y}):\n    kept.append({n})\n    return kept",
            "def {f}(x):\n    global {y}\n    {y} = [{n}]\n    return x",
            "def {f}_of(x):\n    return {y}[:2]\ndef {f}(x):\n    return {f}_of(x)",
            """def make(start):
    held = [start]
    def inner(x):
        held.append({n})
        return held
    return inner
{f} = make({y}[:1])""",
            "{f} = lambda x: (len({y}), {n})",
            "{f} = {g}",
        )
    )
)
uses = st.one_of(
    _form("print({x}, {x} is {y})", x=name, y=name),
    _form("print({f}({x}))", f=function, x=name),
    _form("{x} = [{f}({y})]", x=name, f=function, y=name),
    _form("{f}({x})", f=function, x=name),
    _form("random.seed({n})", n=number),
    _form("{x} = [random.randint(0, 9)]", x=name),
    _form("random.shuffle({x})", x=name),
    _form("del {x}\n{x} = [{n}]", x=name, n=number),
)
rare = _form("del {x}", x=name)
statement = st.one_of(assignments, mutations, mutations, functions, uses, uses, uses)
cell = st.lists(statement, min_size=1, max_size=3).map("\n".join)


@dataclass(frozen=True)
class Edited:
    """A notebook and other sources of some of its cells."""

    cells: tuple[str, ...]
    edits: tuple[tuple[int, str], ...]

    def versions(self) -> list[tuple[str, tuple[str, ...]]]:
        """The notebook, the same again, with each edit, and as it was."""
        found = [("cold", self.cells), ("again", self.cells)]
        for index, source in self.edits:
            cells = tuple(source if at == index else old for at, old in enumerate(self.cells))
            found.append((f"cell {index} edited", cells))
        return [*found, ("back", self.cells)]


@st.composite
def edited_notebooks(draw: st.DrawFn) -> Edited:
    """Notebooks of 6 to 12 cells with one or two edits. One in some deletes a name for good, so
    that a later cell may fail."""
    middle = draw(st.lists(cell, min_size=4, max_size=10))
    if draw(st.integers(0, 9)) == 0:
        middle.insert(draw(st.integers(0, len(middle))), draw(rare))
    edits = draw(st.lists(st.tuples(st.integers(1, len(middle)), cell), min_size=1, max_size=2))
    return Edited((FIRST, *middle, LAST), tuple(edits))
