"""What runs, what is taken from the cache, and why; with real kernels. Whatever is skipped, the
notebook shows what it shows when it runs from top to bottom."""

from __future__ import annotations

import shutil

import pytest
from pipelines_support import play

pytest_plugins = ("pipelines_fixtures",)

CHAIN = ("x = 1", "y = x + 1", "z = y * 10", "print(x, y, z)")


# --- edits of one cell ------------------------------------------------------------------------


def test_after_an_edit_only_what_it_reaches_runs(ready):
    assert play(ready, *CHAIN).did == "rrrr"
    again = play(ready, *CHAIN)
    assert (again.did, again.shown[-1], set(again.why)) == ("cccc", "1 2 20", {"nothing changed"})
    edited = play(ready, "x = 1", "y = x + 2", "z = y * 10", "print(x, y, z)")
    assert (edited.did, edited.shown[-1]) == ("crrr", "1 3 30")
    assert edited.why[2] == "y changed"
    assert play(ready, *CHAIN).did == "cccc", "both versions are kept"


def test_early_cut_off(ready):
    """Another text with the same value: nothing downstream runs."""
    play(ready, *CHAIN)
    edited = play(ready, "x = 3 - 2", "y = x + 1", "z = y * 10", "print(x, y, z)")
    assert (edited.did, edited.shown[-1]) == ("rccc", "1 2 20")


def test_a_comment_changes_nothing(ready):
    play(ready, *CHAIN)
    edited = play(ready, "x = 1  # one\n", "y = (x + 1)  # two", "z = y * 10", "print(x, y, z)")
    assert edited.did == "cccc"


def test_a_new_cell_in_between(ready):
    play(ready, *CHAIN)
    edited = play(ready, "x = 1", "y = x + 1", "w = 5", "z = y * 10", "print(x, y, z)")
    assert (edited.did, edited.shown[-1]) == ("ccrcc", "1 2 20")


def test_a_function_that_is_edited(ready):
    def cells(factor):
        return (
            f"def scale(v):\n    return v * {factor}",
            "base = 4",
            "def twice(v):\n    return scale(v) + scale(v)",
            "print(twice(base))",
            "print(base)",
        )

    assert play(ready, *cells(2)).shown[3] == "16"
    edited = play(ready, *cells(3))
    assert (edited.did, edited.shown[3]) == ("rcrrc", "24")
    assert edited.why[3] == "scale changed"


def test_parameters_reach_only_who_reads_them(ready):
    cells = (("parameters", "a = 1\nb = 1"), "x = a + 1", "y = b + 1", "print(x, y)")
    play(ready, *cells)
    other = play(ready, *cells, parameters={"b": 5})
    assert (other.did[-3:], other.shown[-1]) == ("crr", "2 6")


def test_without_the_cache_everything_runs(ready):
    play(ready, *CHAIN)
    assert play(ready, *CHAIN, use_cache=False).did == "rrrr"
    assert play(ready, *CHAIN).did == "cccc", "what ran is kept"


def test_numbers_of_cells_are_those_of_the_notebook(ready):
    import nbformat

    play(ready, *CHAIN)
    edited = play(ready, "x = 1", "y = x + 1", "z = y * 11", "print(x, y, z)")
    executed = nbformat.read(ready.root / edited.run.output, as_version=4)
    assert edited.did == "ccrr"
    assert [cell.execution_count for cell in executed.cells] == [1, 2, 3, 4]


def test_history_is_as_in_one_kernel(ready):
    cells = ("5", "_ + 1", "a = 2", "(In[1], Out[2], _)")
    assert play(ready, *cells).shown[3] == "('5', 6, 6)"
    assert play(ready, "5", "_ + 1", "a = 3", "(In[1], Out[2], _)").shown[3] == "('5', 6, 6)"


# --- data, modules, files ---------------------------------------------------------------------


