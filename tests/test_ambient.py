from __future__ import annotations

import builtins
import decimal
import importlib
import json
import locale
import logging
import os
import random
import re
import signal
import sys
import threading
import warnings
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import sklearn
from kernels import kernel

from mlops_jupyter import origin, plugins
from mlops_jupyter.ambient import Surroundings, Unstorable
from mlops_jupyter.ambient.codec import decode, encode
from mlops_jupyter.errors import Unavailable
from mlops_jupyter.testing import AmbientConformance

matplotlib = pytest.importorskip("matplotlib")


class Provided(AmbientConformance):
    def make(self):
        return plugins.load("ambient", self.plugin)()


class TestRandom(Provided):
    plugin = "random"

    def change(self):
        random.seed(3)
        random.gauss()

    def test_drawing_is_not_seeding(self):
        provider = self.make()
        for _ in range(10):
            for _ in range(500):
                random.random()
            assert provider.capture() is None
        random.seed(0)
        assert provider.capture() == random.getstate()
        provider.restore(None)
        assert provider.capture() is None
        assert random.getstate() != random.Random(0).getstate()


class TestNumpyRandom(Provided):
    plugin = "numpy-random"

    def make(self):
        provider = super().make()
        provider.restore(None)  # other tests seed it
        return provider

    def change(self):
        np.random.seed(3)
        np.random.standard_normal()  # leaves a spare one

    def test_the_sequence_goes_on(self):
        provider = self.make()
        self.change()
        state = decode(encode(provider.capture()))
        expected = np.random.standard_normal(700).tolist()
        provider.restore(state)
        assert np.random.standard_normal(700).tolist() == expected

    def test_another_bit_generator(self):
        provider, before = self.make(), np.random.get_bit_generator()
        np.random.set_bit_generator(np.random.PCG64(5))
        np.random.random()
        state = decode(encode(provider.capture()))
        expected = np.random.random()
        np.random.set_bit_generator(before)
        provider.restore(state)
        assert np.random.random() == expected

    def test_drawing_is_not_seeding(self):
        provider = self.make()
        np.random.random(5000)
        assert provider.capture() is None
        np.random.seed(0)
        assert provider.capture() is not None
        provider.restore(None)
        assert provider.capture() is None


class TestWorkingFolder(Provided):
    plugin = "working-folder"

    @pytest.fixture(autouse=True)
    def inside(self, tmp_path):
        os.chdir(tmp_path)

    def change(self):
        os.makedirs("deep/er", exist_ok=True)
        os.chdir("deep/er")

    def test_below_the_start_it_is_relative(self):
        provider = self.make()
        self.change()
        assert provider.capture() == [(True, "deep/er")]
        os.chdir("/")
        assert provider.capture() == [(False, "/")]

    def test_a_removed_folder(self):
        provider = self.make()
        os.mkdir("gone")
        os.chdir("gone")
        os.rmdir("../gone")
        with pytest.raises(Unstorable, match="removed"):
            provider.capture()


class TestEnvironment(Provided):
    plugin = "environment"

    def change(self):
        os.environ["SOME_NAME"] = "one"
        os.environ.pop("HOME", None)

    def test_secrets_are_not_taken(self):
        provider = self.make()
        os.environ["SERVICE_API_KEY"] = "hush"
        with pytest.raises(Unstorable, match="SERVICE_API_KEY") as raised:
            provider.capture()
        assert "hush" not in str(raised.value)

    def test_secret_parameters_are_left_alone(self):
        provider = self.make()
        os.environ.update(MLOPS_SECRETS="DATABASE,OTHER", DATABASE="hush", PLAIN="x")
        assert provider.capture() == (("PLAIN", "x"),)
        provider.restore(())
        assert (os.environ["DATABASE"], os.environ.get("PLAIN")) == ("hush", None)

    def test_what_jupyter_and_we_set_does_not_count(self):
        provider = self.make()
        os.environ.update(MLOPS_X="1", MLFLOW_RUN_ID="2", JPY_PARENT_PID="3", PYTHONHASHSEED="0")
        assert provider.capture() == ()
        provider.restore(())
        assert os.environ["MLOPS_X"] == "1"


class TestPath(Provided):
    plugin = "path"

    def change(self):
        sys.path.insert(0, os.path.join(os.getcwd(), "src"))
        sys.path.append("/elsewhere")


