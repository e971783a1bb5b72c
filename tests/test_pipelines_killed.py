"""SIGKILL at random moments, to the runner, a kernel, a worker: whatever dies, the next run is
right and nothing in the cache is damaged."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Callable

import psutil
import pytest
from pipelines_support import python, save

from mlops_jupyter import pipelines
from mlops_jupyter.blobs import Blobs, hash_file
from mlops_jupyter.pipelines.traces import decode

pytest_plugins = ("pipelines_fixtures",)
pytestmark = pytest.mark.slow

#: Imports everything once, then forks for each run; a run that is killed leaves no result.
DRIVER = """
import json, os, sys, threading
from pathlib import Path
import mlflow.tracking, papermill
from mlops_jupyter import _kernels, _mlflow, _papermill, _store, pipelines
from mlops_jupyter.pipelines import conductor, execution
from mlops_jupyter.pipelines.traces import distributions_of
from mlops_jupyter.workspace import Workspace

distributions_of([])
assert threading.active_count() == 1, threading.enumerate()
if __name__ == "__main__":
    for line in sys.stdin:
        child = os.fork()
        if not child:
            os.setsid()
            try:
                root = Path.cwd()
                run = pipelines.run(Workspace(root), root / "a.ipynb", {}, **json.loads(line))
                said = [run.status, run.error]
            except BaseException as error:
                said = ["raised", repr(error)]
            Path("said.json").write_text(json.dumps(said))
            os._exit(0)
        print(child, flush=True)
        os.waitpid(child, 0)
        print("ended", flush=True)
"""


def cells(seed: int, last: int) -> tuple[str, ...]:
    """Eight short steps: values, a file, random numbers, a generator."""
    return (
        f"import pathlib, random, time\nseed = {seed}",
        "xs = [seed + i for i in range(5)]",
        "time.sleep(0.03)\nys = [x * 2 for x in xs]",
        "written = pathlib.Path('made.txt').write_text(str(sum(ys)))",
        "random.seed(seed)\ndrawn = random.random()",
        "rest = (y for y in ys)\nfirst = next(rest)",
        f"time.sleep(0.03)\nz = {last} + int(pathlib.Path('made.txt').read_text())",
        "print(seed, drawn, first, list(rest), z, random.random())",
    )


def expected(seed: int, last: int) -> str:
    own = random.Random(seed)
    ys = [(seed + i) * 2 for i in range(5)]
    return f"{seed} {own.random()} {ys[0]} {ys[1:]} {last + sum(ys)} {own.random()}\n"


class Trials:
    """Runs of one notebook in one workspace, some of them killed."""

    def __init__(self, workspace, until, seed: int) -> None:
        self.root, self.workspace, self.until = workspace.root, workspace, until
        self.random = random.Random(seed)
        self.driver = python(DRIVER, cwd=self.root, stdin=-1)
        self.orphans: list[psutil.Process] = []
        self.began = 0.0

    def start(self, seed: int, last: int, **options) -> psutil.Process:
        save(self.root / "a.ipynb", *cells(seed, last))
        (self.root / "said.json").unlink(missing_ok=True)
        (self.root / "made.txt").unlink(missing_ok=True)
        assert self.driver.stdin is not None and self.driver.stdout is not None
        options["output"] = None
        self.driver.stdin.write(json.dumps(options) + "\n")
        self.driver.stdin.flush()
        line = self.driver.stdout.readline()
        assert line, self.driver.communicate()[1]
        self.began = time.perf_counter()
        return psutil.Process(int(line))

    def end(self) -> list[str | None]:
        assert self.driver.stdout is not None
        assert self.driver.stdout.readline() == "ended\n"
        said = self.root / "said.json"
        return json.loads(said.read_text()) if said.exists() else ["killed", None]

    def whole(self, seed: int, last: int, **options) -> float:
        """A run that nobody disturbs must be right; its seconds."""
        self.start(seed, last, **options)
        said = self.end()
        took = time.perf_counter() - self.began
        assert said == ["succeeded", None]
        run = pipelines.history(self.workspace, 1)[0]
        executed = json.loads((self.root / run.output).read_text())
        assert "".join(executed["cells"][-1]["outputs"][0]["text"]) == expected(seed, last)
        assert (self.root / "made.txt").read_text() == str(sum((seed + i) * 2 for i in range(5)))
        self.check()
        return took

    def kill(self, runner: psutil.Process, moment: float, victims: Callable) -> bool:
        """Kill one of the victims ``moment`` seconds after the start, or as soon as there is one;
        whether there was one."""
        self.orphans += [child for child in children(runner) if child not in self.orphans]
        while alive(runner):
            found = victims(runner) if time.perf_counter() - self.began >= moment else []
            if found:
                self.orphans += [child for child in children(runner) if child not in self.orphans]
                try:
                    self.random.choice(found).send_signal(signal.SIGKILL)
                except psutil.NoSuchProcess:
                    continue
                return True
            time.sleep(0.001)
        return False

    def check(self) -> None:
        """Every trace is whole, and so is every blob that one needs."""
        blobs = Blobs(self.workspace.state / "cache")
        for note in blobs.notes("traces/").values():
            trace = decode(note, sealed=True)
            assert trace is not None
            for key in trace.blobs:
                assert hash_file(blobs.folder / "blobs" / key[:2] / key) == key

    def close(self) -> None:
        self.driver.communicate(timeout=60)
        for process in self.orphans:
            self.until(lambda process=process: not alive(process), 60)
        assert all(run.status != "running" for run in pipelines.history(self.workspace, 1000))


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def children(runner: psutil.Process) -> list[psutil.Process]:
    try:
        return runner.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def named(word: str) -> Callable:
    """The runner's processes with ``word`` in their command lines."""

    def found(runner: psutil.Process) -> list[psutil.Process]:
        result = []
        for child in children(runner):
            try:
                if word in " ".join(child.cmdline()):
                    result.append(child)
            except psutil.Error:
                continue
        return result

    return found


@pytest.fixture
def trials(ready, until):
    made = []

    def make(seed):
        made.append(Trials(ready, until, seed))
        return made[-1]

    yield make
    for one in made:
        one.close()


VICTIMS = {
    "runner": (lambda runner: [runner], 30, {}),
    "kernel": (named("stepkernel"), 22, {}),
    "worker": (named("multiprocessing"), 4, {"executor": "dask"}),
}


@pytest.mark.parametrize("victim", VICTIMS)
def test_the_next_run_is_right(trials, victim):
    victims, times, options = VICTIMS[victim]
    own = trials(len(victim))
    whole = own.whole(0, 0, **options)
    killed = 0
    for trial in range(1, times + 1):
        cold = trial % 3 == 0
        seed, last = (trial, 0) if cold else (0, trial)
        workers = 1 + trial % 2
        runner = own.start(seed, last, workers=workers, **options)
        killed += own.kill(runner, own.random.random() * whole, victims)
        status, error = own.end()
        if victim == "kernel" and status == "raised":
            assert "cannot be started" in str(error)
        elif victim == "kernel" and status == "failed":
            assert "the kernel died" in str(error)
        else:
            assert victim != "runner" or status in ("killed", "succeeded")
        own.whole(seed, last, workers=workers)
    assert killed > times / 2
