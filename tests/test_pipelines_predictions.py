# ruff: noqa: E501
from __future__ import annotations

import types

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipelines_support import notebook

from mlops_jupyter.errors import InvalidInput
from mlops_jupyter.pipelines.predictions import Prediction, check_input, predict
from mlops_jupyter.pipelines.source import check_syntax
from mlops_jupyter.pipelines.steps import cut


def predictions(*cells):
    made = notebook(*cells)
    return predict(made, cut(made))


def last(*cells) -> Prediction:
    return predictions(*cells)[-1]


READS = {
    "names": (["b = a"], "a"),
    "bound before": (["a = 1\nb = a"], ""),
    "bound in one branch": (["if c:\n    a = 1\nb = a"], "a c"),
    "bound in both branches": (["if c:\n    a = 1\nelse:\n    a = 2\nb = a"], "c"),
    "bound where an error may be swallowed": (["with suppress(E):\n    a = 1\nb = a"], "E a suppress"),
    "bound in a strict block": (["with open('f') as f:\n    a = 1\nb = a"], ""),
    "bound in try": (["try:\n    a = 1\nexcept E:\n    pass\nb = a"], "E a"),
    "bound in try and its handlers": (["try:\n    a = b\nexcept E as e:\n    a = 1\nc = a"], "E b"),
    "a handler's name is unbound after it": (["try:\n    e = b\nexcept E as e:\n    pass\nc = e"], "E b e"),
    "bound in try, handler raises": (["try:\n    a = b\nexcept E:\n    raise\nc = a"], "E b"),
    "bound in finally": (["try:\n    pass\nfinally:\n    a = 1\nb = a"], ""),
    "bound in a loop": (["for i in x:\n    a = i\nb = a, i"], "a i x"),
    "bound by a cell that may fail": ([("raises-exception", "a = 1 / 0"), "b = a"], "a"),
    "match": (["match p:\n    case {'k': x, **r}:\n        y = x, r\nz = y"], "p y"),
    "walrus": (["if (a := b) > c:\n    d = a"], "b c"),
    "short circuit": (["x and (a := 1)\nb = a"], "a x"),
    "chained comparison": (["0 < x < (a := 1)\nb = a"], "a x"),
    "assert": (["assert x, (a := 1)\nb = a"], "a x"),
    "deleting needs the name": (["del a"], "a"),
    "augmented": (["a += b"], "a b"),
    "attribute and item stores": (["a.x = 1\nb[i] = 2"], "a b i"),
    "comprehension": (["[y + k for y in ys if y > z]"], "k ys z"),
    "lambda as argument": (["sorted(xs, key=lambda v: v + g)"], "xs g"),
    "default argument": (["def f(x=a): pass"], "a"),
    "decorator": (["@d(e)\ndef f(): pass"], "d e"),
    "annotations": (["def f(x: T, *a: U) -> V: pass"], "T U V"),
    "class body": (["class C(B, metaclass=M):\n    x = a\n    def f(self): return b"], "B M a b"),
    "body of a function defined here": (["def f(): return g + h"], "g h"),
    "body's name bound before the call": (["def f(): return g\ng = 1\nf()"], ""),
    "body's name bound after the call": (["def f(): return g\nf()\ng = 1"], "g"),
    "function of an earlier step": (["def f(): return g", "f()"], "f"),
    "nested functions": (["def f():\n    x = 1\n    def h(): return x + g\n    return h"], "g"),
    "global statement": (["def f():\n    global n\n    n += 1\nf()"], "n"),
    "builtins": (["print(len([1]))"], ""),
    "a builtin's name bound earlier": (["list = f", "list(x)"], "list x"),
    "builtins after a star import": (["from x import *", "sum(a)"], "sum a"),
    "await": (["r = await c"], "c"),
    "generator consumed later": (["g = (x * k for x in xs)", "k = 2", "list(g)"], "g k xs"),
    "generator function consumed later": (["def gen():\n    yield k", "g = gen()", "list(g)"], "g k"),
    "map with a function of the notebook": (["def f(x): return x + k", "m = map(f, xs)", "list(m)"], "f k m xs"),
    "coroutine awaited later": (["async def f(): return k", "c = f()", "await c"], "c k"),
    "shell": (["!echo {a} $b {c + d} {f(e)[0]}"], "a b c d e f"),
    "shell with a lonely brace": (["!awk '{print $1' {a}"], "a"),
    "assigned shell": (["x = !ls $d"], "d"),
    "double shell": (["!!ls $d"], "d"),
    "time": (["%time b = a"], "a"),
    "time of a negative": (["%time -a"], "a"),
    "timeit with options": (["%timeit -n 3 -r2 -o f(a)"], "f a"),
    "prun with options": (["%prun -s cumulative f(a)"], "f a"),
    "lprun": (["%lprun -f g f(a)"], "f g a"),
    "timeit setup": (["%%timeit b = a\nc + b"], "a b c"),
    "help": (["a?"], "a"),
    "help on a member": (["a.b.c??"], "a"),
    "help in front": (["?a"], "a"),
    "store": (["%store a b"], "a b"),
    "xdel": (["%xdel a"], "a"),
    "automagic whose name is bound": (["ls = 1", "ls"], "ls"),
    "automagic": (["ls"], ""),
    "query": (["k = 1", "df.query('x > @k')"], "df k"),
    "query by a known text": (["k = 1\nq = 'x > @k'", "df.query(q)"], "df k q"),
    "eval of a frame": (["k = 1", "df.eval('y = x + @k')"], "df k"),
    "pandas.eval": (["import pandas as pd\na = f()", "pd.eval('a + 1')"], "pd a"),
    "numexpr": (["import numexpr as ne\na = f()", "ne.evaluate('a * 2')"], "ne a"),
    "formula": (["import statsmodels.formula.api as smf\ndef sq(x): return x", "smf.ols('y ~ sq(x)', data=df)"], "df smf sq"),
    "duckdb": (["import duckdb\nt = f()", "duckdb.sql('select * from t')"], "duckdb t"),
    "sql magic": (["t = 1", "%sql select * from t"], "t"),
    "sql cell": (["t = 1", "%%sql\nselect * from t"], "t"),
    "query by a parameter's text": ([("parameters", "q = 'x > 1'"), "k = 1", "df.query('x > @k')"], "df k"),
    "asked whether there is a name": (["a = 1", "if 'a' in globals(): pass"], "a"),
    "asked whether there is none": (["if 'a' not in dir():\n    a = 1"], "a"),
    "asked in a function": (["def f(): return 'a' in globals()\nf()"], "a"),
    "texts beside are not read": (["k = 1", "df.rename('k')"], "df"),
}  # fmt: skip


