# ruff: noqa: E501
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipelines_support import notebook

from mlops_jupyter.errors import InvalidInput
from mlops_jupyter.pipelines.analysis import analyse, uses
from mlops_jupyter.pipelines.source import check_syntax
from mlops_jupyter.pipelines.steps import cut


def needs(*cells):
    """``{step: {needed step: names}}`` by the cells' places, from 1; each cell is a step."""
    made = notebook(*cells)
    steps = cut(made)
    check_syntax(made, steps, "x.ipynb")
    place = {step.name: number for number, step in enumerate(steps, 1)}
    return {
        place[step.name]: {
            place[need.step]: "".join(f"{n} " for n in need.names).strip() for need in step.needs
        }
        for step in analyse(made, steps)
        if step.needs
    }


def use(source):
    made = notebook(source)
    return uses(made, cut(made))[0]


FLOW = {
    "read": (["a = 1", "b = a"], {2: {1: "a"}}),
    "last writer": (["a = 1", "a = 2", "b = a"], {3: {2: "a"}}),
    "bound before read": (["a = 1", "a = 2\nb = a"], {}),
    "read before bound": (["a = 1", "b = a\na = 2", "c = a"], {2: {1: "a"}, 3: {2: "a"}}),
    "builtins need nobody": (["print(len([1]))", "print(2)"], {}),
    "a builtin shadowed": (["list = [1]", "print(list)"], {2: {1: "list"}}),
    "augmented": (["a = 1", "a += 1", "a"], {2: {1: "a"}, 3: {2: "a"}}),
    "attribute store": (["o = f", "o.x = 1", "o"], {2: {1: "o"}, 3: {2: "o"}}),
    "subscript store": (["d = {}", "d['a']['b'] = 1", "d"], {2: {1: "d"}, 3: {2: "d"}}),
    "subscript read": (["d = {}", "d['a']", "d"], {2: {1: "d"}, 3: {1: "d"}}),
    "method call": (["d = []", "d.append(1)", "d"], {2: {1: "d"}, 3: {2: "d"}}),
    "chained call": (["d = 1", "d.a[0].b().c()", "d"], {2: {1: "d"}, 3: {2: "d"}}),
    "module calls change nothing": (
        ["import numpy as np", "a = np.ones(3)", "b = np.zeros(2)"],
        {2: {1: "np"}, 3: {1: "np"}},
    ),
    "delete item": (["d = {1: 2}", "del d[1]", "d"], {2: {1: "d"}, 3: {2: "d"}}),
    "delete name": (["a = 1", "del a", "a = 2", "a"], {4: {3: "a"}}),
    "tuple and starred": (["a, (b, *c) = 1, (2, 3)", "c", "b"], {2: {1: "c"}, 3: {1: "b"}}),
    "swap": (["a = 1", "b = 2", "a, b = b, a", "a"], {3: {1: "a", 2: "b"}, 4: {3: "a"}}),
    "branch may bind": (
        ["a = 1", "if x:\n    a = 2", "a"],
        {3: {1: "a", 2: "a"}},
    ),
    "both branches bind": (["a = 1", "if x:\n    a = 2\nelse:\n    a = 3", "a"], {3: {2: "a"}}),
    "nested branches bind": (
        ["a = 1", "if x:\n    if y:\n        a = 2\n    else:\n        a = 4\nelse:\n    a = 3", "a"],
        {3: {2: "a"}},
    ),
    "bound within the branch": (["a = 1", "if x:\n    a = 2\n    b = a"], {}),
    "loop variable": (["i = 1", "for i in range(3):\n    print(i)"], {}),
    "loop may not run": (["i = 1", "for i in x:\n    pass", "i"], {3: {1: "i", 2: "i"}}),
    "loop reads before it binds": (["a = 1", "for i in x:\n    b = a\n    a = i"], {2: {1: "a"}}),
    "with": (["a = 1", "with open('f') as a:\n    b = a", "b, a"], {3: {2: "a b"}}),
    "try may fail": (
        ["a = 1", "try:\n    a = f()\nexcept OSError as e:\n    print(e)", "a"],
        {3: {1: "a", 2: "a"}},
    ),
    "finally": (["a = 1", "try:\n    f()\nfinally:\n    a = 2", "a"], {3: {2: "a"}}),
    "exception names stay inside": (
        ["try:\n    f()\nexcept OSError as e:\n    print(e)", "try:\n    f()\nexcept OSError as e:\n    print(e)"],
        {},
    ),
    "match": (
        ["p = 1", "match p:\n    case {'a': x, **rest}:\n        y = x, rest\n    case [z, *w]:\n        y = z, w"],
        {2: {1: "p"}},
    ),
    "walrus": (["a = 1", "if (a := 2):\n    pass", "a"], {3: {2: "a"}}),
    "walrus in a comprehension": (["l = 0", "[(l := i) for i in x]", "l"], {3: {1: "l", 2: "l"}}),
    "comprehension scope": (["i = 1", "s = [i for i in range(3) for j in range(i)]", "i"], {3: {1: "i"}}),
    "comprehension reads": (["a = 1", "xs = []", "{k: a for k in xs}"], {3: {1: "a", 2: "xs"}}),
    "comprehension's first iterable is outside": (["x = []", "[x for x in x]"], {2: {1: "x"}}),
    "lambda": (["g = 1", "f = lambda x, y=1: x + y + g", "g = 2", "f(1)"], {4: {2: "f", 3: "g"}}),
    "lambda as argument": (["g = 1", "sorted([1], key=lambda x: x + g)"], {2: {1: "g"}}),
    "default arguments are read at once": (["g = 1", "def f(x=g): pass", "g = 2", "f()"], {2: {1: "g"}, 4: {2: "f"}}),
    "decorators are read at once": (["d = 1", "@d\ndef f(): pass"], {2: {1: "d"}}),
    "free globals count at the call": (
        ["def f(x):\n    y = x\n    return y + g", "g = 1", "g = 2", "f(1)"],
        {4: {1: "f", 3: "g"}},
    ),
    "free globals are transitive": (
        ["def f(): return g", "def h(): return f()", "g = 1", "h()"],
        {4: {1: "f", 2: "h", 3: "g"}},
    ),
    "recursion": (["def f(n): return f(n - 1)", "f(3)"], {2: {1: "f"}}),
    "a function writes a global": (
        ["n = 0", "def f():\n    global n\n    n += 1", "f()", "n"],
        {3: {1: "n", 2: "f"}, 4: {3: "n"}},
    ),
    "a function changes a global": (
        ["xs = []", "def f(x): xs.append(x)", "f(1)", "xs"],
        {3: {1: "xs", 2: "f"}, 4: {3: "xs"}},
    ),
    "locals are not globals": (
        ["x = y = z = 1", "def f(x, *y, **k):\n    z = 1\n    for w in x: pass\n    return x, y, z, w, k", "f(1)"],
        {3: {2: "f"}},
    ),
    "inner functions": (
        ["a = 1", "def f():\n    b = 1\n    def g():\n        nonlocal b\n        b = a\n        return b\n    return g", "h = f()", "h()"],
        {3: {1: "a", 2: "f"}, 4: {1: "a", 3: "h"}},
    ),
    "class body runs at once": (
        ["a = 1", "class C:\n    b = a\n    c = b", "C"],
        {2: {1: "a"}, 3: {2: "C"}},
    ),
    "methods run when instances are used": (
        ["class C:\n    a = 0\n    def f(self): return g + a", "o = C()", "g = a = 1", "o.f()"],
        {2: {1: "C"}, 4: {2: "o", 3: "a g"}},
    ),
    "base classes": (
        ["class A:\n    def f(self): return g", "class B(A): pass", "g = 1", "o = B()", "o.f()"],
        {2: {1: "A"}, 4: {2: "B", 3: "g"}, 5: {3: "g", 4: "o"}},
    ),
    "an alias of a function": (["def f(): return g", "h = f", "g = 1", "h()"], {2: {1: "f"}, 4: {2: "h", 3: "g"}}),
    "a function kept in a container": (
        ["def f(): return g", "p = [('a', f)]", "g = 1", "p[0][1]()"],
        {2: {1: "f"}, 4: {2: "p", 3: "g"}},
    ),
    "a result holds no code": (["def f(): return g", "g = 1", "y = f()", "y"], {3: {1: "f", 2: "g"}, 4: {3: "y"}}),
    "redefinition": (["def f(): return a", "def f(): return b", "a = b = 1", "f()"], {4: {2: "f", 3: "b"}}),
    "imports bind": (["import os.path", "from math import pi as p", "os.getcwd(), p"], {3: {1: "os", 2: "p"}}),
    "f-strings": (["a = 1", "f'{a:{b}}'"], {2: {1: "a"}}),
    "annotations bind nothing": (["a: int", "a = 1", "a"], {3: {2: "a"}}),
    "await at the top": (["import asyncio", "r = await asyncio.sleep(0, 1)", "r"], {2: {1: "asyncio"}, 3: {2: "r"}}),
    "line magics": (["a = 1", "%time b = a", "b"], {2: {1: "a"}, 3: {2: "b"}}),
    "shell reads": (["p = 1", "!echo {p} $HOME", "q = !ls", "q"], {2: {1: "p"}, 4: {3: "q"}}),
    "assignment magic": (["n = 1", "x = %time n", "x"], {2: {1: "n"}, 3: {2: "x"}}),
    "cell magics": (["a = 1", "%%time\nb = a", "%%capture out\nc = b", "out, c"], {2: {1: "a"}, 3: {2: "b"}, 4: {3: "c out"}}),
    "timeit binds nothing": (["a = 1", "%%timeit\nb = a\na = 2", "a"], {2: {1: "a"}, 3: {1: "a"}}),
    "foreign cells": (["a = 1", "%%bash --out text\necho a = $a", "a, text"], {3: {1: "a", 2: "text"}}),
    "harmless magics": (["a = 1", "%matplotlib inline", "pip install x", "a?", "a"], {5: {1: "a"}}),
}  # fmt: skip