def test_a_data_file_that_changes(ready):
    data = ready.root / "data.csv"
    data.write_text("a\n1\n2\n")
    cells = (
        "import pandas as pd",
        "frame = pd.read_csv('data.csv')",
        "count = len(frame)",
        "print(count)",
        "print('aside')",
    )
    assert play(ready, *cells).shown[3] == "2"
    data.write_text("a\n1\n5\n")
    same = play(ready, *cells)
    assert (same.did, same.why[1]) == ("crrcc", "file data.csv changed"), "the count is the same"
    data.write_text("a\n1\n2\n3\n")
    other = play(ready, *cells)
    assert (other.did, other.shown[3]) == ("crrrc", "3")


def test_a_local_module_that_changes(ready):
    module = ready.root / "helper.py"
    module.write_text("FACTOR = 2\n")
    cells = ("before = 1", "import helper", "print(before * helper.FACTOR)", "print(before)")
    assert play(ready, *cells).shown[2] == "2"
    assert play(ready, *cells).did == "cccc"
    module.write_text("FACTOR = 30\n")
    edited = play(ready, *cells)
    assert (edited.did[:3], edited.shown[2]) == ("crr", "30")
    assert "helper" in edited.why[1]


def test_files_of_cached_steps_are_put_back(ready):
    root = ready.root
    cells = (
        "import os\nos.makedirs('out/deep', exist_ok=True)\n"
        "_ = open('out/deep/a.txt', 'w').write('one')",
        "n = 2",
        "print(open('out/deep/a.txt').read() * n)",
        "_ = open('left.txt', 'w').write('x')",
    )
    assert play(ready, *cells).did == "rrrr"
    shutil.rmtree(root / "out")
    (root / "left.txt").unlink()
    assert play(ready, *cells).did == "cccc"
    assert (root / "left.txt").read_text() == "x"
    assert (root / "out" / "deep" / "a.txt").read_text() == "one"
    shutil.rmtree(root / "out")
    (root / "left.txt").write_text("somebody else's")
    edited = play(ready, cells[0], "n = 3", *cells[2:])
    assert (edited.did, edited.shown[2]) == ("crrc", "oneoneone")
    assert (root / "left.txt").read_text() == "x"


def test_a_step_that_asks_whether_files_are_there_runs_always(ready):
    cells = ("import os", "there = os.path.exists('x')", "print(there)")
    assert play(ready, *cells).shown[2] == "False"
    again = play(ready, *cells)
    assert (again.did, again.why[1]) == ("crc", "not cached: it asks whether files are there")
    (ready.root / "x").touch()
    assert play(ready, *cells).shown[2] == "True"


def test_a_folder_that_is_listed(ready):
    (ready.root / "parts").mkdir()
    (ready.root / "parts" / "a").touch()
    cells = ("import os\nnames = sorted(os.listdir('parts'))", "print(names)")
    assert play(ready, *cells).shown[1] == "['a']"
    assert play(ready, *cells).did == "cc"
    (ready.root / "parts" / "b").touch()
    more = play(ready, *cells)
    assert (more.did, more.shown[1]) == ("rr", "['a', 'b']")
    assert more.why[0] == "folder parts changed"


def test_a_variable_of_the_environment(ready, monkeypatch):
    cells = ("import os", "level = os.environ.get('LEVEL_OF_TEST', 'none')", "print(level)")
    assert play(ready, *cells).shown[2] == "none"
    assert play(ready, *cells).did == "ccc"
    monkeypatch.setenv("LEVEL_OF_TEST", "high")
    other = play(ready, *cells)
    assert (other.did, other.shown[2]) == ("crr", "high")


def test_a_variable_that_an_earlier_step_set(ready):
    cells = ("import os", "os.environ['MINE_OF_TEST'] = 'a'", "print(os.environ['MINE_OF_TEST'])")
    assert play(ready, *cells).shown[2] == "a"
    assert play(ready, *cells).did == "ccc"
    edited = play(ready, cells[0], "os.environ['MINE_OF_TEST'] = 'b'", cells[2])
    assert (edited.did, edited.shown[2]) == ("crr", "b")


