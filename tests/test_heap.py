"""heap/: what names are bound to comes back in another process as it was, or is said to be live.

Kernels are processes forked from two interpreters that have nothing in common but their hash seed,
each with a real shell."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from multiprocessing.connection import Client, Listener

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

KERNELS = '''
import os, sys, traceback
from multiprocessing.connection import Client
import numpy, pandas, sklearn.linear_model, sklearn.pipeline, sklearn.model_selection
from IPython.core.interactiveshell import InteractiveShell
from mlops_jupyter.blobs import Blobs
from mlops_jupyter.heap import Heap

parent = Client(sys.argv[1])
while True:
    address, cache = parent.recv()
    if os.fork():
        os.wait()
        parent.send(None)
        continue
    if os.fork():
        os._exit(0)
    parent.close()
    link = Client(address)
    shell = InteractiveShell.instance(history_length=0)
    shell.history_manager.enabled = False
    heap = Heap(shell, Blobs(cache))
    while True:
        try:
            what, *args = link.recv()
        except EOFError:
            os._exit(0)
        try:
            if what == "run":
                result = shell.run_cell(args[0])
                result.raise_error()
                link.send((True, None))
            elif what == "eval":
                link.send((True, eval(args[0], shell.user_ns)))
            else:
                link.send((True, getattr(heap, what)(*args)))
        except BaseException as error:
            link.send((False, (type(error).__name__, str(error), traceback.format_exc())))
'''


class Failed(Exception):
    """Something failed in a kernel."""


class Kernel:
    def __init__(self, zygote, cache):
        with Listener() as listener:
            zygote.send((listener.address, str(cache)))
            zygote.recv()
            self.link = listener.accept()

    def _ask(self, *what):
        self.link.send(what)
        fine, answer = self.link.recv()
        if not fine:
            raise Failed("\n".join(answer))
        return answer

    def run(self, source):
        self._ask("run", textwrap.dedent(source))

    def eval(self, source):
        return self._ask("eval", source)

    def collect(self, touched=None, label="step"):
        return self._ask("collect", touched, label)

    def restore(self, bundles, known=()):
        return self._ask("restore", list(bundles), known)

    def mark(self):
        self._ask("mark")

    def held(self):
        return self._ask("held")


@pytest.fixture(scope="session")
def zygotes():
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    links, processes = [], []
    for _ in range(2):
        with Listener() as listener:
            command = [sys.executable, "-c", KERNELS, listener.address]
            processes.append(subprocess.Popen(command, env=environment))
            links.append(listener.accept())
    yield links
    for link, process in zip(links, processes, strict=True):
        link.close()
        process.wait()


@pytest.fixture
def kernel(zygotes, tmp_path):
    """Makes a kernel, every other one from the other interpreter."""
    made = []

    def make():
        made.append(Kernel(zygotes[len(made) % 2], tmp_path / "cache"))
        return made[-1]

    yield make
    for one in made:
        one.link.close()


def by_name(changes):
    return {name: bundle for bundle in changes.bundles for name in bundle.names}


def carried(kernel, cells, check, live=()):
    """Run cells in one kernel, restore in another, check there; look again: nothing changed. The
    cells in yet another kernel give the same versions."""
    first, second, third = kernel(), kernel(), None
    state = {}
    for cell in [cells] if isinstance(cells, str) else cells:
        first.mark()
        first.run(cell)
        changes = first.collect()
        for name in changes.deleted:
            state.pop(name, None)
        state.update(by_name(changes))
    found = {name: bundle.why for name, bundle in state.items() if not bundle.stored}
    assert {name.partition("#")[0] for name in found} == set(live), found
    first.run(check)
    if live:
        return state
    bundles = list(dict.fromkeys(state.values()))
    assert second.restore(bundles) == []
    second.mark()
    again = second.collect()
    assert again.bundles == () and again.deleted == ()
    second.run(check)
    third = kernel()
    kernel().link.close()
    for cell in [cells] if isinstance(cells, str) else cells:
        third.mark()
        third.run(cell)
        third.collect()
    assert third.held() == first.held()
    fourth = kernel()
    fourth.restore(bundles)
    fourth.run("del_me = 1")
    fourth.collect()
    fourth.run(check)
    return state


ARRAYS = {
    "plain": ("x = np.arange(6.0)", "assert x.flags.owndata and x.flags.writeable; x[0] = 9; x.resize(7)"),
    "large": ("x = np.arange(100000.0)", "assert x[-1] == 99999; x[0] = 5; assert x[0] == 5"),
    "fortran": (
        "x = np.asfortranarray(np.arange(200000.0).reshape(400, 500)); y = np.asfortranarray([[1,2],[3,4]])",
        "assert x.flags.f_contiguous and x[1, 0] == 500 and y.flags.f_contiguous",
    ),
    "permuted": (
        "x = np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2).copy(order='K'); z = np.arange(240000).reshape(2, 300, 400).transpose(1, 0, 2).copy(order='K')",
        "assert x.strides == (32, 96, 8) and x[2, 1, 3] == 23 and z[0, 1, 0] == 120000 and z.strides[1] > z.strides[0]",
    ),
    "view": ("x = np.arange(10); y = x[2:8:2]", "y[0] = 77; assert x[2] == 77 and y.base is not None"),
    "large view": ("x = np.arange(100000); y = x[::-3]", "y[0] = 7; assert x[-1] == 7; assert y.strides == (-24,)"),
    "view of nothing named": ("y = np.arange(100000.0)[5:9]; z = y[1:]", "z[0] = 3; assert y[1] == 3"),
    "zero-d": ("x = np.arange(3.0); y = x[1:2].reshape(()); z = np.array(5)", "y[...] = 8; assert x[1] == 8 and z.shape == ()"),
    "structured": (
        "x = np.zeros(4, dtype=[('a', 'i4'), ('b', 'M8[s]')]); y = x['b']",
        "y[1] = np.datetime64('2020-01-01'); assert x[1]['b'] == np.datetime64('2020-01-01')",
    ),
    "objects": (
        "l = [1]; x = np.array([l, 'a', None, l], dtype=object); y = x[::2]",
        "assert x[0] is l and y[0] is l and x[3] is l; y[1] = 5; assert x[2] == 5",
    ),
    "read-only": (
        "x = np.arange(5); x.flags.writeable = False; y = np.arange(90000.0); y.flags.writeable = False",
        "assert not x.flags.writeable and not y.flags.writeable; x.flags.writeable = y.flags.writeable = True; y[0] = 1",
    ),
    "read-only view": (
        "x = np.arange(90000.0); y = x[:5]; y.flags.writeable = False",
        "x[0] = 4; assert y[0] == 4 and not y.flags.writeable",
    ),
    "writeable view of read-only": (
        "x = np.arange(5); y = x[:2]; x.flags.writeable = False",
        "y[0] = 4; assert x[0] == 4 and not x.flags.writeable",
    ),
    "bytes": (
        "b = bytes(80000); x = np.frombuffer(b, 'u1'); y = np.frombuffer(b'abcd', 'u1')",
        "assert not x.flags.writeable and not y.flags.writeable and y[0] == 97\ntry: x.flags.writeable = True\nexcept ValueError: pass\nelse: raise AssertionError",
    ),
    "broadcast": ("x = np.broadcast_to(np.arange(3), (4, 3))", "assert x.strides == (0, 8) and x[3, 2] == 2"),
    "window": ("x = np.arange(9); w = np.lib.stride_tricks.sliding_window_view(x, 3)", "x[1] = 5; assert w[0, 1] == 5 and w.shape == (7, 3)"),
    "empty": ("x = np.zeros((0, 3)); y = x[:, 1:]; z = np.zeros(3)[:0]", "assert x.shape == (0, 3) and y.shape == (0, 2) and z.shape == (0,)"),
    "transposed": ("x = np.arange(6).reshape(2, 3); y = x.T", "y[2, 1] = 50; assert x[1, 2] == 50"),
    "masked": ("m = np.ma.array([1, 2, 3], mask=[0, 1, 0])", "assert m.sum() == 4"),
    "matrix": ("m = np.matrix([[1, 2], [3, 4]])", "assert (m * m)[0, 0] == 7"),
    "strings": ("x = np.array(['a', 'bcd' * 50], dtype=np.dtypes.StringDType())", "assert x[1] == 'bcd' * 50"),
    "records": ("r = np.rec.array([(1, 2.0)], dtype=[('a', 'i4'), ('b', 'f8')])", "assert r.a[0] == 1"),
    "generator": ("g = np.random.default_rng(3); h = g.bit_generator", "assert g.bit_generator is h; assert g.integers(100) == 81"),
    "dates": ("x = np.arange('2020', '2021', dtype='M8[D]'); y = x[3:]", "y[0] = np.datetime64('1999-01-01'); assert x[3].astype(str) == '1999-01-01'"),
    "same array twice": ("x = np.arange(4); y = x; z = [x]", "assert y is x and z[0] is x"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_array(kernel, case):
    make, check = ARRAYS[case]
    carried(kernel, ["import numpy as np", make], check)


LIVE_ARRAYS = {
    "masked view": "x = np.arange(4); m = np.ma.array(x, copy=False)",
    "two matrices": "x = np.matrix([[1, 2], [3, 4]]); m = x[0]",
    "shared bytearray": "x = bytearray(8); m = np.frombuffer(x, 'u1')",
    "a record": "x = np.zeros(2, dtype=[('a', 'i4')]); m = x[0]",
}


@pytest.mark.parametrize("case", LIVE_ARRAYS)
def test_array_that_stays(kernel, case):
    state = carried(kernel, ["import numpy as np", LIVE_ARRAYS[case]], "", live={"x", "m"} if case != "a record" else {"m", "x"})
    assert state["m"].names == ("m", "x")


def test_memory_map_stays(kernel, tmp_path):
    make = f"m = np.memmap({str(tmp_path / 'm')!r}, 'u1', 'w+', shape=9); a = np.asarray(m)"
    carried(kernel, ["import numpy as np", make], "", live={"m", "a"})


FRAMES = {
    "frame": (
        "df = pd.DataFrame({'a': [1, 2], 'b': [1.5, 2.5], 's': ['x', None], 'k': pd.Categorical(['u', 'v']), 't': pd.date_range('2020', periods=2, tz='UTC'), 'n': pd.array([1, None], dtype='Int64'), 'o': [[1], {2}]}); df.attrs['x'] = [1]",
        "assert list(df.dtypes.astype(str)) == ['int64', 'float64', 'str', 'category', 'datetime64[us, UTC]', 'Int64', 'object']; df.loc[0, 'a'] = 7; assert df.a.sum() == 9; assert df.attrs == {'x': [1]}",
    ),
    "two frames": (
        "df = pd.DataFrame({'a': np.arange(90000), 'b': 1.0}); s = df['a']; t = df[10:]",
        "df.loc[0, 'a'] = 5; s.iloc[11] = 6; assert s.iloc[0] == 0 and df.a[11] == 11 and t.a.iloc[1] == 11",
    ),
    "to_numpy": (
        "df = pd.DataFrame({'a': [1.0, 2], 'b': [3.0, 4], 'c': [0, 1]}); X = df[['a', 'b']].to_numpy(); y = df['c'].to_numpy()",
        "assert not y.flags.writeable; df.loc[0, 'c'] = 9; assert y[0] == 9; assert X[0, 1] == 3",
    ),
    "to_numpy of several": (
        "df = pd.DataFrame({'c': [0, 1]}); s = df['c']; y = df['c'].to_numpy()",
        "df.loc[0, 'c'] = 9; assert y[0] == 0 and s[0] == 0; s[1] = 8; assert y[1] == 8 and df.c[1] == 1",
    ),
    "values of extension": (
        "df = pd.DataFrame({'k': pd.Categorical(['u', 'v', 'u'])}); c = df['k'].array; codes = df['k'].cat.codes.to_numpy()",
        "assert list(c) == ['u', 'v', 'u']",
    ),
    "index": (
        "df = pd.DataFrame({'a': [1, 2], 'b': [3, 4]}); d2 = df.set_index('a'); i = df.columns; m = pd.MultiIndex.from_product([[1, 2], ['a']])",
        "df.loc[0, 'a'] = 9; assert list(d2.index) == [1, 2]; assert list(i) == ['a', 'b'] and m.nlevels == 2",
    ),
    "index and array": (
        "df = pd.DataFrame({'a': [1, 2], 'b': [3., 4.]}); d2 = df.set_index('b'); y = d2.index.to_numpy(); z = d2.index; w = df['b'].to_numpy()",
        "before = list(y); df.loc[0, 'b'] = 9; assert list(y) == before and list(z) == before; assert list(d2.index) == before",
    ),
    "no copy": ("x = np.zeros((3, 2)); df = pd.DataFrame(x, copy=False)", "x[0, 0] = 5; assert df.iloc[0, 0] == 5; df.iloc[1, 1] = 6; assert x[1, 1] == 6"),
    "groups": ("df = pd.DataFrame({'a': [1, 1, 2]}); g = df.groupby('a')", "assert g.size()[1] == 2 and g.obj is df"),
    "objects": (
        "df = pd.DataFrame({'o': [[i, 'v' + str(i)] for i in range(10000)]}, dtype=object); l = df['o'][5]",
        "l.append(3); assert df['o'][5] == [5, 'v5', 3]",
    ),
    "interval, period, sparse": (
        "a = pd.Series(pd.interval_range(0, 3)); b = pd.period_range('2020', periods=3, freq='M'); c = pd.Series(pd.arrays.SparseArray([0, 0, 1]))",
        "assert a[0].right == 1 and str(b[2]) == '2020-03' and c.sum() == 1",
    ),
    "large": ("df = pd.DataFrame(np.arange(200000.0).reshape(-1, 4)); e = df.iloc[::2]", "df.iloc[0, 0] = 5; assert e.iloc[0, 0] == 0 and e.iloc[1, 1] == 9"),
}


@pytest.mark.parametrize("case", FRAMES)
def test_frame(kernel, case):
    make, check = FRAMES[case]
    carried(kernel, ["import numpy as np, pandas as pd", make], check)


def test_frames_are_apart(kernel):
    """Frames that only pandas knows to share memory are bundles of their own."""
    make = "df = pd.DataFrame({'a': [1], 's': ['x']}); s = df['a']; t = df[['s']]; k = df.iloc[:1]"
    state = carried(kernel, ["import pandas as pd", make], "assert s[0] == 1")
    assert {state[name].names for name in ("df", "s", "t", "k")} == {("df",), ("s",), ("t",), ("k",)}


def test_frame_whose_sharer_is_hidden(kernel):
    """An array in a frame's memory, which something else uses that is not here."""
    one = kernel()
    one.run("import pandas as pd\ndf = pd.DataFrame({'c': [0, 1]}); y = df['c'].to_numpy()")
    one.run("df['c']")  # in IPython's history of results
    assert not by_name(one.collect())["y"].stored
