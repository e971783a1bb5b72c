"""A run that is interrupted, really: signals to a real process, and what it leaves behind."""

from __future__ import annotations

import json
import os
import signal

import nbformat
import psutil
import pytest
from pipelines_support import python, save

from mlops_jupyter import pipelines
from mlops_jupyter._mlflow import Tracking
from mlops_jupyter._store import Store
from mlops_jupyter.models import PipelineRun, from_dict

pytest_plugins = ("pipelines_fixtures",)

RUNNER = """
import sys
from pathlib import Path
import psutil
from mlops_jupyter import pipelines
from mlops_jupyter.models import to_json
from mlops_jupyter.workspace import Workspace

workspace = Workspace(sys.argv[1])
try:
    pipelines.run(workspace, workspace.root / "long.ipynb", {}, id="long", **eval(sys.argv[2]))
except BaseException as error:
    kernel = int(Path("kernel.pid").read_text())
    alive = psutil.pid_exists(kernel) and psutil.Process(kernel).status() != "zombie"
    print(type(error).__name__, "kernel", "alive" if alive else "gone")
print(to_json(pipelines.run(workspace, workspace.root / "short.ipynb", {})))
"""
LONG = (
    "## First\n",
    "print('first')",
    "## Long",
    "import os, pathlib, time\n"
    "pathlib.Path('kernel.pid').write_text(str(os.getpid()))\n"
    "print('in')",
    "{}\npathlib.Path('asleep').touch()\ntime.sleep(600)",
    "## Never",
    "1",
)
SLEEP = ""
DEAF = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)"


def started(ready, until, code=SLEEP, options="{}"):
    """A process that runs ``long.ipynb``, in its endless cell; and its kernel."""
    save(ready.root / "long.ipynb", *[cell.replace("{}", code) for cell in LONG])
    save(ready.root / "short.ipynb", "1")
    process = python(RUNNER, str(ready.root), options, cwd=ready.root)

    def asleep():
        assert process.poll() is None, process.communicate()
        return (ready.root / "asleep").exists()

    until(asleep, 120)
    return process, psutil.Process(int((ready.root / "kernel.pid").read_text()))


def ended(kernel):
    return not kernel.is_running() or kernel.status() == psutil.STATUS_ZOMBIE


def statuses(ready, run_id):
    tracking = Tracking(ready)
    children = tracking.runs(parent_id=run_id)
    return tracking.run(run_id).status, {child.name: child.status for child in children}


def check_cancelled(ready, reason, *, saved=True):
    run = pipelines.history(ready)[-1]
    assert (run.id, run.status, run.error) == ("long", "cancelled", reason)
    assert [(step.name, step.status) for step in run.steps] == [
        ("first", "ran"),
        ("long", "failed"),
        ("never", "skipped"),
    ]
    assert statuses(ready, run.run_id) == ("KILLED", {"first": "FINISHED", "long": "KILLED"})
    content = nbformat.read(ready.root / run.output, as_version=4)
    nbformat.validate(content)
    if saved:
        assert content.cells[1].outputs[0].text == "first\n"
    assert not ready.held("pipeline-long")
    return content


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "name", "code"),
    [
        (signal.SIGINT, "KeyboardInterrupt", SLEEP),
        (signal.SIGINT, "KeyboardInterrupt", DEAF),
        (signal.SIGTERM, "SystemExit", SLEEP),
    ],
)
def test_a_signal_ends_the_kernel_and_closes_the_runs(ready, until, number, name, code):
    process, _ = started(ready, until, code)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert out.splitlines()[0] == f"{name} kernel gone", err
    assert "never retrieved" not in err
    assert "Task was destroyed" not in err
    content = check_cancelled(ready, "the run was cancelled")
    cells = [cell.metadata.papermill.status for cell in content.cells if cell.cell_type == "code"]
    assert cells == ["completed", "pending", "pending", "pending"], "whole steps, or nothing"
    after = from_dict(PipelineRun, json.loads(out.splitlines()[1]))
    assert after.status == "succeeded", "the same process runs the next notebook"


@pytest.mark.slow
def test_impatience(ready, until):
    """A second Ctrl-C while the kernel is being ended."""
    process, kernel = started(ready, until, DEAF)
    process.send_signal(signal.SIGINT)
    until(lambda: ended(kernel), 60)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert not ready.held("pipeline-long")
    assert pipelines.history(ready)[-1].status == "cancelled"


@pytest.mark.slow
def test_a_killed_runner(ready, until):
    process, kernel = started(ready, until)
    assert pipelines.history(ready)[0].status == "running"
    run_id = until(lambda: Tracking(ready).run_by_key("pipeline-long"), 60)
    both = {"first": "FINISHED", "long": "RUNNING"}
    until(lambda: statuses(ready, run_id)[1] == both, 60)
    process.kill()
    process.communicate(timeout=60)
    assert Store(ready).get(PipelineRun, "long").status == "running", "nobody could say so"
    run = pipelines.history(ready)[0]
    assert run == Store(ready).get(PipelineRun, "long")
    check_cancelled(ready, "the runner died", saved=False)  # it saves once a second, and at its end
    until(lambda: ended(kernel), 60)
    assert pipelines.run(ready, ready.root / "short.ipynb", {}).status == "succeeded"


@pytest.mark.slow
def test_ctrl_c_with_dask(ready, until):
    process, kernel = started(ready, until, options="{'executor': 'dask'}")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert out.splitlines()[0].startswith("KeyboardInterrupt"), err
    until(lambda: ended(kernel), 60)
    run = pipelines.history(ready)[-1]
    assert (run.id, run.status) == ("long", "cancelled")
    assert statuses(ready, run.run_id) == ("KILLED", {"first": "FINISHED", "long": "KILLED"})


def test_a_run_that_ends_while_history_looks_stays_as_it_ended(ready):
    """The lock is free, the store was read before: what counts is the store under the lock."""
    store = Store(ready)
    running = PipelineRun("a", None, "a.ipynb", "running", "", None, "", [])
    store.put(running)
    with ready.lock("pipeline-a"):
        assert pipelines.history(ready)[0].status == "running"
        store.update(PipelineRun, "a", status="succeeded")
    assert pipelines.history(ready)[0].status == "succeeded"
    store.put(running)
    found = pipelines.history(ready)[0]
    assert (found.status, found.error) == ("cancelled", "the runner died")
    assert os.path.exists(ready.state)


INTERRUPTED = """
import sys
from mlops_jupyter import pipelines
from mlops_jupyter.workspace import Workspace

workspace, left = Workspace(sys.argv[1]), int(sys.argv[2])

def on_change(run):
    global left
    left -= 1
    if left == 0:
        raise KeyboardInterrupt

try:
    pipelines.run(workspace, workspace.root / "two.ipynb", {}, id="two", on_change=on_change)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("change", range(1, 6))  # begins, runs, ran, runs, ran
def test_ctrl_c_while_a_change_is_told(ready, change):
    """In these moments a step is known to run and has not begun, or is done and not noted."""
    save(ready.root / "two.ipynb", "x = 1", "x + 1")
    process = python(INTERRUPTED, str(ready.root), str(change), cwd=ready.root)
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out) == (0, "interrupted\n"), err
    run = pipelines.history(ready)[0]
    assert (run.id, run.status) == ("two", "cancelled")
    parent, steps = statuses(ready, run.run_id)
    assert "RUNNING" not in {parent, *steps.values()}