class TestWarnings(Provided):
    plugin = "warnings"

    @pytest.fixture(autouse=True)
    def filters(self):
        before = warnings.filters, list(warnings.filters)
        yield
        warnings.filters = before[0]
        warnings.filters[:] = before[1]

    def change(self):
        warnings.filterwarnings("ignore", message="a .*", category=UserWarning, module="b")
        warnings.simplefilter("error", pd.errors.PerformanceWarning, append=True)

    def test_they_work(self):
        provider = self.make()
        warnings.simplefilter("error")
        state = decode(encode(provider.capture()))
        warnings.simplefilter("ignore")
        provider.restore(state)
        with pytest.raises(UserWarning):
            warnings.warn("x", stacklevel=1)

    def test_the_notebooks_functions_and_classes_stay(self, monkeypatch):
        provider = self.make()
        own = type("Own", (Warning,), {"__module__": "__main__"})
        warnings.simplefilter("ignore", own)
        with pytest.raises(Unstorable, match="Own"):
            encode(provider.capture())
        provider.restore(None)
        monkeypatch.setattr(warnings, "warn", lambda *args, **kwargs: None)
        warnings.warn.__module__ = "__main__"
        with pytest.raises(Unstorable, match=r"warnings\.warn was replaced"):
            provider.capture()


class TestInterpreter(Provided):
    plugin = "interpreter"

    def change(self):
        sys.setrecursionlimit(sys.getrecursionlimit() + 500)
        sys.argv.append("--more")


class TestDecimal(Provided):
    plugin = "decimal"

    @pytest.fixture(autouse=True)
    def context(self):
        with decimal.localcontext(decimal.Context(traps=decimal.DefaultContext.traps)):
            yield

    def change(self):
        decimal.getcontext().prec = 7
        decimal.getcontext().traps[decimal.Inexact] = True
        decimal.getcontext().flags[decimal.Rounded] = True


class TestLocale(Provided):
    plugin = "locale"

    def change(self):
        now = locale.setlocale(locale.LC_CTYPE)
        locale.setlocale(locale.LC_ALL, "C" if now != "C" else "C.UTF-8")


class TestLogging(Provided):
    plugin = "logging"

    def change(self):
        logging.getLogger("notebook.part").setLevel(logging.DEBUG)
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("{message}", "%H", style="{"))
        logging.getLogger("notebook").addHandler(handler)
        logging.disable(logging.DEBUG)

    def test_other_handlers_stay(self, tmp_path):
        provider = self.make()
        handler = logging.FileHandler(tmp_path / "log", delay=True)
        logging.getLogger("notebook").addHandler(handler)
        with pytest.raises(Unstorable, match="the logger notebook has a FileHandler"):
            provider.capture()
        provider.restore((0, ()))
        assert handler not in logging.getLogger("notebook").handlers


class TestLocalModules(Provided):
    plugin = "local-modules"

    @pytest.fixture(autouse=True)
    def tools(self, tmp_path, monkeypatch):
        """A module of the project."""
        monkeypatch.syspath_prepend(tmp_path)
        # else the tests' own modules, in which much goes on, would count
        monkeypatch.setattr(origin, "installed", lambda file: not file.startswith(str(tmp_path)))
        (tmp_path / "own_tools.py").write_text(
            "import threading, collections\n"
            "calls, seen, last, count = [], {}, collections.deque(), 0\n"
            "lock = threading.Lock()\n"
            "class Model:\n    made = []\n    def __init__(self): self.n = 1\n"
            "model = Model()\n"
            "class Hostile:\n    def __len__(self): raise OSError('no')\n"
            "    @property\n    def __class__(self): raise OSError('never')\n"
            "hostile = Hostile()\n"
        )
        yield
        sys.modules.pop("own_tools", None)

    def change(self):
        tools = importlib.import_module("own_tools")
        tools.calls.append(1)
        tools.count += 1

    def test_values_stay_the_objects_they_are(self):
        tools = importlib.import_module("own_tools")
        provider = self.make()
        before = dict(provider.capture())["own_tools"]
        assert [place for place, _ in before] == [
            "calls",
            "seen",
            "last",
            "count",
            "Model.made",
            "model",
        ]
        values = {name: getattr(tools, name) for name in ("calls", "seen", "last", "model")}
        state = provider.capture()
        encoded = encode(state)
        tools.calls.append(1)
        tools.seen["a"] = tools.last
        tools.last.append(2)
        tools.Model.made.append(3)
        tools.model.n, tools.count, tools.new = 5, 3, "later"
        changed = encode(provider.capture())
        assert changed != encoded
        for wanted in (encoded, changed, encoded):
            provider.restore(decode(wanted))
            assert encode(provider.capture()) == wanted
        assert all(getattr(tools, name) is value for name, value in values.items())
        assert (tools.calls, tools.count, tools.model.n) == ([], 0, 1)
        assert not hasattr(tools, "new")


