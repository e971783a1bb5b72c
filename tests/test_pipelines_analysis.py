# ruff: noqa: E501
from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipelines_support import notebook

from mlops_jupyter.errors import InvalidInput
from mlops_jupyter.pipelines.analysis import analyse, uses
from mlops_jupyter.pipelines.magic import PYTHON_LINES, Magic, cell_events, line_events
from mlops_jupyter.pipelines.predictions import predict
from mlops_jupyter.pipelines.source import automagic, check_syntax, parse
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
    "chained call": (["d = f", "d.a[0].b().c()", "d"], {2: {1: "d"}, 3: {2: "d"}}),
    "module calls change nothing": (
        ["import numpy as np", "a = np.ones(3)", "b = np.zeros(2)"],
        {2: {1: "np"}, 3: {1: "np"}},
    ),
    "delete item": (["d = {1: 2}", "del d[1]", "d"], {2: {1: "d"}, 3: {2: "d"}}),
    "delete name": (["a = 1", "del a", "a = 2", "a"], {2: {1: "a"}, 4: {3: "a"}}),
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
    "harmless magics": (["a = 1", "%matplotlib inline", "pip install x", "a?", "a"], {4: {1: "a"}, 5: {1: "a"}}),
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
        "%run other.py",
        "%%unheard\nof",
        "get_ipython().run_cell('b = a')",
        "ip = get_ipython()",
        "locals()",
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
        ("ls = = 1", 1, "ls = = 1"),
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
    assert found.reads.keys() == {"b", "c", "e"}
    assert found.binds == {"os", "a", "e"}
    assert found.may_bind == {"d"}
    assert found.mutates == {"b", "d", "e"}
    assert not found.everything
    assert not found.anything


def why(*cells):
    """``{step: {needed step: reasons}}`` by the cells' places, from 1."""
    made = notebook(*cells)
    steps = cut(made)
    place = {step.name: number for number, step in enumerate(steps, 1)}
    return {
        place[step.name]: {place[need.step]: need.why for need in step.needs}
        for step in analyse(made, steps)
        if step.needs
    }


WHY = {
    "read": (["a = 1", "a"], {1: ["reads a, which cell-1 binds"]}),
    "may bind": (["if x: a = 1", "a"], {1: ["reads a, which cell-1 may bind"]}),
    "changed": (["a = []", "a.append(1)", "a"], {2: ["reads a, which cell-2 changes"]}),
    "changed by another name": (
        ["a = []", "b = a", "b.append(1)", "a"],
        {3: ["reads a, which cell-3 changes"]},
    ),
    "through a function": (
        ["limit = 1", "def clean(): return limit", "clean()"],
        {1: ["calls clean(), which reads limit"], 2: ["reads clean, which cell-2 binds"]},
    ),
    "through two functions": (
        ["limit = 1", "def clean(): return limit\ndef run(): clean()", "run()"],
        {
            1: ["calls run(), which calls clean(), which reads limit"],
            2: ["reads run, which cell-2 binds", "calls run(), which reads clean"],
        },
    ),
    "through an instance": (
        ["k = 1", "class A:\n    def f(self): return k\no = A()", "o.f()"],
        {1: ["uses o, which reads k"], 2: ["reads o, which cell-2 binds"]},
    ),
    "a file": (
        ["import pandas as pd", "open('x.csv', 'w')", "pd.read_csv('./x.csv')"],
        {1: ["reads pd, which cell-1 binds"], 2: ["reads x.csv, which cell-2 writes"]},
    ),
    "exec": (["a = 1", "exec(s)"], {1: ["exec() may read anything"]}),
    "after exec": (
        ["a = 1", "exec(s)", "a"],
        {2: ["exec() may bind anything", "reads a, which cell-2 may bind"]},
    ),
    "a star import": (
        ["from math import *", "sin(1)"],
        {1: ["reads sin, which cell-1 may bind (from math import *)"]},
    ),
    "an earlier result": (["1", "_"], {1: ["_ looks back at earlier cells"]}),
    "random numbers": (
        ["import random", "random.seed(0)", "random.random()", "random.random()"],
        {
            1: ["reads random, which cell-1 binds"],
            3: ["goes on drawing Python's random numbers after cell-3"],
        },
    ),
    "seeded anew": (
        ["import random", "random.random()", "random.seed(0)\nrandom.random()"],
        {1: ["reads random, which cell-1 binds"]},
    ),
}


@pytest.mark.parametrize("case", WHY)
def test_every_need_has_its_reasons(case):
    cells, expected = WHY[case]
    found = why(*cells)
    assert found[len(cells)] == expected
    assert all(reasons for needed in found.values() for reasons in needed.values())


NOTES = {
    "exec(x)": "barrier: exec() may read and bind anything",
    "def f(): exec(x)\nf()": "barrier: exec() in f() may read and bind anything",
    "df.query(q)": "needs all steps before it: df.query() of a text made at run time may read anything",
    "from math import *": "may bind more names: from math import *",
    "_": "needs all steps before it in one kernel: _ looks back",
    "%matplotlib inline": "runs again in every new kernel: %matplotlib inline",
    "%cd x": "changes the working folder",
    "a = 1": None,
}


