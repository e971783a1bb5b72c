from __future__ import annotations

import pickle
import sys

import psutil
import pytest
from pipelines_support import outputs, python, save

from mlops_jupyter import errors, pipelines, plugins
from mlops_jupyter.errors import Unavailable
from mlops_jupyter.executors.dask import DaskExecutor
from mlops_jupyter.executors.local import LocalExecutor
from mlops_jupyter.testing import ExecutorConformance

pytest_plugins = ("pipelines_fixtures",)


class TestLocal(ExecutorConformance):
    def make(self, workers):
        return LocalExecutor(workers)


class TestDask(ExecutorConformance):
    def make(self, workers):
        return DaskExecutor(workers)

    def test_an_existing_scheduler(self):
        with DaskExecutor(1) as here:
            address = here._client.scheduler.address
            with DaskExecutor(address=address) as there:
                assert there.submit(divmod, 7, 2).result(timeout=60) == (3, 1)
            assert here.submit(divmod, 7, 3).result(timeout=60) == (2, 1), "not ours to end"

    def test_no_scheduler(self):
        import dask

        says = pytest.raises(Unavailable, match=r"tcp://127.0.0.1:1'.*dask scheduler")
        with dask.config.set({"distributed.comm.timeouts.connect": "200ms"}), says:
            DaskExecutor(address="tcp://127.0.0.1:1")


@pytest.mark.parametrize("name", errors.__all__)
def test_our_errors_come_back_whole_from_a_worker(name):
    kind = getattr(errors, name)
    error = kind("Dask", "dask", "x") if name == "MissingDependency" else kind("no", hint="do")
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), back.message, back.hint) == (kind, error.message, error.hint)


def test_both_are_plug_ins():
    assert plugins.load("executors", "local") is LocalExecutor
    assert plugins.load("executors", "dask") is DaskExecutor


def test_without_distributed_the_error_says_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['distributed'] = None\n"
        "from mlops_jupyter import plugins\n"
        "from mlops_jupyter.errors import MissingDependency\n"
        "try: plugins.load('executors', 'dask')\n"
        "except MissingDependency as error: print(error)\n"
    )
    out, err = python(code, cwd=tmp_path).communicate(timeout=60)
    assert "pip install 'mlops_jupyter[dask]'" in out, err


BRANCHES = (
    ("parameters", "x = 1"),
    "import os, pathlib\nfolder = os.path.basename(os.getcwd())",
    "a = [x, 1]\nb = a",
    "c = sum(range(1000)) + x\nwritten = pathlib.Path('c.txt').write_text(str(c))",
    "d = {'deep': a}",
    "a.append(2)\nprint(b, d, c, folder, pathlib.Path('c.txt').read_text())",
    "numbers = (i for i in range(3))\nprint(next(numbers))",
    "print(list(numbers))",
)


@pytest.mark.slow
def test_a_pipeline_on_dask_gives_the_same(ready, tmp_path):
    """With branches in parallel, on a cluster made for it and on one that is there, with a cache in
    a shared folder: cold and warm."""
    path = save(ready.root / "nb" / "a.ipynb", *BRANCHES)
    here = pipelines.run(ready, path, {"x": "4"})
    shared, states = str(tmp_path / "shared"), []
    options = {"executor": "dask", "workers": 2, "cache": shared}
    there = pipelines.run(ready, path, {"x": "4"}, on_change=states.append, **options)
    assert there.status == "succeeded", there.error
    assert outputs(ready.root / there.output) == outputs(ready.root / here.output)
    assert [(s.name, s.status) for s in there.steps] == [(s.name, s.status) for s in here.steps]
    assert states[-1] == there
    assert pipelines.history(ready)[0] == there
    assert sys.modules["distributed"]
    warm = pipelines.run(ready, path, {"x": "4"}, **options)
    assert {step.status for step in warm.steps} == {"cached"}, [
        (s.name, s.reason) for s in warm.steps if s.status != "cached"
    ]
    assert outputs(ready.root / warm.output) == outputs(ready.root / here.output)
    with DaskExecutor(2) as cluster:
        options["executor"] = f"dask:{cluster._client.scheduler.address}"
        save(path, *BRANCHES[:-1], "print(sum(numbers))")
        edited = pipelines.run(ready, path, {"x": "4"}, **options)
        assert edited.status == "succeeded", edited.error
        assert edited.steps[-1].status == "ran"
        assert outputs(ready.root / edited.output)[-1][0]["text"] == "3\n"
        failing = save(ready.root / "nb" / "b.ipynb", "x = 1", "import os\nos._exit(1)", "2")
        died = pipelines.run(ready, failing, {}, **options)
        assert (died.status, died.error) == ("failed", "step cell-2, cell 2: the kernel died")
        assert cluster.submit(divmod, 7, 2).result(timeout=60) == (3, 1), "not ours to end"
        kernels = [p for p in psutil.process_iter(["cmdline"]) if _kernel_of(p, ready)]
        assert kernels == [], "none is left on the workers"


def _kernel_of(process, workspace):
    line = " ".join(process.info["cmdline"] or ())
    return "stepkernel" in line and str(workspace.root) in line
