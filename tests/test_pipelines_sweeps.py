"""Sweeps: what is asked for, what runs, what is left when something goes wrong."""

from __future__ import annotations

import json
import math
import os
import signal
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipelines_support import notebook, python, save
from test_cli import complaint, mlops

from mlops_jupyter._mlflow import Tracking
from mlops_jupyter.errors import InvalidInput
from mlops_jupyter.models import Sweep, SweepRun, from_dict, to_dict
from mlops_jupyter.pipelines import grid, sweeps
from mlops_jupyter.pipelines import parameters as contract

pytest_plugins = ("pipelines_fixtures",)

DECLARED = contract.declared(
    notebook(
        (
            "parameters",
            "alpha = 0.1\ndepth: int = 1\nname: str = 'a'\nwhat = None\nlayers = [1]\nfast = True",
        )
    )
)


def values(asked: str) -> list[object]:
    """The values of one parameter."""
    return [value for chosen in grid.combinations([asked], DECLARED) for value in chosen.values()]


# --- what is asked for ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("alpha=0.1,0.3,1", [0.1, 0.3, 1.0]),
        ("alpha= 0.1 , 2", [0.1, 2.0]),
        ("alpha=0:1:0.25", [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("alpha=0:1:0.1", [n / 10 for n in range(11)]),
        ("alpha=0:1:0.3", [0.0, 0.3, 0.6, 0.9]),
        ("alpha=1:-1:-0.5", [1.0, 0.5, 0.0, -0.5, -1.0]),
        ("alpha=2:2:1", [2.0]),
        ("alpha=log:1e-4:1e-1:4", [1e-4, 1e-3, 1e-2, 1e-1]),
        ("alpha=log:100:1:3", [100.0, 10.0, 1.0]),
        ("alpha=0,log:1:10:2", [0.0, 1.0, 10.0]),
        ("depth=1..5", [1, 2, 3, 4, 5]),
        ("depth=2..-1", [2, 1, 0, -1]),
        ("depth=1..3,10", [1, 2, 3, 10]),
        ("depth=10:30:10", [10, 20, 30]),
        ("depth=log:1:1000:4", [1, 10, 100, 1000]),
        ("name=a,b", ["a", "b"]),
        ("name=0:1:0.5", ["0:1:0.5"]),
        ("name=1..3,'x, y'", ["1..3", "x, y"]),
        ("what=1..2,None,x", [1, 2, None, "x"]),
        ("layers=[1, 2],[3]", [[1, 2], [3]]),
        ("fast=true,no", [True, False]),
    ],
)
def test_values(asked, expected):
    found = values(asked)
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["alpha"], "has no values"),
        (["alpha="], "has no values"),
        (["=1,2"], "has no values"),
        (["alpha=1", "alpha=2"], "alpha is given twice"),
        (["alpha=1,1.0"], "has 1.0 twice"),
        (["depth=1..3,2"], "has 2 twice"),
        (["beta=1,2"], "no parameter 'beta'"),
        (["depth=1,x"], "'depth' must be int, not 'x'"),
        (["alpha=1,,2"], "'alpha' must be float, not ''"),
        (["depth=0:1:0.5"], "'depth' must be int, not '0.5'"),
        (["alpha=0:1:0"], "the step is 0"),
        (["alpha=0:1:-1"], "leads away from the end"),
        (["alpha=log:0:1:3"], "ends above 0"),
        (["alpha=log:1:2:1"], "2 values or more"),
        (["alpha=0:1:1e-9"], "more than 1,000 values"),
        (["alpha=0:1e300:1e-300"], "more than 1,000 values"),
        (["depth=1..999999999999"], "more than 1,000 values"),
        (["depth=1..40", "alpha=0:1:0.04"], "1,040 combinations (40 x 26)"),
        (["name=x"], "'name' has a value and is swept too"),
    ],
)
def test_what_is_refused(asked, message):
    with pytest.raises(InvalidInput) as caught:
        grid.combinations(asked, DECLARED, taken={"name"})
    assert message in str(caught.value)


def test_all_combinations_in_order():
    assert grid.combinations(["depth=1..2", "name=a,b"], DECLARED) == [
        {"depth": 1, "name": "a"},
        {"depth": 1, "name": "b"},
        {"depth": 2, "name": "a"},
        {"depth": 2, "name": "b"},
    ]
    assert len(grid.combinations(["depth=1..40", "alpha=1..25"], DECLARED)) == 1000


NUMBERS = st.decimals(-1000, 1000, places=3)


@given(NUMBERS, NUMBERS, st.decimals("0.1", 50, places=3))
def test_ranges_hit_what_they_say(start, stop, step):
    step = step if stop >= start else -step
    if abs((stop - start) / step) >= 1000:
        return
    found = values(f"alpha={start}:{stop}:{step}")
    assert found == [float(start + n * step) for n in range(len(found))]
    low, high = sorted((float(start), float(stop)))
    assert all(low <= value <= high for value in found)
    assert (found[-1] == float(stop)) == ((stop - start) % step == Decimal(0))


