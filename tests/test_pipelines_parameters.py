from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipelines_support import notebook

from mlops_jupyter.errors import InvalidInput
from mlops_jupyter.models import Parameter
from mlops_jupyter.pipelines.parameters import check, declared

CELL = """
import os
rows: int = 1_000  # how many rows
rate = 1e-3
name = "a'b"   # whose
flag = True
names: list[str] = ["a"]
settings = {"a": 1}
nothing = None
cores = os.cpu_count()
maybe: int | None = None
mode: Literal["fast", "exact"] = "fast"
where: Path = Path("x")
long: str = (
    "x"
)  # at its end
a = b = 1
left: int
print(rows)
"""
KNOWN = declared(notebook("x = 0", ("parameters", CELL), ("parameters", "second = 1")))


def test_declared():
    assert {p.name: (p.type, p.default, p.help) for p in KNOWN} == {
        "rows": ("int", "1_000", "how many rows"),
        "rate": ("float", "1e-3", ""),
        "name": ("str", "a'b", "whose"),
        "flag": ("bool", "True", ""),
        "names": ("list[str]", '["a"]', ""),
        "settings": ("dict", '{"a": 1}', ""),
        "nothing": ("any", "None", ""),
        "cores": ("any", "os.cpu_count()", ""),
        "maybe": ("int | None", "None", ""),
        "mode": ("Literal['fast', 'exact']", "fast", ""),
        "where": ("Path", 'Path("x")', ""),
        "long": ("str", "x", "at its end"),
        "a": ("int", "1", ""),
        "b": ("int", "1", ""),
    }


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("rows", "12", 12),
        ("rows", "-1", -1),
        ("rate", "2", 2.0),
        ("rate", 2, 2.0),
        ("rate", "inf", float("inf")),
        ("name", "3", "3"),
        ("name", "", ""),
        ("flag", "no", False),
        ("flag", "True", True),
        ("names", '["x", "y"]', ["x", "y"]),
        ("names", "['x']", ["x"]),
        ("settings", {"b": 2}, {"b": 2}),
        ("nothing", "3", 3),
        ("nothing", "3.5", 3.5),
        ("nothing", "False", False),
        ("nothing", "text", "text"),
        ("maybe", "none", None),
        ("maybe", None, None),
        ("maybe", "4", 4),
        ("mode", "exact", "exact"),
        ("where", "data/x.csv", "data/x.csv"),
    ],
)
def test_values_get_the_declared_type(name, text, value):
    found = check(KNOWN, {name: text})[name]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rows", "many"),
        ("rows", "1.5"),
        ("rows", 1.5),
        ("rows", True),
        ("rows", None),
        ("rate", "fast"),
        ("rate", False),
        ("name", 3),
        ("flag", "maybe"),
        ("flag", 1),
        ("names", "{}"),
        ("names", "[1"),
        ("settings", "[]"),
        ("maybe", "x"),
        ("mode", "slow"),
    ],
)
def test_wrong_types_are_refused_in_one_line(name, value):
    with pytest.raises(InvalidInput) as caught:
        check(KNOWN, {name: value})
    assert repr(name) in caught.value.message
    assert "\n" not in str(caught.value)


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(InvalidInput, match=r"'colour'.*Known: rows, rate"):
        check(KNOWN, {"rows": "1", "colour": "red"})
    with pytest.raises(InvalidInput, match="Tag a cell"):
        check([], {"x": 1})
    assert check([], {}) == {}


def test_a_cell_that_does_not_parse_declares_nothing():
    assert declared(notebook(("parameters", "x = = 1"))) == []


@given(st.integers() | st.floats(allow_nan=False) | st.booleans() | st.text())
def test_what_is_given_as_text_comes_back(value):
    parameter = Parameter("x", type(value).__name__, "")
    assert check([parameter], {"x": str(value)}) == {"x": value}
    assert check([parameter], {"x": value}) == {"x": value}