@pytest.mark.parametrize("case", READS)
def test_reads(case):
    cells, names = READS[case]
    found = last(*cells)
    assert found.reads == set(names.split())
    assert not found.everything
    assert not found.history


BINDS = {
    "targets": ("a, (b, *c) = x\nfor d in x: pass\nwith x as e: pass", "a b c d e"),
    "imports": ("import a.b, c as d\nfrom e import f, g as h", "a d f h"),
    "definitions": ("def f(): x = 1\nclass C: y = 1\nasync def g(): pass", "f C g"),
    "deleted": ("del a", "a"),
    "branches": ("if c:\n    a = 1\nelif d:\n    b = 2", "a b"),
    "handlers": ("try:\n    a = 1\nexcept E as e:\n    b = 2\nelse:\n    c = 3\nfinally:\n    d = 4", "a b c d e"),
    "walrus in a comprehension": ("[(a := i) for i in x]", "a"),
    "match": ("match p:\n    case [a, *b]: pass\n    case {'k': c, **d}: pass\n    case C(x=e) as f: pass", "a b c d e f"),
    "global statement": ("def f():\n    global n\n    n = 1\nf()", "f n"),
    "not called": ("def f():\n    global n\n    n = 1", "f"),
    "capture": ("%%capture out\na = 1", "out a"),
    "capture with options": ("%%capture --no-stderr out\na = 1", "out a"),
    "bash": ("%%bash --out o --err e\nls", "o e"),
    "script": ("%%script --proc p --bg bash\nls", "p"),
    "time": ("%%time\na = 1", "a"),
    "timeit": ("%%timeit a = 1\nb = 2", ""),
    "assigned magic": ("x = %timeit -o f()", "x"),
    "step": ("%%step load\na = 1", "a"),
    "store": ("%store -r a b", "a b"),
    "xdel": ("%xdel a", "a"),
}  # fmt: skip


