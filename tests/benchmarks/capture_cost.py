"""What capture adds to a cell and to a fit: paired runs in two kernels, one with the extension.

``python tests/benchmarks/capture_cost.py [CELLS]`` prints medians. A cell prints 10 kB.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kernels import Kernel, kernel

CELL = "print('x' * 10_000)"
SETUP = """
import numpy
from sklearn.linear_model import LinearRegression
X = numpy.random.default_rng(0).normal(size=(10_000, 20)); y = X.sum(axis=1)
_ = LinearRegression().fit(X, y)
"""
FIT = """
from time import perf_counter
started = perf_counter()
_ = LinearRegression().fit(X, y)
print(perf_counter() - started)
"""


def _cell(k: Kernel) -> float:
    started = perf_counter()
    k.ok(CELL)
    return (perf_counter() - started) * 1e3


def _fit(k: Kernel) -> float:
    return float(k.ok(FIT).text) * 1e3


def main(cells: int) -> None:
    os.environ["MLOPS_COURIER"] = "off"
    with (
        tempfile.TemporaryDirectory() as folder,
        kernel(Path(folder)) as plain,
        kernel(Path(folder)) as captured,
    ):
        captured.ok("%load_ext mlops_jupyter")
        for name, measure, count in (("cell", _cell, cells), ("fit", _fit, cells // 4)):
            if name == "fit":
                plain.ok(SETUP)
                captured.ok(SETUP)
            pairs = []
            for turn in range(count):
                if turn % 2:
                    first = measure(plain)
                    pairs.append((first, measure(captured)))
                else:
                    first = measure(captured)
                    pairs.append((measure(plain), first))
            base = statistics.median(one for one, _ in pairs)
            added = statistics.median(other - one for one, other in pairs)
            sys.stdout.write(f"{name}: plain {base:.3f} ms, added {added:.3f} ms, n={count}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