@pytest.mark.parametrize("case", FLOW)
def test_data_flow(case):
    cells, expected = FLOW[case]
    assert needs(*cells) == expected


@pytest.mark.parametrize(
    "barrier",
    [
        "exec('b = a')",
        "eval('a')",
        "globals()['b'] = 1",
        "from math import *",
        "%run other.py",
        "%%sql\nselect 1",
        "get_ipython().run_cell('b = a')",
        "ip = get_ipython()",
        "locals()",
        "x = _ + 1",
        "Out[1]",
        "def f(): exec('b = 1')\nf()",
    ],
)
def test_barriers_stand_between_all_that_comes_before_and_after(barrier):
    found = needs("a = 1", "c = 2", barrier, "d = 3", "b, a, d")
    assert set(found[3]) == {1, 2}
    assert (found[3][1], found[3][2]) == ("a", "c")
    assert found[4] == {3: ""}
    assert found[5] == {3: "a b", 4: "d"}


def test_a_function_with_exec_is_a_barrier_only_where_it_is_used():
    assert needs("a = 1", "def f(): exec('b = 1')", "a") == {3: {1: "a"}}


@pytest.mark.parametrize(
    ("write", "read"),
    [
        ("df.to_csv('out/x.csv')", "pd.read_csv('./out/x.csv')"),
        ("df.to_parquet(path='x')", "pd.read_parquet('x', columns=[])"),
        ("with open('x', 'w') as f: f.write('a')", "open('x').read()"),
        ("with open('x', mode='wb') as f: pass", "with open(file='x') as f: pass"),
        ("with open('x', 'a') as f: pass", "Path('x').read_text()"),
        ("Path('a/x').write_bytes(b'')", "(Path('a') / 'x').open().read()"),
        ("(Path('a') / 'x').open('w')", "Path('a/x').read_bytes()"),
        ("joblib.dump(model, 'm.pkl')", "joblib.load('m.pkl')"),
        ("np.save('a', x)", "np.load('a.npy')"),
        ("torch.save(model, 'm.pt')", "torch.load('m.pt')"),
        ("name = 'x.csv'\ndf.to_csv(name)", "pd.read_csv(name)"),
        ("%%writefile m.py\nx = 1", "open('m.py').read()"),
        ("plt.savefig('p.png')", "plt.imread('p.png')"),
    ],
)
def test_files(write, read):
    steps = analyse(made := notebook("import pandas as pd", write, read), cut(made))
    found = {need.step: need.files for need in steps[2].needs}
    assert len(found["cell-2"]) == 1
    assert steps[1].needs == [] or all(not need.files for need in steps[1].needs)