@pytest.mark.parametrize("case", BINDS)
def test_binds(case):
    source, names = BINDS[case]
    assert last(source).binds == set(names.split())


MUTATES = {
    "stores": (["a.x = 1\nb['k'] = 2\ndel c[0]\nd += e"], "a b c d"),
    "methods": (["a.append(1)"], "a"),
    "methods that only look": (["df.head()\ndf.groupby('a').mean()\ndf.describe()\nm.predict(df)\ndf.to_csv('x')"], ""),
    "inplace": (["df.drop('a', inplace=True)"], "df"),
    "not inplace": (["df.drop('a', inplace=False)"], ""),
    "perhaps inplace": (["df.drop('a', inplace=flag)"], "df"),
    "known functions": (["import random, heapq\nrandom.shuffle(a)\nheapq.heappush(b, 1)\nsetattr(c, 'x', 1)"], "a b c"),
    "out": (["import numpy as np\nnp.add(a, b, out=c)"], "c"),
    "iterators": (["it = iter(a)", "next(it)"], "it"),
    "generators are used up": (["g = (x for x in a)", "sum(g)"], "g"),
    "open files": (["f = open('x')", "f.read()"], "f"),
    "random generators": (["import numpy as np\nr = np.random.default_rng(0)", "x = r.normal()"], "r"),
    "random generators as arguments": (["import numpy as np\nr = np.random.default_rng(0)", "x = f(r)"], "r"),
    "drawings": (["import matplotlib.pyplot as plt\nfig, ax = plt.subplots()", "ax.plot(x)\n"], "fig ax"),
    "drawing on": (["import matplotlib.pyplot as plt\nfig, ax = plt.subplots()", "df.hist(ax=ax)"], "fig ax"),
    "numbers do not change": (["n = 1", "m = n", "m += 1"], ""),
    "modules do not change": (["import os", "os.environ['A'] = '1'"], ""),
    "alias": (["a = []", "b = a", "b.append(1)"], "a b"),
    "alias here": (["a = []", "b = a\nb.append(1)"], "a"),
    "alias ended": (["a = []", "b = a", "b = []", "b.append(1)"], "b"),
    "element": (["a = f()", "b = a[0]", "b.x = 1"], "a b"),
    "selection": (["df = f()", "d = df[df.x > 1]", "d['y'] = 1"], "d"),
    "copy": (["df = f()", "d = df.copy()", "d['y'] = 1"], "d"),
    "loop": (["a = f()", "for r in a:\n    r.x = 1"], "a"),
    "enumerated loop": (["a = f()", "for i, r in enumerate(a):\n    r.x = 1"], "a"),
    "container": (["a = []", "c = [a, 1]", "a.append(1)"], "a c"),
    "view": (["a = f()", "v = a.reshape(2)", "v[0] = 1"], "a v"),
    "array view": (["import numpy as np\na = f()", "v = np.asarray(a)", "v[0] = 1"], "a v"),
    "two at once": (["a = f()\nb = f()", "x, y = a, b", "x.append(1)"], "a x"),
    "argument": (["def f(d): d['x'] = 1", "f(a)"], "a"),
    "argument by name": (["def f(p, d): d['x'] = 1", "f(d=a, p=b)"], "a"),
    "argument copied first": (["def f(d):\n    d = d.copy()\n    d['x'] = 1", "f(a)"], ""),
    "argument's alias": (["def f(d):\n    e = d\n    e.append(1)", "f(a)"], "a"),
    "argument's elements": (["def f(d):\n    for r in d: r.x = 1", "f(a)"], "a"),
    "argument passed on": (["def f(d): d['x'] = 1\ndef g(p): f(p)", "g(a)"], "a"),
    "argument passed on by method": (["def f(d): d.update(x=1)", "f(a)"], "a"),
    "argument only read": (["def f(d): return d.mean()", "f(a)"], ""),
    "global in a function": (["xs = []\ndef f(x): xs.append(x)", "f(1)"], "xs"),
    "recursion": (["def f(d):\n    d.pop()\n    f(d)", "f(a)"], "a"),
    "result that is the argument": (["def f(d): return d", "b = f(a)", "b.append(1)"], "a b"),
    "result that is new": (["def f(d): return d.copy()", "b = f(a)", "b.append(1)"], "b"),
    "kept by a list": (["a = []\nb = []", "a.append(b)", "b.append(1)"], "a b"),
    "kept by an item": (["a = {}\nb = []", "a['k'] = b", "b.append(1)"], "a b"),
    "shown by a drawing": (["import matplotlib.pyplot as plt\nax = plt.gca()\ndf = f()", "ax.hist(df)\nax.set(title='x')"], "ax"),
    "fitted twice": (["X = f()\nm = g()", "m.fit(X)\nm.fit(X)"], "m"),
    "element of itself": (["a = f()", "b = a", "a = a[0]", "a.x = 1"], "a b"),
    "swapped": (["a = f()\nb = g()\nc = a", "a, b = b, a", "c.x = 1"], "a b c"),
    "changed by a constructor": (["class C:\n    def __init__(self, d): d['x'] = 1", "C(a)"], "a"),
    "kept by an instance": (["class C:\n    def __init__(self, d): self.d = d\n    def add(self): self.d.append(1)", "o = C(a)", "o.add()"], "a o"),
    "a method that only looks": (["class C:\n    def look(self): return self.x", "o = C()", "o.look()"], ""),
    "a method that changes though its name is harmless": (["class C:\n    def predict(self): self.n = 1", "o = C()", "o.predict()"], "o"),
    "a method's argument": (["class C:\n    def fit(self, d): d['x'] = 1", "o = C()", "o.fit(a)"], "a"),
    "unknown library with a name, its result thrown away": (["import scanpy as sc", "sc.pp.normalize(a)\nb = 1"], "a"),
}  # fmt: skip