# --- what cannot be stored --------------------------------------------------------------------

GENERATOR = ("numbers = (i * i for i in range(10))", "first = next(numbers)")
SQLITE = (
    "import sqlite3\ndb = sqlite3.connect(':memory:')",
    "db.execute('create table t (x)')\n_ = db.execute('insert into t values (7)')",
)
FILE = ("open('lines.txt', 'w').write('a\\nb\\nc\\n')", "file = open('lines.txt')\nfile.readline()")


@pytest.mark.parametrize(
    ("made", "used", "edited", "shows"),
    [
        (GENERATOR, "print(next(numbers))", "print(next(numbers), next(numbers))", ("1", "1 4")),
        (
            SQLITE,
            "print(db.execute('select x from t').fetchall())",
            "print(db.execute('select x + 1 from t').fetchall())",
            ("[(7,)]", "[(8,)]"),
        ),
        (FILE, "print(file.readline())", "print(file.readlines())", ("b", "['b\\n', 'c\\n']")),
    ],
    ids=["generator", "sqlite", "file"],
)
def test_live_values_and_an_edit_of_who_uses_them(ready, made, used, edited, shows):
    cells = ("aside = 1", *made)
    first = play(ready, *cells, used)
    assert (first.did, first.shown[-1]) == ("rrrr", shows[0])
    assert play(ready, *cells, used).did == "cccc"
    other = play(ready, *cells, edited)
    assert (other.did[0], other.did[-1], other.shown[-1]) == ("c", "r", shows[1])
    more = play(ready, *cells, used, "print('more', aside)")
    assert (more.shown[-2], more.shown[-1]) == (shows[0], "more 1")


def test_a_lock_is_made_again_where_it_is_needed(ready):
    cells = ("import threading\nlock = threading.Lock()\nshared = [lock]", "a = 1")
    play(ready, *cells, "print(a)")
    found = play(ready, *cells, "print(a + 1, shared[0] is lock)")
    assert found.shown[-1] == "2 True"


# --- surroundings and ambient state -----------------------------------------------------------


def test_a_patched_class_with_an_edit_downstream(ready):
    cells = (
        "import pandas as pd",
        "pd.DataFrame.double = lambda self: self * 2",
        "frame = pd.DataFrame({'a': [1, 2]})",
    )
    used = "print(frame.double().a.tolist())"
    assert play(ready, *cells, used).shown[-1] == "[2, 4]"
    assert play(ready, *cells, used).did == "cccc"
    edited = play(ready, *cells, "print(frame.double().a.sum())")
    assert edited.shown[-1] == "6"
    assert edited.did[-1] == "r"
    patched = play(ready, cells[0], "pd.DataFrame.double = lambda self: self * 3", cells[2], used)
    assert patched.shown[-1] == "[3, 6]"


def test_an_extension_with_an_edit_downstream(ready):
    (ready.root / "shout.py").write_text(
        "def load_ipython_extension(shell):\n"
        "    shell.register_magic_function(lambda line: print(line.upper()), 'line', 'shout')\n"
    )
    cells = ("%load_ext shout", "a = 1", "%shout hello")
    assert play(ready, *cells).shown[-1] == "HELLO"
    assert play(ready, "%load_ext shout", "a = 1", "%shout bye").shown[-1] == "BYE"


def test_random_numbers_across_steps(ready):
    cells = (
        "import random\nimport numpy as np",
        "random.seed(4)\nnp.random.seed(4)\nown = np.random.default_rng(4)",
        "a = (random.random(), np.random.rand(), own.random())",
        "quiet = 1",
        "print(a, random.random(), np.random.rand(), own.random(), quiet)",
    )
    whole = play(ready, *cells, use_cache=False).shown[-1]
    assert play(ready, *cells).shown[-1] == whole
    edited = play(ready, *cells[:3], "quiet = 1 + 1", cells[4])
    assert edited.did == "cccrr"
    assert edited.shown[-1] == whole[:-1] + "2"
    skipped = play(ready, *cells[:2], "a = 0", *cells[3:])
    assert skipped.did == "ccrcr"
    assert skipped.shown[-1] != whole


