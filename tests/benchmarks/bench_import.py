"""What `import mlops_jupyter` and `%load_ext mlops_jupyter` cost beside `import IPython` itself.

Each round is a fresh process that times both in turn, so that a slow moment of the machine slows
both; medians of the rounds are compared."""

from __future__ import annotations

import statistics
import subprocess
import sys

import pytest

ROUNDS = 9
TIMED = """
import time
start = time.perf_counter()
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
ready = time.perf_counter()
import mlops_jupyter
imported = time.perf_counter()
shell.run_line_magic("load_ext", "mlops_jupyter")
loaded = time.perf_counter()
print(ready - start, imported - ready, loaded - imported)
"""


@pytest.fixture(scope="module")
def seconds(tmp_path_factory: pytest.TempPathFactory) -> tuple[float, float, float]:
    """Median seconds of: IPython's start, our import, `%load_ext`."""
    rounds = []
    for _ in range(ROUNDS + 1):
        done = subprocess.run(
            [sys.executable, "-c", TIMED],
            cwd=tmp_path_factory.mktemp("folder"),
            capture_output=True,
            text=True,
            check=True,
        )
        rounds.append([float(figure) for figure in done.stdout.split()])
    ipython, imported, loaded = zip(*rounds[1:], strict=True)  # the first fills the disk's cache
    return statistics.median(ipython), statistics.median(imported), statistics.median(loaded)


def bench_import(seconds, figure):
    figure("import mlops_jupyter / import IPython", seconds[1] / seconds[0], 0.1, "x")


def bench_load_ext_against_ipython(seconds, figure):
    figure("%load_ext mlops_jupyter / import IPython", seconds[2] / seconds[0], 1.0, "x")


def bench_load_ext(seconds, figure):
    figure("import and %load_ext mlops_jupyter", 1000 * (seconds[1] + seconds[2]), None, "ms")