@pytest.mark.parametrize("case", MUTATES)
def test_mutates(case):
    cells, names = MUTATES[case]
    assert last(*cells).mutates == set(names.split())


@pytest.mark.parametrize(
    "cell",
    [
        "exec(code)",
        "exec('a = 1')",
        "eval('a')",
        "xs.apply(eval)",
        "globals()['a']",
        "locals()",
        "'{a}'.format(**locals())",
        "vars()",
        "dir()",
        "[locals()[n] for n in names]",
        "name in globals()",
        "'a' in globals().values()",
        "def f(): exec(code)\nf()",
        "%run other.py",
        "%run other.ipynb",
        "%reset -f",
        "%unheard of",
        "%%unheard\nof",
        "get_ipython().user_ns['a']",
        "get_ipython().ev('a')",
        "get_ipython().run_cell('a')",
        "get_ipython().run_line_magic(name, 'a')",
        "ip = get_ipython()",
        "import __main__",
        "import sys\nsys.modules['__main__'].a",
        "import sys\nsys.modules[__name__].a",
    ],
)
def test_what_may_read_and_bind_anything(cell):
    found = last("a = 1", cell)
    assert found.everything
    assert found.binds_more


@pytest.mark.parametrize(
    "cell",
    [
        "df.query(text)",
        "df.query(f'x > {a}')",
        "df.eval(text)",
        "import statsmodels.formula.api as smf\nsmf.ols(text, df)",
        "import duckdb\nduckdb.sql(text)",
        "import sys\nsys._getframe()",
        "import inspect\ninspect.currentframe().f_back",
        "import inspect\ninspect.stack()",
        "import timeit\ntimeit.timeit('f()', 'from __main__ import f')",
        "import importlib\nimportlib.reload(m)",
        "import doctest\ndoctest.testmod()",
        "%who",
        "%whos",
        "who",
        "%store",
        "*a*?",
    ],
)
def test_what_may_read_anything(cell):
    found = last("a = 1", cell)
    assert found.everything