SEEDED = (
    "import random\nrandom.seed({})",
    "random.seed(3)",
    "nothing = 1",
    "again = random.seed",
    "again(3)",
    "def restart():\n    random.seed(3)",
    "restart()",
    "print(random.random())",
)


def test_a_seed_that_is_set_anew(ready):
    """It leaves the generator as it was, and yet it is not as whoever does nothing to it."""
    play(ready, SEEDED[0].format(3), *SEEDED[1:])
    right = play(ready, SEEDED[0].format(3), *SEEDED[1:])
    assert (right.did, right.shown[-1]) == ("cccccccc", "0.23796462709189137")
    other = play(ready, SEEDED[0].format(4), *SEEDED[1:])
    assert (other.did, other.shown[-1]) == ("rrcccccc", "0.23796462709189137")
    for kept in (1, 4, 6):  # the others do not seed
        cells = [cell for n, cell in enumerate(SEEDED) if n not in {1, 4, 6} - {kept}]
        other = play(ready, cells[0].format(5), *cells[1:])
        assert other.shown[-1] == "0.23796462709189137", kept
        assert other.did[cells.index("nothing = 1")] == "c"


def test_a_seed_that_has_another_name(ready):
    cells = (
        "import random\nrandom.seed({})",
        "from random import seed as begin\nimport math",
        "begin(3)",
        "math.sqrt(4)",
        "print(random.random())",
    )
    play(ready, cells[0].format(3), *cells[1:])
    other = play(ready, cells[0].format(4), *cells[1:])
    assert (other.did[2], other.shown[-1]) == ("r", "0.23796462709189137")


def test_options_and_the_working_folder(ready):
    (ready.root / "sub").mkdir()
    cells = (
        "import os\nimport pandas as pd",
        "os.chdir('sub')\npd.set_option('display.max_rows', 7)",
        "a = 1",
        "print(os.path.basename(os.getcwd()), pd.get_option('display.max_rows'), a)",
    )
    assert play(ready, *cells).shown[-1] == "sub 7 1"
    edited = play(ready, *cells[:2], "a = 2", cells[3])
    assert (edited.did, edited.shown[-1]) == ("ccrr", "sub 7 2")


# --- what a cell shows ------------------------------------------------------------------------


def test_a_display_that_a_later_step_updates(ready):
    cells = (
        "from IPython.display import display\nshown = display('a', display_id='it')",
        "n = 1",
        "shown.update(f'b{n}')",
        "print(n)",
    )
    assert play(ready, *cells).shown[0] == "'b1'"
    assert play(ready, *cells).shown[0] == "'b1'", "all of it from the cache"
    edited = play(ready, cells[0], "n = 2", *cells[2:])
    assert (edited.did, edited.shown) == ("crrr", ["'b2'", "", "", "2"])
    without = play(ready, cells[0], "n = 2", "0", cells[3])
    assert without.shown[0] == "'a'"


def test_widgets(ready):
    import nbformat

    pytest.importorskip("ipywidgets")
    cells = (
        "import ipywidgets\nslider = ipywidgets.IntSlider(value=3)\nslider",
        "n = 40",
        "slider.value = n",
        "print(slider.value)",
    )

    def states(played):
        executed = nbformat.read(ready.root / played.run.output, as_version=4)
        found = executed.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
        values = [w["state"]["value"] for w in found.values() if "value" in w["state"]]
        view = executed.cells[0].outputs[0].data["application/vnd.jupyter.widget-view+json"]
        assert view["model_id"] in found
        return values

    first = play(ready, *cells)
    assert (first.shown[-1], states(first)) == ("40", [40])
    assert states(play(ready, *cells)) == [40]
    edited = play(ready, cells[0], "n = 50", *cells[2:])
    assert (edited.shown[-1], states(edited)) == ("50", [50])