@given(st.floats(1e-12, 1e12), st.floats(1e-12, 1e12), st.integers(2, 50))
def test_logarithmic_ranges(start, stop, count):
    if math.isclose(start, stop, rel_tol=1e-6):
        return
    found = values(f"alpha=log:{start!r}:{stop!r}:{count}")
    assert (len(found), found[0], found[-1]) == (count, start, stop)
    ratio = (stop / start) ** (1 / (count - 1))
    for one, other in pairwise(found):
        assert other / one == pytest.approx(ratio, rel=1e-6)


# --- the table --------------------------------------------------------------------------------


def done(number, status="succeeded", **metrics):
    return SweepRun(number, {"a": number}, f"s-{number}", "r", status, 1.0, 1, 0, "o", metrics)


@pytest.mark.parametrize(
    ("runs", "order", "metric"),
    [
        ([done(1, f1=0.2), done(2, f1=0.9), done(3, f1=0.5)], [2, 3, 1], "f1"),
        ([done(1, val_loss=0.2), done(2, val_loss=0.1)], [2, 1], "val_loss"),
        ([done(1, neg_mean_squared_error=-2), done(2, neg_mean_squared_error=-1)], [2, 1],
         "neg_mean_squared_error"),
        ([done(1, "failed", f1=1.0), done(2, f1=0.1), done(3)], [2, 3, 1], "f1"),
        ([done(1, f1=math.nan), done(2, f1=0.1)], [2, 1], "f1"),
        ([done(1, a=1.0, b=0.1), done(2, a=1.0, b=0.2)], [2, 1], "b"),
        ([done(1, training_a=0.1, z=0.2), done(2, training_a=0.2, z=0.1)], [1, 2], "z"),
        ([done(1), done(2)], [1, 2], None),
        ([done(1, closs=1.0), done(2, closs=2.0)], [2, 1], "closs"),
    ],
)  # fmt: skip
def test_best_first(runs, order, metric):
    ranked, by, _ = sweeps.ranked(runs)
    assert [run.number for run in ranked] == order
    assert by == metric


# --- running ----------------------------------------------------------------------------------

CELLS = (
    ("parameters", "alpha = 0.1\nkind: str = 'a'"),
    "## Load",
    "rows = [1, 2, 3]",
    "## Fit",
    "if alpha == 0.3:\n    raise ValueError('not this one')\n"
    "open('ran.txt', 'a').write(f'{alpha} {kind}\\n')\nscore = alpha * 2",
)


@pytest.mark.slow
def test_a_sweep(ready):
    path = save(ready.root / "n.ipynb", *CELLS)
    changes: list[Sweep] = []
    states = []
    sweep = sweeps.run(
        ready, path, {"kind": "b"}, ["alpha=0.1,0.3,1"], id="s", on_change=changes.append,
        on_run=states.append,
    )  # fmt: skip
    assert (sweep.id, sweep.status, sweep.total) == ("s", "failed", 3)
    assert [(run.number, run.parameters, run.status) for run in sweep.runs] == [
        (1, {"alpha": 0.1}, "succeeded"),
        (3, {"alpha": 1.0}, "succeeded"),
        (2, {"alpha": 0.3}, "failed"),
    ]
    assert (ready.root / "ran.txt").read_text() == "0.1 b\n1.0 b\n"
    assert sweep.runs[-1].error == "step fit, cell 5: ValueError: not this one"
    for run in sweep.runs:
        assert run.output == f"executed/n-s-{run.number}.ipynb"
        assert (ready.root / run.output).is_file()
        assert run.id == f"s-{run.number}"
    assert sweep.runs[0].ran + sweep.runs[0].cached == 3
    assert changes[-1] == sweep
    assert [len(change.runs) for change in changes] == [1, 2, 3, 3]
    assert {state.id for state in states} == {"s-1", "s-2", "s-3"}
    assert from_dict(Sweep, json.loads(json.dumps(to_dict(sweep)))) == sweep

    tracking = Tracking(ready)
    parent = tracking.run(sweep.run_id)
    assert (parent.kind, parent.status) == ("sweep", "FAILED")
    assert parent.parameters == {"kind": "b", "alpha": "0.1, 0.3, 1.0"}
    children = tracking.runs(parent_id=sweep.run_id, kind="pipeline")
    assert {child.run_id for child in children} == {run.run_id for run in sweep.runs}


@pytest.mark.slow
def test_a_sweep_again(ready):
    """Also runs that come whole from the cache are the new sweep's children."""
    path = save(ready.root / "n.ipynb", ("parameters", "alpha = 0.1"), "x = alpha * 2\nx")
    first, again = (sweeps.run(ready, path, {}, ["alpha=1,2"]) for _ in range(2))
    tracking = Tracking(ready)
    for sweep in (first, again):
        assert sweep.status == "succeeded"
        children = tracking.runs(parent_id=sweep.run_id, kind="pipeline")
        assert {child.run_id for child in children} == {run.run_id for run in sweep.runs}
        assert len(children) == 2
        assert {child.status for child in children} == {"FINISHED"}


