"""The short way: a notebook in which nothing changed is over at once and looks as if it ran."""

from __future__ import annotations

import json
import os
import shutil

import nbformat
import pytest
from pipelines_support import play, python, save

from mlops_jupyter import pipelines
from mlops_jupyter.errors import Conflict
from mlops_jupyter.models import PipelineRun, from_dict

pytest_plugins = ("pipelines_fixtures",)

CELLS = (
    "# Report",
    ("parameters", "n = 2"),
    "from IPython.display import display\nhandle = display('a', display_id='it')",
    "## Sum",
    "xs = list(range(n))\nxs",
    "handle.update(sum(xs))\nwritten = open('made.txt', 'w').write(str(n))",
    "## Empty",
    "",
)

#: Runs ``a.ipynb`` and says how it went and what was imported.
RUN = """
import json, sys
from pathlib import Path
from mlops_jupyter import pipelines
from mlops_jupyter.models import to_dict
from mlops_jupyter.workspace import Workspace
workspace = Workspace(Path.cwd())
run = pipelines.run(workspace, workspace.root / "a.ipynb", {}, **json.loads(sys.argv[1]))
print(json.dumps([to_dict(run), sorted(sys.modules)]))
"""


def run_there(workspace, **options):
    """``a.ipynb`` in a process of its own; its run and its modules."""
    process = python(RUN, json.dumps(options), cwd=workspace.root)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    run, modules = json.loads(out.splitlines()[-1])
    return from_dict(PipelineRun, run), set(modules)


def executed(workspace, run):
    content = nbformat.read(workspace.root / run.output, as_version=4)
    nbformat.validate(content)
    return content


@pytest.mark.parametrize("parameters", [{}, {"n": 4}])
def test_it_looks_as_if_it_had_run(ready, parameters):
    first = play(ready, *CELLS, parameters=parameters)
    (ready.root / "made.txt").unlink()
    second = play(ready, *CELLS, parameters=parameters)
    assert (set(first.did), set(second.did)) == ({"r"}, {"c"})
    assert second.shown == first.shown
    assert second.run.parameters == first.run.parameters
    assert (ready.root / "made.txt").read_text() == str(parameters.get("n", 2))
    one, two = executed(ready, first.run), executed(ready, second.run)

    def plain(content):
        found = []
        for cell in content.cells:
            plain = {**cell, "id": "", "metadata": dict(cell.metadata)}
            plain["metadata"].pop("papermill")
            found.append(plain)
        return found

    assert plain(two) == plain(one)
    assert {cell.metadata.papermill.status for cell in two.cells} == {"completed"}
    assert one.metadata.papermill.parameters == two.metadata.papermill.parameters == parameters
    not_noted = {"version", "default_parameters"}
    assert two.metadata.papermill.keys() == one.metadata.papermill.keys() - not_noted


def test_nothing_heavy_is_imported_and_no_kernel_starts(ready):
    play(ready, *CELLS)
    run, modules = run_there(ready)
    assert {step.status for step in run.steps} == {"cached"}
    assert {step.reason for step in run.steps} == {"nothing changed"}
    heavy = {"papermill", "mlflow", "nbformat", "nbclient", "pandas", "numpy", "zmq", "IPython"}
    assert modules & heavy == set()
    shown = pipelines.history(ready)[0]
    assert (shown.id, shown.status) == (run.id, "succeeded")


def test_changes_are_told(ready):
    play(ready, *CELLS)
    states, tail = [], ready.follow()
    played = play(ready, *CELLS, on_change=states.append, id="second")
    assert states == [played.run]
    assert ("pipelines", "second", "succeeded") in [
        (event.noun, event.id, event.change) for event in tail.read()
    ]


def test_an_id_is_used_once(ready):
    play(ready, *CELLS, id="one")
    with pytest.raises(Conflict, match="'one' already"):
        play(ready, *CELLS, id="one")


def test_a_notebook_without_code_and_an_empty_one(ready):
    for cells in ((), ("# Only text",)):
        for _ in range(2):
            played = play(ready, *cells)
            assert (played.run.status, played.did) == ("succeeded", "")


def test_an_output_that_does_not_fit_goes_the_long_way(ready):
    """A blob that is gone: its step runs again."""
    play(ready, *CELLS)
    for note in (ready.state / "cache" / "traces").rglob("*.json"):
        outputs = json.loads(note.read_bytes().split(b"\n", 2)[2])["outputs"]
    (ready.state / "cache" / "blobs" / outputs[:2] / outputs).unlink(missing_ok=True)
    played = play(ready, *CELLS)
    assert played.run.status == "succeeded"
    assert "r" in played.did


# --- one cache for many -----------------------------------------------------------------------


def test_a_cache_elsewhere_is_shared_by_workspaces(ready, tables, tmp_path):
    from mlops_jupyter.workspace import Workspace

    other = Workspace(tmp_path / "other")
    shutil.copytree(tables, other.root / ".mlops")
    cache = str(tmp_path / "shared")
    assert set(play(ready, *CELLS, cache=cache).did) == {"r"}
    there = play(other, *CELLS, cache=cache)
    assert set(there.did) == {"c"}
    assert (other.root / "made.txt").read_text() == "2"


@pytest.mark.slow
def test_two_runs_at_once(ready):
    """Of the same notebook, with one cache, cold; and again, with another edit each."""
    cells = (
        "import time",
        "xs = list(range(1000))",
        "time.sleep(0.2)\nys = [x * 2 for x in xs]",
        "print(sum(ys))",
    )
    save(ready.root / "a.ipynb", *cells)
    for _ in range(2):
        processes = [python(RUN, "{}", cwd=ready.root) for _ in range(2)]
        for process in processes:
            out, err = process.communicate(timeout=300)
            assert process.returncode == 0, err
            run = from_dict(PipelineRun, json.loads(out.splitlines()[-1])[0])
            assert run.status == "succeeded"
            assert executed(ready, run).cells[3].outputs[0].text == "999000\n"
    assert play(ready, *cells).did == "cccc"


@pytest.mark.slow
def test_a_full_disk_costs_only_the_cache(ready):
    """No file may grow beyond 3 MB, neither the runner's nor the kernel's."""
    code = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))\n"
    cells = (
        "import os",
        "data = os.urandom(8_000_000)",
        "size = len(data)",
        "print(size, type(data))",
    )
    save(ready.root / "a.ipynb", *cells)
    for _ in range(2):
        process = python(code + RUN, "{}", cwd=ready.root)
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
        run = from_dict(PipelineRun, json.loads(out.splitlines()[-1])[0])
        assert (run.status, run.error) == ("succeeded", None)
        shown = executed(ready, run).cells[3].outputs[0].text
        assert shown == "8000000 <class 'bytes'>\n"
    assert play(ready, *cells).shown[3] == shown.rstrip()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written_costs_only_time(ready):
    (ready.state / "cache").mkdir()
    (ready.state / "cache").chmod(0o500)
    for _ in range(2):
        played = play(ready, "x = 1", "print(x)")
        assert (played.did, played.shown[1]) == ("rr", "1")