@pytest.mark.parametrize("cell", NOTES)
def test_what_is_special_about_a_step_is_noted(cell):
    made = notebook("x = q = df = 1", cell)
    assert NOTES[cell] in [*analyse(made, cut(made))[1].notes, None]
    assert (NOTES[cell] is None) == (not analyse(made, cut(made))[1].notes)


PYTHON_2 = {
    "x = 1\nprint 'hello'": (2, "print statement"),
    "if a: print b": (1, "print statement"),
    "print a, b % c": (1, "print statement"),
    "print ['a']\nprint 'x'": (1, "print statement"),
    "print >>f, x": (1, "print statement"),
    "%%time\nprint 3": (2, "print statement"),
    "try:\n    f()\nexcept E, e:\n    pass": (3, "`except Error, name`"),
    "x = `y`": (1, "backticks"),
    "exec 'x = 1'": (1, "exec statement"),
    "exec code in names": (1, "exec statement"),
    "raise E, 'x'": (1, "`raise Error, message`"),
    "a <> b": (1, "the operator <>"),
    "x = 10L": (1, "a long integer"),
    "x = 0777": (1, "an octal number"),
    "ur'x'": (1, "a ur'' string"),
    "def f((a, b)): pass": (1, "a tuple parameter"),
    "lambda (a, b): a": (1, "a tuple parameter"),
}


@pytest.mark.parametrize("cell", PYTHON_2)
def test_python_2_is_refused_as_such(cell):
    if cell.startswith("try") and sys.version_info >= (3, 14):
        pytest.skip("Python 3.14 reads it as a tuple of two errors")
    line, words = PYTHON_2[cell]
    made = notebook("# Title", "ok = 1", cell)
    with pytest.raises(InvalidInput) as caught:
        check_syntax(made, cut(made), "train.ipynb")
    start = f"train.ipynb, cell 3, line {line}: Python 2 code ({words}): "
    assert caught.value.message.startswith(start)
    assert "2to3" in caught.value.hint
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "cell",
    [
        "x = = 1",
        "print('a'",
        "printer x",
        "print(1) 3",
        "def f(a=(1, 2)): retrun 3",
        "x = '`a` b'c",
    ],
)
def test_other_errors_are_not_called_python_2(cell):
    made = notebook(cell)
    with pytest.raises(InvalidInput) as caught:
        check_syntax(made, cut(made), "train.ipynb")
    assert "Python 2" not in caught.value.message


def test_magics_of_ipython_are_all_known():
    from IPython.core.interactiveshell import InteractiveShell

    magics = InteractiveShell().magics_manager.magics
    for name in magics["line"]:
        if name not in PYTHON_LINES:
            kinds = [event.kind for event in line_events(name, "")]
            assert not {"everything", "anything", "surroundings"} <= set(kinds) or name == "run", (
                name
            )
    for name in magics["cell"]:
        found = Magic(name, "", "")
        kinds = [event.kind for event in cell_events(found)]
        assert name == "code_wrap" or "everything" not in kinds, name


@pytest.mark.parametrize(
    ("cell", "is_magic"),
    [
        ("ls", True),
        ("ls -la", True),
        ("pip install x", True),
        ("cd ..", True),
        ("who", True),
        ("ls = 1", False),
        ("ls, x = 1", False),
        ("list", False),
        ("ls.x", False),
        ("lsx", False),
    ],
)
def test_automagic_is_what_ipython_takes_for_it(cell, is_magic):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    assert ("run_line_magic" in shell.prefilter(cell)) is is_magic
    assert (automagic(cell) is not None) is is_magic


@pytest.mark.parametrize("kind", ["chain", "functions", "lists", "magics", "branches"])
def test_twice_the_cells_are_read_in_about_twice_the_work(kind):
    """Calls of Python functions are counted, not time."""
    make = {
        "chain": "df{0} = df{1}.copy()\ndf{0}['x'] = df{0}.groupby('a').sum()\nprint(df{0}.head())",
        "functions": "def f{0}(x):\n    return g + x\ny{0} = f{0}(y{1})",
        "lists": "b{0} = [b{1}[0]]\nb{0} = list(map(len, b{0}))\nb{0}.append(1)",
        "magics": "%time x{0} = x{1}\n!ls {{x{0}}}",
        "branches": "if c:\n    x = {0}\nelse:\n    y = x",
    }[kind]

    def work(count):
        made = notebook("a = df0 = b0 = []", *(make.format(n, n - 1) for n in range(1, count)))
        steps = cut(made)
        calls = 0

        def note(frame, event, argument):
            nonlocal calls
            calls += event == "call"

        predict(made, steps[:2])
        parse.cache_clear()
        sys.setprofile(note)
        try:
            predict(made, steps)
        finally:
            sys.setprofile(None)
        return calls

    assert work(200) < 2.5 * work(100)
