"""Pipelines against papermill on the whole notebook: whole commands in fresh processes, the same
notebook, ratios of medians within one run."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pipelines_support import save

MLOPS = str(Path(sys.executable).with_name("mlops"))
PAPERMILL = str(Path(sys.executable).with_name("papermill"))
WORK = "s = 0\nfor i in range({n}):\n    s += i\n"


def command(*words: str, cwd: Path) -> float:
    """Seconds that a command takes."""
    began = time.perf_counter()
    subprocess.run(words, cwd=cwd, check=True, capture_output=True, text=True)
    return time.perf_counter() - began


def fresh(folder: Path, *options: str, notebook: str = "nb.ipynb") -> tuple[float, dict]:
    """Seconds of a pipeline run, and what it said."""
    began = time.perf_counter()
    done = subprocess.run(
        [MLOPS, "run", notebook, "--json", *options],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return time.perf_counter() - began, json.loads(done.stdout)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A workspace whose databases exist."""
    (tmp_path / "mlops.toml").write_text("")
    save(tmp_path / "first.ipynb", "1")
    fresh(tmp_path, notebook="first.ipynb")
    return tmp_path


def papermill(folder: Path) -> float:
    return command(PAPERMILL, "nb.ipynb", "plain.ipynb", "--no-progress-bar", cwd=folder)


def chain(steps: int, work: int) -> list[str]:
    """A notebook in which each step needs the one before."""
    cells = ["## Step 0", "x = 1"]
    for number in range(1, steps):
        cells += [f"## Step {number}", WORK.format(n=work) + f"x = x + s % 7 + {number}\nprint(x)"]
    return cells


def bench_chain(project, figure):
    save(project / "nb.ipynb", *chain(10, 12_000_000))
    pairs = [(papermill(project), fresh(project, "--no-cache")[0]) for _ in range(3)]
    plain, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
    figure("papermill on a chain of 10 steps of about a second", plain, None, "s")
    figure("chain of 10 steps / papermill on the whole notebook", ours / plain, 1.05, "x")


def bench_chain_of_nothing(project, figure):
    """What the start costs: no budget, for a notebook of two seconds is no pipeline."""
    save(project / "nb.ipynb", *chain(10, 1))
    pairs = [(papermill(project), fresh(project, "--no-cache")[0]) for _ in range(5)]
    plain, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
    figure("papermill on a chain of 10 trivial steps", plain, None, "s")
    figure("chain of 10 trivial steps / papermill", ours / plain, None, "x")


def bench_branches(project, figure):
    cells = ["## Load", "base = 3"]
    for number in range(4):
        body = WORK.format(n=95_000_000).replace("s", f"s{number}")
        cells += [f"## Branch {number}", body + f"r{number} = s{number} + base"]
    save(project / "nb.ipynb", *cells, "## Sum", "print(r0 + r1 + r2 + r3)")
    parallel = ("--no-cache", "--workers", "2")
    pairs = [(papermill(project), fresh(project, *parallel)[0]) for _ in range(3)]
    plain, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
    figure("papermill on four branches", plain, None, "s")
    figure("four CPU-bound branches on 2 workers / papermill", ours / plain, 0.6, "x")


def bench_nothing_changed(project, figure):
    save(project / "nb.ipynb", *chain(10, 1000))
    fresh(project)
    times = []
    for _ in range(7):
        seconds, run = fresh(project)
        assert {step["status"] for step in run["steps"]} == {"cached"}
        times.append(seconds)
    figure("nothing changed in 10 steps, the whole command", statistics.median(times), 0.5, "s")


def bench_one_late_step_edited(project, figure):
    cells = chain(10, 1000)
    save(project / "nb.ipynb", *cells)
    fresh(project)
    save(project / "nb.ipynb", *cells[:-1], cells[-1] + "\nprint('edited')")
    seconds, run = fresh(project)
    ran = [step["name"] for step in run["steps"] if step["status"] == "ran"]
    assert ran == ["step-9"]
    figure("one late step of 10 edited, the whole command", seconds, None, "s")


def bench_trivial_step(project, figure):
    """What 40 more trivial steps add to a run, each, beyond the same cells in one step."""
    times: dict[int, list[float]] = {1: [], 40: []}
    for _ in range(3):
        for steps, seconds in times.items():
            cells = ["## Start"] if steps == 1 else []
            for number in range(40):
                cells += [f"## Step {number}"] if steps > 1 else []
                cells += [f"x{number} = {number}"]
            save(project / "nb.ipynb", *cells)
            seconds.append(fresh(project, "--no-cache")[1]["seconds"])
    extra = (statistics.median(times[40]) - statistics.median(times[1])) / 39
    figure("a trivial extra step", extra * 1e3, 60, "ms")


def bench_large_array(project, figure):
    """1 GB through five readers: stored once, and what each step adds beyond its code."""
    cells = ["## Make", "import numpy as np\nbig = np.arange(125_000_000, dtype=float)"]
    for number in range(5):
        cells += [f"## Read {number}", f"m{number} = float(big[::1000].sum())"]
    save(project / "nb.ipynb", *cells)
    plain = papermill(project)
    _, run = fresh(project, "--cache", str(project / "cache"))
    blobs = [path.stat().st_size for path in (project / "cache").rglob("*") if path.is_file()]
    assert sum(size >= 1_000_000_000 for size in blobs) == 1
    ours = run["seconds"]
    figure("1 GB through 5 readers, beyond papermill, a step", (ours - plain) / 6, 1.0, "s")


def bench_500_steps(project, figure):
    """Seconds a step at 500 steps against those at 100: 1 is linear."""
    each = {}
    for steps in (100, 500):
        cells = []
        for number in range(steps):
            cells += [
                f"## Step {number}",
                f"x{number} = {number} + {f'x{number - 1}' if number else 0}",
            ]
        save(project / "nb.ipynb", *cells)
        each[steps] = fresh(project, "--no-cache")[1]["seconds"] / steps
    figure("a step of 500", each[500] * 1e3, None, "ms")
    figure("a step of 500 / a step of 100", each[500] / each[100], 1.5, "x")