@pytest.mark.parametrize(
    "cell",
    [
        "exec('a', {})",
        "eval(text, {'x': x})",
        "def exec(x): pass\nexec(1)",
        "def f(): return locals(), vars(), dir()\nf()",
        "def f(): return 'a' in locals()\nf()",
        "vars(o)",
        "dir(o)",
        "model.eval()",
        "tree.query(points, k=2)",
        "cursor.execute(text)",
        "model.evaluate(X, y)",
        "if get_ipython() is not None: pass",
        "'colab' in str(get_ipython())",
        "'torch' in sys.modules",
        "if __name__ == '__main__': pass",
        "from math import *",
    ],
)
def test_what_reads_no_more_than_its_names(cell):
    assert not last("a = 1", cell).everything


def test_a_handle_of_the_namespace_goes_on_reading_everything():
    assert last("g = globals()", "g['a']").everything
    assert last("ip = get_ipython()", "ip.run_cell(code)").everything
    assert last("import __main__ as m", "m.a += 1").binds_more
    assert not last("x = globals()['a']", "x").everything


def test_a_text_that_may_have_changed_is_not_read():
    assert last(("parameters", "q = 'x > 1'"), "df.query(q)").everything
    assert last("q = 'x > 1'", "exec(code)", "df.query(q)").everything
    assert last("q = 'x > 1'", "if c: q = f()", "df.query(q)").everything
    assert not last("q = 'x > 1'", "df.query(q)").everything


def test_decorators_of_unknown_libraries_are_not_taken_to_set_them_up():
    assert not last("import numba\n@numba.njit\ndef f(): pass").surroundings
    assert not last("import some\n@some.thing\ndef f(): pass").surroundings


def test_a_function_that_executes_code_counts_where_it_runs():
    first, second = predictions("def f(): exec(code)", "f()")
    assert not first.everything
    assert second.everything == "exec() in f()"


def test_star_imports_bind_unknown_names():
    first, second = predictions("from math import *", "sin(1)")
    assert first.binds_more == "from math import *"
    assert not first.everything
    assert "sin" in second.reads


@pytest.mark.parametrize(
    "cell",
    ["_", "x = __", "_3", "Out[1]", "In", "_i1", "_ih", "def f(): return _\nf()", "%history", "%rerun 1", "%recall", "%macro m 1", "%save f 1"],
)  # fmt: skip
def test_looking_back(cell):
    assert last("1", cell).history


@pytest.mark.parametrize("cell", ["_ = 1\n_", "for _ in x: _", "a, _ = x\n_"])
def test_an_underscore_of_ones_own_is_a_name(cell):
    assert not last(cell).history
    assert not last("_ = 1", "_").history


@pytest.mark.parametrize(
    "cell",
    [
        "%load_ext autoreload",
        "%autoreload 2",
        "%matplotlib inline",
        "%config InlineBackend.figure_format = 'svg'",
        "%pylab",
        "%precision 3",
        "import altair as alt\nalt.renderers.enable('x')",
        "from altair import renderers\nrenderers.enable('x')",
        "from tqdm import tqdm\ntqdm.pandas()",
        "import mlflow\nmlflow.autolog()",
        "import mlflow\nmlflow.set_tracking_uri('x')",
        "import logging\nlogging.basicConfig(level=10)",
        "import logging\nlogging.getLogger('x').addHandler(h)",
        "import pandas as pd\npd.DataFrame.f = g",
        "import numpy as np\nsetattr(np, 'x', 1)",
        "import builtins\nbuiltins.x = 1",
        "import sys\nsys.stdout = x",
        "import plotly.io as pio\npio.renderers.default = 'x'",
        "from bokeh.io import output_notebook\noutput_notebook()",
        "import sympy\nsympy.init_printing()",
        "import tensorflow as tf\ntf.random.set_seed(1)",
        "import helpers\nhelpers.prepare()",
        "from IPython.core.interactiveshell import InteractiveShell\nInteractiveShell.ast_node_interactivity = 'all'",
        "import pandas as pd\n@pd.api.extensions.register_dataframe_accessor('x')\nclass A: pass",
        "import altair as alt\ndef setup(): alt.data_transformers.disable_max_rows()\nsetup()",
        "def setup():\n    import altair\n    altair.renderers.enable('x')\nsetup()",
        "get_ipython().events.register('a', f)",
        "exec(open('setup.py').read())",
        "%run setup.py",
        "import atexit\natexit.register(f)",
        "import duckdb\nduckdb.sql('create table t as select 1')",
        "import tools\ntools.calls.append(x)",
        "import tensorflow as tf\ntf.get_logger().setLevel('ERROR')",
        "from tools import calls\ncalls.append(x)",
        "from tools import calls\ncalls += [x]",
        "import tools\ny = tools.calls.pop()",
        "import tools\ndel tools.calls",
    ],
)  # fmt: skip
def test_surroundings(cell):
    assert last(cell).surroundings