def test_files_have_a_last_writer_and_names_that_change_are_no_paths():
    made = notebook(
        "df.to_csv('x')",
        "df.to_csv('x')",
        "p = f()",
        "p = 'y'",
        "open(p, 'w')",
        "pd.read_csv('x')",
        "open('y')",
        "for p in z:\n    open(p)",
    )
    steps = analyse(made, cut(made))
    files = {step.name: {n.step: n.files for n in step.needs if n.files} for step in steps}
    assert files["cell-6"] == {"cell-2": ["x"]}
    assert files["cell-7"] == {"cell-5": ["y"]}
    assert files["cell-8"] == {}


@pytest.mark.parametrize(
    ("cell", "line", "words"),
    [
        ("x = 1\nprint 'hello'", 2, "print"),
        ('print "hello"', 1, "print"),
        ("def f(:\n    pass", 1, "def f("),
        ("%%time\n\nx = = 1", 3, "x = = 1"),
        ("%matplotlib inline\nx = (1", 2, "x = (1"),
        ("return 1", 1, "return"),
        ("x = 1\n\nbreak", 3, "break"),
        ("x = '\0'", None, "null"),
    ],
)
def test_syntax_errors_name_file_cell_and_line(cell, line, words):
    made = notebook("# Title", "ok = 1", cell)
    with pytest.raises(InvalidInput) as caught:
        check_syntax(made, cut(made), "train.ipynb")
    message = caught.value.message
    assert message.startswith("train.ipynb, cell 3" + (f", line {line}: " if line else ""))
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "cells",
    [
        [("raises-exception", "x = = 1")],
        [("skip", "x = = 1")],
        ["%%bash\nfor i in 1 2; do echo $i; done"],
        ["!ls -la | head"],
        ["x?"],
        ["pip install pandas"],
        ["%%time"],
        ["await f()\nasync with g() as h: pass"],
        ["x = '\\d'"],
    ],
)
def test_what_ipython_runs_is_accepted(cells):
    needs(*cells)