class TestMatplotlib(Provided):
    plugin = "matplotlib"

    def change(self):
        matplotlib.rcParams["figure.figsize"] = [3, 4]
        matplotlib.rcParams["axes.prop_cycle"] = matplotlib.cycler(color=["r", "g"], lw=[1, 2])

    def test_a_change_inside_of_a_value(self):
        provider = self.make()
        matplotlib.rcParams["figure.figsize"] = [3, 4]
        before = encode(provider.capture())
        matplotlib.rcParams["figure.figsize"][0] = 5
        assert encode(provider.capture()) != before
        provider.restore(provider.start())


class TestPandas(Provided):
    plugin = "pandas"

    def change(self):
        pd.set_option("display.max_rows", 7)
        pd.set_option("display.float_format", lambda x: f"{x:.1f}")


class TestNumpyOptions(Provided):
    plugin = "numpy-options"

    def change(self):
        np.set_printoptions(precision=2, formatter={"int": lambda n: f"<{n}>"})
        np.seterr(all="raise")


class TestSklearn(Provided):
    plugin = "sklearn"

    def change(self):
        sklearn.set_config(transform_output="pandas")


class TestThreads(Provided):
    plugin = "threads"

    @pytest.fixture(autouse=True)
    def event(self):
        self.end = threading.Event()
        yield
        self.end.set()

    def change(self):
        threading.Thread(target=self.end.wait, name="mine").start()

    def test_a_change_is_seen_and_taken_back(self):
        provider = self.make()
        self.change()
        with pytest.raises(Unstorable, match="the thread mine still runs"):
            provider.capture()
        with pytest.raises(Unstorable):
            provider.restore(None)

    def test_a_state_comes_back_from_bytes(self):
        """It has none."""

    def test_a_pool_that_waits_for_work_does_not_count(self, until):
        from concurrent.futures import ThreadPoolExecutor
        from multiprocessing.pool import ThreadPool

        provider = self.make()
        with ThreadPoolExecutor(2) as one, ThreadPool(2) as other:
            busy = one.submit(self.end.wait)
            with pytest.raises(Unstorable):
                provider.capture()
            self.end.set()
            assert busy.result(30)
            assert other.map(abs, [-1, -2]) == [1, 2]
            until(lambda: provider.changed() == "")


class TestBuiltins(Provided):
    plugin = "builtins"

    def change(self):
        builtins.print, builtins.extra = repr, 1


class TestHooks(Provided):
    plugin = "hooks"

    def change(self):
        sys.stdout = sys.__stderr__
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def test_functions_of_the_notebook():
    space = {"__name__": "__main__"}
    exec("f = lambda x, k=2: f'{abs(x):.{k}f}'\nn = 3\ng = lambda x: x + n", space)
    assert decode(encode(space["f"]))(-1.239) == "1.24"
    exec("\n\n\nf = lambda x, k=2: f'{abs(x):.{k}f}'", again := {"__name__": "__main__"})
    assert encode(space["f"]) == encode(again["f"]), "where it stands says nothing"
    with pytest.raises(Unstorable, match="variables of the notebook"):
        encode(space["g"])
    space["abs"] = round
    with pytest.raises(Unstorable):
        encode(space["f"])
    with pytest.raises(Unstorable):
        encode(threading.Lock())


def test_equal_values_give_equal_bytes():
    text = "".join(["so", "me"])
    assert encode([text, text]) == encode(["".join(["so", "me"]), "some"])


SETUP = """
import sys, json
from mlops_jupyter.ambient import Surroundings
surroundings = Surroundings()
def give():
    found = surroundings.capture()
    text = {k: v.hex() if isinstance(v, bytes) else "!" + str(v) for k, v in found.items()}
    print(json.dumps(text))
def take(state):
    surroundings.restore({k: bytes.fromhex(v) for k, v in json.loads(state).items()})
"""