@pytest.mark.parametrize(
    "cell",
    [
        "import random, numpy as np\nrandom.seed(0)\nnp.random.seed(0)",
        "import os\nos.environ['A'] = '1'\nos.chdir('x')\nos.makedirs('y', exist_ok=True)",
        "import warnings\nwarnings.filterwarnings('ignore')",
        "import matplotlib.pyplot as plt\nplt.rcParams['x'] = 1\nplt.style.use('x')\nplt.plot(x)\nplt.show()",
        "import seaborn as sns\nsns.set_theme()\nsns.histplot(df)",
        "import pandas as pd\npd.set_option('x', 1)\npd.options.display.max_rows = 5",
        "import numpy as np\nnp.set_printoptions(precision=2)\nnp.seterr(all='ignore')",
        "from sklearn import set_config\nset_config(display='diagram')",
        "import sys\nsys.path.append('x')\nsys.path.insert(0, 'y')",
        "import decimal\ndecimal.getcontext().prec = 5",
        "print(1)\ndisplay(x)",
        "import time, gc, shutil, json, pickle, subprocess\ntime.sleep(1)\ngc.collect()\nshutil.rmtree('x')\njson.dump(x, f)\npickle.dump(x, f)\nsubprocess.run(['ls'])",
        "from pathlib import Path\nPath('x').mkdir()\nPath('y').write_text('z')",
        "import joblib\njoblib.dump(m, 'x')",
        "import mlflow\nmlflow.log_metric('a', 1)\nmlflow.log_params({})\nmlflow.set_tag('a', 'b')",
        "import numpy as np, pandas as pd\nnp.testing.assert_allclose(a, b)\npd.testing.assert_frame_equal(a, b)",
        "import os, numpy as np, pandas as pd",
        "import plotly.express as px\npx.scatter(df).show()",
        "import altair as alt\nalt.Chart(df).mark_bar().encode(x='a')",
        "from IPython.display import HTML, display\ndisplay(HTML('x'))\nHTML('y')",
        "import scanpy as sc\nsc.pp.normalize(a)\nx = 1",
        "import some\nx = some.thing('a')",
        "import duckdb\nduckdb.sql('select 1')",
        "def setup(): alt.renderers.enable('x')",
        "%cd x",
        "!ls",
        "%env A=1",
        "%time f()",
        "o.enable('x')",
        "import sys\nsys.stdout.write('x')\nsys.stdout.flush()",
        "from tools import N\nN += 1",
    ],
)  # fmt: skip
def test_no_surroundings(cell):
    assert last(cell).surroundings == ""


