"""Benchmarks print what they measured at the end of the run, next to the budget each must keep."""

from __future__ import annotations

from collections.abc import Callable

import pytest

_FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str, float, float | None, str], None]:
    """``figure(what, value, budget, unit)``: show the figure; fail if it is over budget. A figure
    that depends on the machine has no budget: ``None``."""

    def show(what: str, value: float, budget: float | None, unit: str) -> None:
        kept = budget is None or value <= budget
        limit = "" if budget is None else f"budget {budget:g}{'' if kept else '  OVER BUDGET'}"
        lines = request.config.stash.setdefault(_FIGURES, [])
        lines.append(f"{what:<62} {value:9.3g} {unit:<6} {limit}".rstrip())
        assert kept, lines[-1]

    return show


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if figures := config.stash.get(_FIGURES, []):
        terminalreporter.section("figures")
        for line in figures:
            terminalreporter.write_line(line)