class Pair:
    """Two kernels, the second of which is given the state of the first."""

    def __init__(self, first, second):
        self.first, self.second = first, second

    def state(self, running):
        return json.loads(running.ok("give()").text)

    def take(self, running, state):
        return running.run(f"take({json.dumps(state)!r})")


@contextmanager
def pair(folder):
    with kernel(folder) as first, kernel(folder) as second:
        first.ok(SETUP)
        second.ok(SETUP)
        yield Pair(first, second)


@pytest.fixture(scope="module")
def kernels(tmp_path_factory, walls):
    with pair(tmp_path_factory.mktemp("project")) as two:
        yield two


CARRIED = {
    "random": ("import random; random.seed(4); random.gauss()", "random.gauss(), random.random()"),
    "numpy": ("import numpy as np; np.random.seed(1); _ = np.random.rand(9)", "np.random.rand()"),
    "chdir": ("import os; os.makedirs('a/b', exist_ok=True); os.chdir('a/b')", "os.getcwd()"),
    "environ": ("import os; os.environ['NAME_OF'] = 'x'", "os.environ.get('NAME_OF')"),
    "path": ("sys.path.append('lib')", "sys.path"),
    "warnings": ("import warnings; warnings.simplefilter('error')", "warnings.warn('w')"),
    "decimal": ("import decimal; decimal.getcontext().prec = 5", "decimal.Decimal(1) / 3"),
    "logging": (
        "import logging; logging.basicConfig(level=20, format='%(message)s', stream=sys.stdout)",
        "logging.info('heard')",
    ),
    "pandas": (
        "import pandas as pd; pd.options.display.float_format = '{:,.1f}'.format",
        "pd.Series([1234.567])",
    ),
    "lambda": (
        "import pandas as pd; pd.set_option('display.float_format', lambda x: '%.3f' % x)",
        "pd.Series([1234.567])",
    ),
    "printoptions": (
        "import numpy as np; np.set_printoptions(precision=2); np.seterr(divide='ignore')",
        "np.array([1.23456]), np.array([1]) / 0",
    ),
    "precision": ("%precision 2", "3.14159"),
    "pprint": ("%pprint", "{'b': 1, 'a': list(range(60))}"),
    "all": (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "InteractiveShell.ast_node_interactivity = 'all'",
        "1\n2",
    ),
    "config": ("%config InteractiveShell.ast_node_interactivity = 'last_expr_or_assign'", "a = 7"),
    "xmode": ("%xmode Minimal", "1 / 0"),
    "sklearn": (
        "import sklearn; sklearn.set_config(print_changed_only=False)",
        "from sklearn.linear_model import Ridge; Ridge()",
    ),
    "rc": ("import matplotlib.pyplot as plt; plt.style.use('ggplot')", "plt.rcParams['axes.grid']"),
    "svg": (
        "import matplotlib.pyplot as plt\n%config InlineBackend.figure_formats = ['svg']",
        "_ = plt.plot([1])",
    ),
    "figure": (
        "import matplotlib.pyplot as plt\nplt.figure(); plt.close('all')",
        "from matplotlib.figure import Figure; Figure()",
    ),
    "agg": ("import matplotlib; matplotlib.use('agg')", "matplotlib.get_backend()"),
}


def shown(reply):
    data = [sorted(kind for kind in bundle) for bundle in reply.data]
    texts = [bundle.get("text/plain") for bundle in reply.data]
    traceback = re.sub(r"ipykernel_\d+|In\[\d+\]", "", reply.traceback)
    return reply.status, reply.text, texts, data, traceback


@pytest.mark.parametrize("case", CARRIED)
def test_carried_to_another_kernel(kernels, case):
    change, look = CARRIED[case]
    names = [line for line in change.splitlines() if "import" in line]
    imports = "; ".join(p for line in names for p in line.split("; ") if "import" in p) or "pass"
    for running in (kernels.first, kernels.second):
        running.ok("take('{}')")
    before = kernels.state(kernels.second)
    kernels.first.ok(change)
    state = kernels.state(kernels.first)
    assert not [value for value in state.values() if value.startswith("!")]
    assert kernels.take(kernels.second, state).status == "ok"
    assert kernels.state(kernels.second) == state
    kernels.second.ok(imports)
    assert kernels.state(kernels.second) == state, "importing again changes nothing"
    assert shown(kernels.second.run(look)) == shown(kernels.first.run(look))
    for running in (kernels.first, kernels.second):
        assert kernels.take(running, {}).status == "ok"
    settled = {"matplotlib-inline"}
    assert kernels.state(kernels.second).keys() - settled == before.keys() - settled