NAMES = st.sampled_from("abcde")
STATEMENT = st.tuples(NAMES, st.lists(NAMES, max_size=2), st.sampled_from("=+"))


class Trace(dict):
    """A namespace that notes which step wrote what another step reads."""

    def __init__(self):
        super().__init__()
        self.writer, self.step, self.needs = {}, 0, {}

    def __getitem__(self, name):
        value = super().__getitem__(name)
        writer = self.writer.get(name)
        if writer is not None and writer != self.step:
            self.needs.setdefault(self.step, {}).setdefault(writer, set()).add(name)
        return value

    def __setitem__(self, name, value):
        super().__setitem__(name, value)
        self.writer[name] = self.step


@given(st.lists(st.lists(STATEMENT, min_size=1, max_size=3), min_size=1, max_size=6))
def test_straight_line_code_needs_what_a_trace_shows(steps):
    defined = set()
    cells = []
    for step in steps:
        lines = []
        for target, sources, kind in step:
            known = [name for name in sources if name in defined]
            sign = "+=" if kind == "+" and target in defined else "="
            lines.append(f"{target} {sign} {' + '.join([*known, '1'])}")
            defined.add(target)
        cells.append("\n".join(lines))
    trace = Trace()
    for number, cell in enumerate(cells, 1):
        trace.step = number
        exec(compile(cell, "cell", "exec"), {}, trace)
    expected = {
        step: {writer: " ".join(sorted(names)) for writer, names in found.items()}
        for step, found in trace.needs.items()
    }
    assert needs(*cells) == expected


def test_uses():
    found = use("import os\na = b\nif c:\n    d = a\nb.append(1)\ne += 1")
    assert found.reads == {"b", "c", "e"}
    assert found.binds == {"os", "a", "e"}
    assert found.may_bind == {"d"}
    assert found.mutates == {"b", "e"}
    assert not found.barrier