AMBIENT = {
    "random.random()": "random",
    "random.seed(1)": "random",
    "random.Random(1)": "",
    "np.random.seed(1)": "numpy-random",
    "np.random.normal()": "numpy-random",
    "np.random.default_rng(1)": "",
    "df.sample(5)": "numpy-random",
    "df.sample(5, random_state=1)": "",
    "df.sample(5, random_state=None)": "",
    "train_test_split(a)": "numpy-random",
    "train_test_split(a, random_state=0)": "",
    "RandomForestClassifier().fit(X, y)": "numpy-random",
    "m = RandomForestClassifier()\nm.fit(X, y)": "numpy-random",
    "m = RandomForestClassifier(random_state=0)\nm.fit(X, y)": "",
    "m = RandomForestClassifier()": "",
    "torch.manual_seed(0)": "torch-random",
    "torch.nn.Linear(2, 3)": "torch-random",
    "torch.backends.cudnn.deterministic = True": "torch-options",
    "os.chdir('x')": "working-folder",
    "%cd x": "working-folder",
    "cd x": "working-folder",
    "os.environ['A'] = 'b'": "environment",
    "del os.environ['A']": "environment",
    "os.environ.setdefault('A', 'b')": "environment",
    "%env A=b": "environment",
    "warnings.simplefilter('ignore')": "warnings",
    "plt.rcParams['x'] = 1": "matplotlib",
    "plt.rcParams.update({})": "matplotlib",
    "plt.style.use('x')": "matplotlib",
    "sns.set_theme()": "matplotlib",
    "pd.set_option('x', 1)": "pandas",
    "pd.options.display.max_rows = 1": "pandas",
    "np.set_printoptions(precision=1)": "numpy-options",
    "sklearn.set_config(display='x')": "sklearn",
    "sys.path.append('x')": "path",
    "sys.path[0] = 'x'": "path",
    "sys.setrecursionlimit(9)": "interpreter",
    "def f(): np.random.seed(1)\nf()": "numpy-random",
    "def f(): np.random.seed(1)": "",
    "x = [random.random() for i in y]": "random",
}
IMPORTS = """import os, random, sys, warnings, numpy as np, pandas as pd, sklearn, torch, seaborn as sns
import matplotlib.pyplot as plt
from sklearn.model_selection import train_test_split
from sklearn.ensemble import RandomForestClassifier"""


@pytest.mark.parametrize("cell", AMBIENT)
def test_ambient(cell):
    expected = set(AMBIENT[cell].split())
    if cell.endswith("random_state=None)"):
        expected = {"numpy-random"}
    assert last(IMPORTS, cell).ambient == expected


def test_ambient_of_names_imported_from_modules():
    found = predictions("from random import seed\nfrom os import environ as e\nfrom sys import path", "seed(1)", "e['A'] = 'b'", "path.append('x')")  # fmt: skip
    assert [set(one.ambient) for one in found] == [set(), {"random"}, {"environment"}, {"path"}]
    assert last("from numpy.random import *", "seed(1)").ambient == {"numpy-random"}


def test_ambient_providers_have_these_names():
    from mlops_jupyter import plugins
    from mlops_jupyter.pipelines.libraries import AMBIENT as known

    assert set(known) <= set(plugins.names("ambient"))


def test_imports_in_order():
    found = last(
        "import b.c, a as x\nfrom d.e import f\nif x:\n    import g\ndef h():\n    import i"
    )
    assert found.imports == ("b.c", "a", "d.e", "g")
    assert last("%%time\nimport a").imports == ("a",)
    assert last("def h():\n    import i\nh()").imports == ("i",)


def test_files():
    found = last("import pandas as pd\npd.read_csv('a.csv').to_csv('b.csv')")
    assert (found.files_read, found.files_written) == ({"a.csv"}, {"b.csv"})
    found = last("%%writefile -a x.py\ny = 1")
    assert (found.files_read, found.files_written) == ({"x.py"}, {"x.py"})


@pytest.mark.parametrize(
    "cell",
    ["input()", "x = int(input('a'))", "%%time\ninput()", "from getpass import getpass\ngetpass()", "import getpass\ngetpass.getpass()", "with open('f'): input()"],
)  # fmt: skip
def test_input_is_refused(cell):
    found = predictions("# Title", "x = 1", cell)
    assert found[-1].input == 2
    with pytest.raises(InvalidInput, match=r"^a\.ipynb, cell 3: input\(\)") as caught:
        check_input(found, "a.ipynb")
    assert "parameter" in caught.value.hint


@pytest.mark.parametrize(
    "cell",
    ["def f(): input()", "if x: input()", "try:\n    input()\nexcept E: pass", "input = f\ninput()", ("raises-exception", "input()"), "o.input()", "for x in y: input()"],
)  # fmt: skip
def test_input_that_may_not_be_asked_for(cell):
    found = predictions(cell)
    assert found[0].input is None
    check_input(found, "a.ipynb")


def test_deep_code():
    found = last("x = " + "+".join(["z"] * 900))
    assert found.everything or "z" in found.reads
    made = notebook("x = " + "+".join(["z"] * 50_000))
    with pytest.raises(InvalidInput, match=r"^a\.ipynb, cell 1"):
        check_syntax(made, cut(made), "a.ipynb")