STAYS = {
    "figure": ("import matplotlib; matplotlib.use('agg'); import matplotlib.pyplot as plt; "
               "plt.figure()", "matplotlib", "figure is still open"),
    "magic": ("from IPython.core.magic import register_line_magic\n"
              "@register_line_magic\ndef mine(line): pass", "ipython", "line magic mine"),
    "callback": ("get_ipython().events.register('post_run_cell', lambda *a: None)", "ipython",
                 "post_run_cell callback"),
    "formatter": ("get_ipython().display_formatter.formatters['text/html']"
                  ".for_type(int, lambda n: f'<b>{n}</b>')", "ipython", "text/html printer for"),
    "thread": ("import threading; threading.Thread(target=threading.Event().wait, daemon=True)"
               ".start()", "threads", "still runs"),
    "task": ("import asyncio; task = asyncio.create_task(asyncio.sleep(1000))", "threads",
             "still pending"),
    "stdout": ("sys.stdout = open('log', 'w')", "hooks", "sys.stdout was replaced"),
    "builtin": ("import builtins; builtins.print = print_ = lambda *a, **k: None", "builtins",
                "builtins.print was changed"),
}  # fmt: skip


@pytest.mark.parametrize("case", STAYS)
def test_stays_in_its_kernel(tmp_path, case):
    change, name, reason = STAYS[case]
    with kernel(tmp_path) as running:
        running.ok(SETUP)
        running.ok(change)
        running.ok(
            "state = {k: str(v) for k, v in surroundings.capture().items()}\n"
            "__import__('pathlib').Path('state').write_text(json.dumps(state))"
        )
    state = json.loads((tmp_path / "state").read_text())
    assert reason in state[name]


def test_imports_are_no_change(tmp_path):
    with pair(tmp_path) as two:
        two.first.ok(
            "import numpy, pandas, sklearn.linear_model, sklearn.ensemble, scipy.stats, pyarrow\n"
            "import matplotlib.pyplot, decimal, socket, logging.config, joblib"
        )
        assert two.state(two.first) == {}


def test_autoreload_is_loaded_elsewhere(tmp_path):
    with pair(tmp_path) as two:
        two.first.ok("%load_ext autoreload\n%autoreload 2")
        assert kernels_take(two) == two.state(two.first)
        (tmp_path / "helper.py").write_text("value = 1\n")
        two.second.ok("import helper")
        (tmp_path / "helper.py").write_text("value = 'changed'\n")
        assert two.second.ok("helper.value").result == "'changed'"
        assert "ipython" in two.take(two.second, {}).traceback, "an extension cannot be forgotten"


def kernels_take(two):
    assert two.take(two.second, two.state(two.first)).status == "ok"
    return two.state(two.second)


def test_filters_of_a_later_import_keep_their_place(tmp_path):
    """A library's own filters come before those that user code had set when it was imported."""
    with pair(tmp_path) as two:
        two.first.ok(
            "import warnings; warnings.simplefilter('ignore'); import sklearn.linear_model"
        )
        kernels_take(two)
        look = "[f[:2] for f in warnings.filters]"
        two.second.ok("import warnings")
        assert two.second.ok(look).result == two.first.ok(look).result


def test_a_library_is_imported_for_its_state(tmp_path):
    with pair(tmp_path) as two:
        two.first.ok("import pandas as pd; pd.set_option('display.max_rows', 3)")
        assert kernels_take(two).keys() == {"pandas"}
        assert two.second.ok("'pandas' in sys.modules").result == "True"


def test_what_cannot_be_undone_is_said():
    surroundings = Surroundings()
    state = surroundings.capture()
    end = threading.Event()
    threading.Thread(target=end.wait, name="left").start()
    try:
        assert "left" in str(surroundings.capture()["threads"])
        with pytest.raises(Unavailable, match="threads of a step: the thread left still runs"):
            surroundings.restore(state)
    finally:
        end.set()


def test_every_provider_is_named_as_its_entry_point():
    providers = {name: plugins.load("ambient", name) for name in plugins.names("ambient")}
    assert {name: provider.name for name, provider in providers.items()} == {
        n: n for n in providers
    }
    changing = {name for name, provider in providers.items() if provider.reads_change}
    assert changing == {"random", "numpy-random", "torch-random"}