# --- failure ----------------------------------------------------------------------------------

UNSTEADY = """
import pathlib
tries = pathlib.Path('tries')
tries.write_text(tries.read_text() + 'x' if tries.exists() else 'x')
print(len(tries.read_text()))
assert len(tries.read_text()) > {}, 'not yet'
done = True
"""


def test_a_step_that_fails_is_tried_again(ready):
    played = play(ready, "a = 1", ("retries:3", UNSTEADY.format(2)), "print(done, a)")
    assert (played.did, played.shown[1:]) == ("rrr", ["3", "True 1"])
    assert played.run.steps[1].attempts == 3
    assert played.why[1] == "attempt 2 failed"


def test_tries_are_counted(ready):
    played = play(ready, ("retries:1", UNSTEADY.format(2)), "2")
    assert (played.did, played.run.status) == ("fs", "failed")
    assert played.run.steps[0].attempts == 2
    assert played.run.error == "step cell-1, cell 1: AssertionError: not yet"


def test_a_step_that_takes_too_long(ready):
    played = play(ready, "print('a')", ("timeout:1", "import time; time.sleep(600)"), "3")
    assert played.did == "rfs"
    assert "TimeoutError: the step took longer than 1 s" in played.run.error
    assert played.shown[0] == "a"


def test_a_kernel_that_is_killed(ready):
    kill = "import os, pathlib, signal\nif not pathlib.Path('ok').exists():\n    "
    kill += "os.kill(os.getpid(), signal.SIGKILL)\nprint('alive')"
    cells = ("a = [1]", "print('before')", kill, "print(a)")
    played = play(ready, *cells)
    assert played.did == "rrfs"
    assert played.run.error == "step cell-3, cell 3: the kernel died"
    (ready.root / "ok").touch()
    again = play(ready, *cells)
    assert (again.did, again.shown) == ("ccrr", ["", "before", "alive", "[1]"])


def test_a_failed_step_is_not_kept(ready):
    assert play(ready, "x = 1", "print('no')\n1 / 0", "2").did == "rfs"
    again = play(ready, "x = 1", "print('no')\n1 / 0", "2")
    assert again.did == "cfs"
    assert again.shown[1].startswith("no\n")
    assert play(ready, "x = 1", "print('no')\n1 / 1", "2").did == "crr"


def test_a_notebook_that_ends_itself(ready):
    cells = ("print(1)", "raise SystemExit", "print('never')")
    for did in ("rrs", "crs"):
        played = play(ready, *cells)
        assert (played.run.status, played.did) == ("succeeded", did)
        assert played.shown[2] == ""
    played = play(ready, "print(1)", "import sys\nsys.exit(3)", "print('never')")
    assert (played.run.status, played.did) == ("failed", "cfs")
    assert played.run.error == "step cell-2, cell 2: SystemExit: 3"


def test_an_error_that_is_expected(ready):
    cells = ("x = 1", ("raises-exception", "y = 5\n1 / 0"), "print(x, y)")
    assert play(ready, *cells).shown[1:] == ["ZeroDivisionError: division by zero", "1 5"]
    again = play(ready, *cells)
    assert (again.did, again.shown[1]) == ("ccc", "ZeroDivisionError: division by zero")


# --- branches ---------------------------------------------------------------------------------


def test_branches_run_at_the_same_time(ready):
    """A step that may change files never runs ahead, so they cannot wait for each other."""
    cells = (
        "import time\nseconds = 5",
        "left = time.monotonic(), time.sleep(seconds), time.monotonic()",
        "right = time.monotonic(), time.sleep(seconds), time.monotonic()",
        "print(max(left[0], right[0]) < min(left[2], right[2]))",
    )
    for workers, together in ((2, "True"), (1, "False")):
        played = play(ready, *cells, workers=workers, use_cache=False)
        assert (played.run.status, played.shown[-1]) == ("succeeded", together)


