from __future__ import annotations

import io

from pipelines_support import notebook
from rich.console import Console

from mlops_jupyter.cli import render
from mlops_jupyter.cli._steps import joined
from mlops_jupyter.models import Pipeline, Step
from mlops_jupyter.pipelines.analysis import analyse
from mlops_jupyter.pipelines.parameters import declared
from mlops_jupyter.pipelines.steps import cut


def shown(*cells):
    made = notebook(*cells)
    screen = io.StringIO()
    pipeline = Pipeline("train.ipynb", declared(made), analyse(made, cut(made)))
    render.render(Console(file=screen, width=200, color_system=None), pipeline)
    return [line.rstrip() for line in screen.getvalue().splitlines()]


def test_steps_with_what_they_need_and_why():
    assert shown(
        ("parameters", "limit = 1"),
        "# Load",
        "import numpy as np\na = b = 1",
        "def clean(): return limit",
        "# Use [it]",
        "a, b, clean()",
        ("retries:2,timeout:60,cache", "exec(a)"),
    ) == [
        "train.ipynb",
        "",
        "PARAMETER  TYPE  DEFAULT  HELP",
        "limit      int   1        -",
        "",
        "STEP        CELLS  NEEDS       WHY",
        "parameters  1",
        "load        3-4",
        "use-it      6-7    parameters  exec() may read anything",
        "                               calls clean(), which reads limit",
        "                   load        exec() may read anything",
        "                               reads a, b and clean, which load binds",
        "                               ! barrier: exec() may read and bind anything",
        "                               ! runs again in every new kernel: exec()",
        "                               kept in the cache whatever it contacts",
        "                               tried again up to 2 times",
        "                               at most 60 s",
    ]


def test_no_code():
    assert shown("# Title")[-1] == "No code, no steps."


def test_text_is_not_taken_for_markup():
    screen = io.StringIO()
    steps = [Step("[red]x[/red]", [0, 1, 2, 5], notes=["[bold]"])]
    render.render(Console(file=screen, width=200), Pipeline("a", [], steps))
    assert "[red]x[/red]  1-3, 6" in screen.getvalue()
    assert "! [bold]" in screen.getvalue()


def test_reasons_that_differ_in_the_name_only_are_one():
    many = [f"reads n{number}, which load binds" for number in range(12)]
    assert joined(["reads a, which load binds"]) == ["reads a, which load binds"]
    assert joined(["x", "reads b, which s binds", "reads a, which s binds"]) == [
        "x",
        "reads a and b, which s binds",
    ]
    assert joined(many)[0].endswith("and 4 more, which load binds")