# --- whether the predictions hold for code that runs ------------------------------------------

NAME = st.sampled_from("abcd")
TEMPLATES = [
    "{0} = [1]",
    "{0} = {1}",
    "{0} = {1} + [2]",
    "{0} = [{1}, {2}]",
    "{0} = {1}[:1]",
    "{0}.append(3)",
    "{0} += [4]",
    "{0}[0:0] = {1}[:2]",
    "{0}, {1} = {1}, {0}",
    "if len({0}) > 2:\n    {1} = []",
    "for {0} in [[5], [6]]:\n    {1}.append({0})",
    "for i in {0}[:2]:\n    {1} = [i]",
    "try:\n    {0} = {1}[9]\nexcept IndexError:\n    {2} = [7]",
    "def f(): return {0}",
    "def g(p):\n    q = p\n    q.append(len({0}))",
    "def g(p): g2(p)\ndef g2(p): p.extend([8])",
    "def f():\n    global {0}\n    {0} = [9]\n    return {0}",
    "{0} = f()",
    "f()",
    "g({0})",
    "{0} = [len(x) for x in [{1}, {2}] if x is not {0}]",
    "{0} = (lambda y: [y, len({1})])(1)",
    "class C:\n    def __init__(self, p): self.p = p\n    def go(self): self.p.append({0}[:1])",
    "o = C({0})",
    "o.go()",
    "del {0}\n{0} = [0]",
    "while len({0}) > 3:\n    {0}.pop()",
    "{0} = [(n := {1}), n]",
    "with open('/dev/null') as h:\n    {0} = list({1})",
    "{0} = list(map(lambda y: y, {1}))",
    "{0} = {1} or {2}",
]
STATEMENT = st.builds(
    lambda template, names: template.format(*names),
    st.sampled_from(TEMPLATES),
    st.permutations("abcd"),
)
START = """a, b, c, d = [1], [2], [3], [4]
def f(): return []
def g(p): pass
class C:
    def __init__(self, p): self.p = p
    def go(self): pass
o = C([])"""


def _run(cells, namespace):
    for cell in cells:
        exec(compile(cell, "cell", "exec"), namespace)
    return namespace


def _shown(namespace):
    """Values as text; code and instances by what they do not share with others."""
    found = {}
    for name, value in namespace.items():
        if name.startswith("__"):
            continue
        if isinstance(value, types.FunctionType):
            found[name] = value.__code__.co_code, value.__code__.co_names
        elif isinstance(value, type):
            found[name] = value.go.__code__.co_names
        else:
            found[name] = repr(getattr(value, "p", value))
    return found


def _reach(names, namespace):
    """``names`` and the globals of the functions and classes that they hold."""
    pending, found = list(names), set()
    while pending:
        name = pending.pop()
        if name in found or name not in namespace:
            continue
        found.add(name)
        value = namespace[name]
        kind = value if isinstance(value, type) else type(value)
        codes = [value] if isinstance(value, types.FunctionType) else list(vars(kind).values())
        for code in codes:
            if isinstance(code, types.FunctionType):
                pending += code.__code__.co_names
    return found


@given(st.lists(st.lists(STATEMENT, min_size=1, max_size=3).map("\n".join), min_size=1, max_size=6))
def test_a_step_runs_alike_with_only_the_names_it_is_predicted_to_read(steps):
    cells = [START, *steps]
    found = predictions(*cells)
    for number in range(1, len(cells)):
        before = _run(cells[:number], {})
        shown = _shown(before)
        kept = _reach(found[number].reads, before)
        partly = {name: value for name, value in before.items() if name in kept}
        alone = _run(cells[:number], {})
        for name in set(alone) - kept - {"__builtins__"}:
            del alone[name]
        assert set(partly) <= set(alone) | {"__builtins__"}
        try:
            after = _shown(_run([cells[number]], before))
        except (RecursionError, TypeError):
            return  # the notebook stops here
        again = _shown(_run([cells[number]], alone))
        written = found[number].binds | found[number].mutates
        assert {n: v for n, v in after.items() if v != shown.get(n)}.keys() <= written
        assert {n: again.get(n) for n in again} == {n: after.get(n) for n in again}