@pytest.mark.slow
def test_the_table_has_the_metrics_of_the_models(ready):
    path = save(
        ready.root / "fit.ipynb",
        ("parameters", "depth = 1"),
        "%load_ext mlops_jupyter\nfrom sklearn.datasets import load_iris\n"
        "from sklearn.tree import DecisionTreeClassifier\nX, y = load_iris(return_X_y=True)",
        "model = DecisionTreeClassifier(max_depth=depth, random_state=0).fit(X, y)\n"
        "model.score(X[::2], y[::2])",
    )
    sweep = sweeps.run(ready, path, {}, ["depth=1,5,2"])
    assert sweep.status == "succeeded"
    assert sweep.metric is not None and sweep.order == "max"
    assert [run.number for run in sweep.runs] == [2, 3, 1]
    figures = [run.metrics[sweep.metric] for run in sweep.runs]
    assert figures == sorted(figures, reverse=True) and len(set(figures)) == 3


def test_wrong_requests_run_nothing(tmp_path):
    save(tmp_path / "n.ipynb", ("parameters", "alpha = 0.1\nbeta = 1"), "open('ran', 'w')")
    for options, words in (
        (["--sweep", "alpha=0.1,x"], "'alpha' must be float, not 'x'"),
        (["--sweep", "alpha=1,2", "-p", "beta", "x"], "'beta' must be int"),
        (["--sweep", "alpha=1,2", "-p", "alpha", "1"], "has a value and is swept too"),
        (["--sweep", "alpha=1,2", "--param-env", "alpha=KEY"], "has a value and is swept too"),
        (["--sweep", "alpha=1,2", "-o", "out.ipynb"], "-o names one"),
        (["--sweep", "alpha=1,2", "--id", "x" * 63], "cannot name a pipeline run"),
        (["--sweep", "alpha=1,2", "--executor", "moon"], "no executor named 'moon'"),
    ):
        line = complaint(mlops("run", "n.ipynb", *options, cwd=tmp_path, code=2, KEY="12345"))
        assert words in line
    assert os.listdir(tmp_path) == ["n.ipynb"]


@pytest.mark.slow
def test_on_the_command_line(ready):
    save(ready.root / "n.ipynb", *CELLS)
    done = mlops(
        "run", "n.ipynb", "--sweep", "alpha=0.1,0.3", "--sweep", "kind=a,b",
        "--junit", "r.xml", "--summary", "s.md", cwd=ready.root, code=1,
    )  # fmt: skip
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["NO", "alpha", "kind", "STATUS", "TIME", "RAN", "CACHED"]
    assert [row.split()[:4] for row in rows[:4]] == [
        ["1", "0.1", "a", "succeeded"],
        ["2", "0.1", "b", "succeeded"],
        ["3", "0.3", "a", "failed"],
        ["4", "0.3", "b", "failed"],
    ]
    assert "4 of 4 runs" in done.stdout
    assert done.stderr.count("Failed: step fit, cell 5") == 2
    assert "alpha=0.3, kind=b" in done.stderr.splitlines()
    text = (ready.root / "r.xml").read_text()
    assert text.count("<testsuite ") == 4 and "n.ipynb [alpha=0.3, kind=b]" in text
    assert "| Run | alpha | kind | Status |" in (ready.root / "s.md").read_text()


@pytest.mark.slow
def test_stopped_and_killed(ready, until):
    """Ctrl-C stops all and shows the table so far; what ``kill -9`` leaves is closed later."""
    save(
        ready.root / "n.ipynb",
        ("parameters", "n = 0"),
        "import pathlib, time\npathlib.Path(f'at-{n}').touch()\n"
        "if n == 2 and not pathlib.Path('go').exists():\n    time.sleep(600)",
    )  # fmt: skip
    start = "from mlops_jupyter.cli import main; main()"

    def at_two():
        process = python(start, "run", "n.ipynb", "--sweep", "n=1..4", cwd=ready.root)
        until((ready.root / "at-2").exists, 120)
        (ready.root / "at-2").unlink()
        return process

    process = at_two()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    rows = out.splitlines()
    assert [row.split()[:3] for row in rows[1:3]] == [
        ["1", "1", "succeeded"],
        ["2", "2", "cancelled"],
    ]
    assert "2 of 4 runs" in rows[3]
    assert not (ready.root / "at-3").exists()
    (stopped,) = Tracking(ready).runs(kind="sweep")
    assert stopped.status == "KILLED"

    process = at_two()
    process.kill()
    process.communicate()
    assert Tracking(ready).runs(kind="sweep")[0].status == "RUNNING"
    (ready.root / "go").touch()
    mlops("run", "n.ipynb", "--sweep", "n=1,2", "--json", cwd=ready.root)
    assert [run.status for run in Tracking(ready).runs(kind="sweep")] == [
        "FINISHED",
        "KILLED",
        "KILLED",
    ]