HAZARDS = {
    "container": ("box = [[1]]\ninner = box[0]", "for part in box:\n    part.append(2)"),
    "exec": ("inner = [1]", "exec('inner.append(' + str(1 + 1) + ')')"),
    "function": (
        "inner = [1]\nclass Tool:\n    def __getattr__(self, name):\n"
        "        return lambda: globals()['inner'].append(2)\ntool = Tool()",
        "tool.work()",
    ),
    "callback": ("import atexit\ninner = [1]\nact = inner.append", "list(map(act, [2]))"),
    "file": ("inner = [1, 2]\nname = 'f' + '.txt'", "open(name, 'w').write('new')"),
}


@pytest.mark.parametrize("name", HAZARDS)
def test_what_the_analysis_cannot_see_is_repaired(ready, name):
    """The second step changes what the third reads, slowly, while another worker is free."""
    first, second = HAZARDS[name]
    third = "print(inner)"
    if name == "file":
        (ready.root / "f.txt").write_text("old")
        third = "print(inner if open('f' + '.txt').read() == 'new' else 'old')"
    cells = (first, f"import time\ntime.sleep(0.5)\n{second}", third, "x = 5", "print(x)")
    played = play(ready, *cells, workers=2)
    assert played.run.status == "succeeded", played.run.error
    assert (played.shown[2], played.shown[4]) == ("[1, 2]", "5")
    again = play(ready, *cells, workers=2)
    assert (again.shown[2], again.shown[4]) == ("[1, 2]", "5")


def test_a_function_defined_anew_leaves_what_it_shared(ready):
    cells = (
        "a = [1]",
        "def g(x, kept=a):\n    kept.append(x)\n    return kept",
        "h = g",
        "h(2)",
        "def g(x):\n    return a",
        "print(g(1), h(3), a)",
    )
    played = play(ready, *cells, workers=2)
    assert (played.did, played.shown[-1]) == ("rrrrrr", "[1, 2, 3] [1, 2, 3] [1, 2, 3]")
    assert not any("shares its value" in why for why in played.why)
    assert play(ready, *cells, workers=2).did == "cccccc"
    played = play(ready, cells[0], cells[1], cells[4], "a.append(2)\nprint(g(1))", workers=2)
    assert (played.did, played.shown[-1]) == ("ccrr", "[1, 2]")
    assert not any("shares its value" in why for why in played.why)


def test_branches_that_draw_random_numbers(ready):
    cells = (
        "import random\nrandom.seed(1)",
        "a = [random.random() for _ in range(3)]",
        "b = [random.random() for _ in range(3)]",
        "c = sum(range(100))",
        "print(a, b, c)",
    )
    alone = play(ready, *cells, use_cache=False).shown[-1]
    assert play(ready, *cells, use_cache=False, workers=3).shown[-1] == alone


def test_what_ran_ahead_left_something_in_a_kernel(ready):
    """The kernel with the generator is used for earlier steps, for which there is none yet."""
    cells = (
        "import time",
        "time.sleep(0.3)\na = 1",
        "time.sleep(0.2)\nc = a + 1",
        "time.sleep(0.2)\nd = a + 2",
        "numbers = (i for i in range(3))\nprint(next(numbers))",
        "print(list(numbers), c, d)",
    )
    played = play(ready, *cells, workers=2)
    assert (played.did, played.shown[-1]) == ("rrrrrr", "[1, 2] 2 3")
    assert not any("is not in the kernel" in why for why in played.why), played.why
    assert play(ready, *cells, workers=2).did == "cccccc"


def test_a_branch_that_fails_while_another_runs(ready):
    cells = ("x = 1", "1 / 0", "import time\ntime.sleep(0.2)\ny = x", "print(x)")
    played = play(ready, *cells, workers=2)
    assert (played.did, played.run.status) == ("rfss", "failed")
    assert played.run.error == "step cell-2, cell 2: ZeroDivisionError: division by zero"
    assert played.shown[2:] == ["", ""]
