from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipelines_support import notebook

from mlops_jupyter.errors import InvalidInput
from mlops_jupyter.pipelines.steps import cut, slug


def shape(*cells):
    return [(step.name, step.cells) for step in cut(notebook(*cells))]


def test_headings_cut():
    assert shape(
        "import os",
        "# Churn",
        "## 1. Load the *data*",
        "a = 1",
        "### Details",
        "b = 2",
        "## Train",
        "c = 3",
        "## Train",
        "d = 4",
        "## Nothing below",
    ) == [("setup", [0]), ("1-load-the-data", [3, 5]), ("train", [7]), ("train-2", [9])]


def test_two_headings_in_one_cell_and_underlined_ones():
    assert shape("# Title\n\n## Load\ntext", "a = 1", "# x\n```\n# no heading\n```", "b = 2") == [
        ("load", [1]),
        ("x", [3]),
    ]
    made = notebook("# a", "a = 1", "b = 2")
    made.cells[0].source = "Load\n===="
    assert [step.name for step in cut(made)] == ["load"]
    made.cells[0].source = "```\n# Not this\n```\n| a | b |\n|---|---|\n- item\n---"
    assert [step.name for step in cut(made)] == ["cell-1", "cell-2"]


def test_marks_win_over_headings():
    assert shape(
        "# Title",
        "import os",
        ("step:load", "a = 1"),
        "b = 2",
        "## Ignored",
        ("other,step: fit", "c = 3"),
        "%%step evaluate all\nd = 4",
        ("step:load", "e = 5"),
    ) == [("setup", [1]), ("load", [2, 3]), ("fit", [5]), ("evaluate all", [6]), ("load-2", [7])]


def test_the_same_mark_goes_on():
    assert shape(("step:load", "a = 1"), ("step:load", "b = 2")) == [("load", [0, 1])]


def test_single_cells():
    assert shape("a = 1", "### small", "", "b = 2", ("skip", "c = 3"), "d = 4") == [
        ("cell-1", [0]),
        ("cell-2", [3]),
        ("cell-3", [5]),
    ]


def test_skipped_cells_are_in_no_step():
    assert shape("## A", ("skip", "1/0"), "a = 1", ("skip-execution", "b"), ("skip", "## c")) == [
        ("a", [2])
    ]


def test_parameters():
    assert shape(("parameters", "x = 1"), "a = x") == [("parameters", [0]), ("cell-2", [1])]
    assert shape(("parameters", "x = 1"), "## A", "a = x") == [("parameters", [0]), ("a", [2])]
    assert shape("## A", ("parameters", "x = 1"), "a = x") == [("a", [1, 2])]


@pytest.mark.parametrize(
    "cells",
    [
        [("parameters", "x = 1"), "a = x"],
        ["import os", ("parameters", "x = 1"), "a = x", "b = x"],
        ["# T", ("parameters", "x = 1"), "## A", "a = x"],
        [("parameters", "x = 1"), ("step:a", "a = x")],
    ],
)
def test_an_injected_cell_changes_no_name(cells):
    place = next(i for i, cell in enumerate(cells) if cell[0] == "parameters")
    injected = [*cells[: place + 1], ("injected-parameters", "x = 2"), *cells[place + 1 :]]
    assert [name for name, _ in shape(*injected)] == [name for name, _ in shape(*cells)]
    assert any(place + 1 in indices for _, indices in shape(*injected))


def test_no_code_no_steps():
    assert shape() == []
    assert shape("# Title", "   ") == []


@given(
    st.lists(
        st.one_of(
            st.sampled_from(["# One", "## Two", "### Three", "x = 1", "", "%%step a\nx = 2"]),
            st.tuples(
                st.sampled_from(["skip", "step:a", "step:b", "parameters", "injected-parameters"]),
                st.just("y = 1"),
            ),
        ),
        max_size=12,
    )
)
def test_every_running_cell_is_in_one_step_in_order(cells):
    made = notebook(*cells)
    steps = cut(made)
    inside = [index for step in steps for index in step.cells]
    assert inside == [
        index
        for index, cell in enumerate(made.cells)
        if cell.cell_type == "code" and cell.source and "skip" not in cell.metadata.get("tags", [])
    ]
    assert len({step.name for step in steps}) == len(steps)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Train & test!", "train-test"),
        ("Überblick über `df`", "überblick-über-df"),
        ("[Load](https://x.org/y) <b>it</b>", "load-it"),
        ("数据", "数据"),
        ("🚀", "section"),
        ("", "section"),
        ("snake_case", "snake-case"),
    ],
)
def test_slug(text, name):
    assert slug(text) == name


def asked(*cells):
    return [(step.cache, step.retries, step.timeout) for step in cut(notebook(*cells))]


def test_tags_ask_for_a_cache_retries_and_a_timeout():
    assert asked("a = 1", ("cache", "b = 1"), ("retries:2,timeout: 1.5", "c = 1")) == [
        (False, 0, None),
        (True, 0, None),
        (False, 2, 1.5),
    ]


def test_a_step_gets_the_most_that_its_cells_ask_for():
    cells = [("retries:1,timeout:60", "a"), ("retries:3", "b"), ("timeout:5,cache", "c"), "d"]
    assert asked("# One", *cells) == [(True, 3, 60.0)]


def test_cells_that_do_not_run_ask_for_nothing():
    assert asked("# One", ("skip,retries:many", "a"), "b") == [(False, 0, None)]


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("retries", "a whole number"),
        ("retries:", "a whole number"),
        ("retries:-1", "a whole number"),
        ("retries:1.5", "a whole number"),
        ("retries:many", "a whole number"),
        ("retries:²", "a whole number"),
        ("retries:99999", "a whole number"),
        ("timeout", "a number of seconds"),
        ("timeout:0", "a number of seconds"),
        ("timeout:-3", "a number of seconds"),
        ("timeout:1e9", "a number of seconds"),
        ("timeout:nan", "a number of seconds"),
        ("timeout:5 min", "a number of seconds"),
        ("step:", "a name"),
        ("step", "a name"),
    ],
)
def test_bad_tags_are_refused_in_one_line_with_their_cell(tag, words):
    with pytest.raises(InvalidInput) as caught:
        cut(notebook("# Title", "a = 1", (tag, "b = 1")))
    assert caught.value.message.startswith(f"Cell 3: the tag {tag!r} needs {words}")
    assert "For example" in caught.value.hint
    assert "\n" not in str(caught.value)


def test_a_step_magic_without_a_name_is_refused():
    with pytest.raises(InvalidInput, match="Cell 2: '%%step' needs a name"):
        cut(notebook("a = 1", "%%step\nb = 1"))


def test_other_tags_mean_nothing():
    assert asked(("steps:3,retry,cached,raises-exception", "a = 1")) == [(False, 0, None)]
