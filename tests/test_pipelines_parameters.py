from __future__ import annotations

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from pipelines_support import notebook, save

from mlops_jupyter.cli.contract import NotebookCommand
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


EXPRESSIONS = {
    "60 * 60": "int",
    "7 // 2": "int",
    "1 / 4": "float",
    "2 ** 8": "int",
    "2 ** n": "any",
    "0.5 * 3": "float",
    "-1": "int",
    "'a' + 'b'": "str",
    "'a' * 3": "str",
    "'%s' % 1": "str",
    "f'{x}'": "str",
    "[1] * 3": "list",
    "[1] + [2]": "list",
    "[x for x in 'ab']": "list",
    "{x: 1 for x in 'ab'}": "dict",
    "not True": "bool",
    "int('3')": "int",
    "float('inf')": "float",
    "os.cpu_count()": "any",
    "3 + n": "any",
    "(1, 2)": "any",
    "None": "any",
}


@pytest.mark.parametrize("default", EXPRESSIONS)
def test_a_default_that_is_an_expression_has_the_type_it_certainly_gives(default):
    (found,) = declared(notebook(("parameters", f"x = {default}")))
    assert (found.type, found.default) == (EXPRESSIONS[default], default)


def test_help_stands_beside_above_or_in_the_annotation():
    cell = """# Parameters
rate = 0.1
# how many rows
#   of the file
rows = 3
# above
name = "x"  # beside

a: Annotated[int, "in the type"] = 1
b: typing.Annotated[int | None, Ge(1), "one", "two"] = None
c: "Annotated[str, 'quoted']" = "c"
# ----
d = 4
# left alone

e = 5
"""
    found = declared(notebook(("parameters", cell)))
    assert {p.name: (p.type, p.help) for p in found} == {
        "rate": ("float", ""),
        "rows": ("int", "how many rows of the file"),
        "name": ("str", "beside"),
        "a": ("int", "in the type"),
        "b": ("int | None", "one two"),
        "c": ("str", "quoted"),
        "d": ("int", ""),
        "e": ("int", ""),
    }


def test_annotated_values_are_checked_by_their_type():
    found = declared(notebook(("parameters", 'a: Annotated[int, "help"] = 1')))
    assert check(found, {"a": "2"}) == {"a": 2}
    with pytest.raises(InvalidInput):
        check(found, {"a": "many"})


def command(tmp_path, *arguments):
    """A command about a notebook, as ``mlops pipeline run`` is one."""

    @click.command("run", cls=NotebookCommand)
    @click.argument("notebook")
    @click.option("-p", "parameters", nargs=2, multiple=True)
    @click.option("-w", "--workspace", "around")
    def run(**options):
        """Run it."""

    return CliRunner().invoke(run, [*arguments, "-w", str(tmp_path)])


def test_help_shows_the_contract(tmp_path):
    save(tmp_path / "train.ipynb", ("parameters", "rows: int = 3  # how many\nname = 'x'"))
    for arguments in (("train.ipynb", "--help"), ("--help", "train.ipynb")):
        result = command(tmp_path, *arguments)
        assert result.exit_code == 0
        assert "Run it." in result.output
        assert "Parameters of train.ipynb (-p NAME VALUE):" in result.output
        lines = [line.split() for line in result.output.splitlines()]
        assert ["PARAMETER", "TYPE", "DEFAULT", "HELP"] in lines
        assert ["rows", "int", "3", "how", "many"] in lines
        assert ["name", "str", "x", "-"] in lines


def test_help_without_a_notebook_is_plain(tmp_path):
    result = command(tmp_path, "--help")
    assert result.exit_code == 0
    assert "Parameters" not in result.output


def test_help_about_a_notebook_without_parameters_says_so(tmp_path):
    save(tmp_path / "plain.ipynb", "a = 1")
    assert "plain.ipynb declares no parameters" in command(tmp_path, "plain.ipynb", "--help").output


@pytest.mark.parametrize("content", [None, "no notebook", "{}", ""])
def test_help_about_an_unreadable_notebook_is_the_plain_help_and_one_line(tmp_path, content):
    if content is not None:
        (tmp_path / "bad.ipynb").write_text(content)
    result = command(tmp_path, "bad.ipynb", "--help")
    assert result.exit_code == 0
    assert "Run it." in result.output
    assert result.output.rstrip().splitlines()[-1].startswith("No parameters shown: ")
    assert "Traceback" not in result.output


def test_a_cell_that_does_not_parse_declares_nothing():
    assert declared(notebook(("parameters", "x = = 1"))) == []


@given(st.integers() | st.floats(allow_nan=False) | st.booleans() | st.text())
def test_what_is_given_as_text_comes_back(value):
    parameter = Parameter("x", type(value).__name__, "")
    assert check([parameter], {"x": str(value)}) == {"x": value}
    assert check([parameter], {"x": value}) == {"x": value}
