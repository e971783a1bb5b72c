"""What capture adds to a cell that prints 10 kB and to a scikit-learn fit: paired runs in two
kernels, one of which has the extension loaded; medians of the differences."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import perf_counter

import pytest
from kernels import Kernel, kernel

CELL = "print('x' * 10_000)"
SETUP = """
import numpy
from sklearn.linear_model import LinearRegression
X = numpy.random.default_rng(0).normal(size=(10_000, 20)); y = X.sum(axis=1)
_ = LinearRegression().fit(X, y)
"""
TIMED = """
from time import perf_counter
started = perf_counter()
{}
print((perf_counter() - started) * 1e3)
"""


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory):
    """A plain kernel and one with the extension."""
    folder = tmp_path_factory.mktemp("folder")
    with kernel(folder) as plain, kernel(folder) as captured:
        captured.ok("%load_ext mlops_jupyter")
        for one in (plain, captured):
            one.ok(SETUP)
        yield plain, captured


def _added(kernels, measure: Callable[[Kernel], float], count: int) -> float:
    differences = []
    for turn in range(count):
        figures = [measure(one) for one in (kernels if turn % 2 else kernels[::-1])]
        plain, captured = figures if turn % 2 else figures[::-1]
        differences.append(captured - plain)
    return statistics.median(differences)


def _cell(one: Kernel) -> float:
    started = perf_counter()
    one.ok(CELL)
    return (perf_counter() - started) * 1e3


def _fit(one: Kernel) -> float:
    return float(one.ok(TIMED.format("_ = LinearRegression().fit(X, y)")).text)


def bench_cell(kernels, figure):
    figure("capture, added to a cell with 10 kB of output", _added(kernels, _cell, 400), 0.3, "ms")


def bench_fit(kernels, figure):
    figure("capture, added to a fit of 10,000 x 20", _added(kernels, _fit, 60), 50, "ms")
