"""Secret parameters: read in the kernel, masked where they show, written nowhere."""

from __future__ import annotations

import ast
import base64
import json
import os
import pickle
import subprocess
import sys
import urllib.parse
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbclient import NotebookClient
from pipelines_support import notebook, save
from test_cli import complaint, mlops

from mlops_jupyter.errors import InvalidInput
from mlops_jupyter.models import PipelineRun, StepResult
from mlops_jupyter.pipelines import parameters as contract
from mlops_jupyter.pipelines import secrets
from mlops_jupyter.redaction import MASK, Redactor, plain

pytest_plugins = ("pipelines_fixtures",)

TOKEN = "s3cr3t/Tök&en'\"+<x>=="  # what each escape changes
VALUES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=12, max_size=40).filter(
    lambda value: len(set(value.strip())) > 4 and value == value.strip()
)


def parameters(source):
    return contract.declared(notebook(("parameters", source)))


# --- masking ----------------------------------------------------------------------------------


FORMS = {
    "itself": lambda v: v,
    "repr": repr,
    "ascii": ascii,
    "bytes": lambda v: repr(v.encode()),
    "json": json.dumps,
    "json in json": lambda v: json.dumps(json.dumps({"a": v})),
    "json as it is": lambda v: json.dumps([v], ensure_ascii=False),
    "repr of json": lambda v: repr(json.dumps({"a": v})),
    "html": lambda v: pd.DataFrame({"a": [v]}).to_html(),
    "quoted": urllib.parse.quote,
    "quoted whole": lambda v: urllib.parse.quote(v, safe=""),
    "a form": lambda v: urllib.parse.urlencode({"q": v}),
    "base64": lambda v: base64.b64encode(v.encode()).decode(),
    "base64 for URLs": lambda v: base64.urlsafe_b64encode(v.encode()).decode().rstrip("="),
    "hexadecimal": lambda v: v.encode().hex(),
    "array": lambda v: repr(np.array([v])),
    "series": lambda v: pd.Series([v]).to_string(),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_masked(form):
    shown = FORMS[form](TOKEN)
    masked = Redactor([TOKEN]).text(f"before {shown} after")
    assert MASK in masked
    assert masked.startswith("before ") and masked.endswith(" after")
    for piece in (TOKEN, shown.strip("'\"[]"), "s3cr3t", "en'", "<x>"):
        assert piece not in masked


@given(VALUES, st.sampled_from(sorted(FORMS)), st.text(max_size=20), st.text(max_size=20))
def test_any_value_in_any_form(value, form, before, after):
    shown = FORMS[form](value)
    masked = Redactor([value]).text(before + shown + after)
    assert MASK in masked
    assert value not in masked


@given(VALUES, st.binary(max_size=5), st.binary(max_size=5))
def test_inside_longer_base64(value, before, after):
    encoded = base64.b64encode(before + value.encode() + after).decode()
    masked = Redactor([value]).text(encoded)
    assert MASK in masked
    left = masked.split(MASK)
    assert sum(map(len, left)) <= len(base64.b64encode(before)) + len(base64.b64encode(after)) + 8


@given(VALUES, st.lists(st.integers(1, 11), min_size=1, max_size=4))
def test_colours_inside_stay_and_do_not_hide_it(value, places):
    coloured = value
    for place in sorted(places, reverse=True):
        coloured = coloured[:place] + "\x1b[38;5;28m" + coloured[place:]
    masked = Redactor([value]).text(f"\x1b[31mkey\x1b[0m = '{coloured}\x1b[0m'")
    assert plain(masked) == "key = '***'"
    assert masked.count("\x1b") == coloured.count("\x1b") + 3


@given(st.text(max_size=200), VALUES)
def test_other_text_stays_as_it_is(text, value):
    pieces = {value[:8], value[-8:]} | {form(value)[1:-1] for form in (repr, json.dumps)}
    if not any(piece in text for piece in pieces):
        assert Redactor([value]).text(text) == text


def test_cut_short():
    value = "ghp_" + "0123456789abcdefghij" * 4
    redactor = Redactor([value])
    frame = pd.DataFrame({"token": [value]})
    for shown in (repr(frame), frame.to_html(), value[:20] + "…", "..." + value[-20:]):
        assert "0123456789" not in redactor.text(shown)
        assert MASK in redactor.text(shown)
    assert redactor.text(f"ValueError: bad {value}"[:40]) == "ValueError: bad ***"


def test_lines_numbers_and_what_containers_hold():
    key = "-----BEGIN KEY-----\nMIIEow\nq83vEi\n-----END KEY-----\n"
    assert Redactor([key]).text("1 MIIEow 2\n| q83vEi |") == "1 *** 2\n| *** |"
    redactor = Redactor(["0012345", '{"user": "bo", "password": "hunter22", "pin": 98765}'])
    assert redactor.text("12,345 or 12345, hunter22, 98765, bo") == "*** or ***, ***, ***, bo"
    assert redactor.value({"pin": 98765, "n": 98766, "list": [12345.0, True]}) == {
        "pin": MASK,
        "n": 98766,
        "list": [MASK, True],
    }


def test_values_that_overlap():
    assert Redactor(["abcdef", "defghi"]).text("xabcdefghix") == "x***x"
    assert Redactor(["abcd", "abcdefgh"]).text("abcdefgh abcd") == "*** ***"


def test_outputs():
    picture = base64.b64encode(TOKEN.encode()).decode()
    data = {
        "text/plain": TOKEN,
        "text/html": f"<b>{TOKEN}</b>",
        "application/json": {"a": [{"b": f"x{TOKEN}"}], TOKEN: 1},
        "application/vnd.vega.v5+json": {"url": urllib.parse.quote(TOKEN)},
        "image/svg+xml": f"<svg>{TOKEN}</svg>",
        "image/png": picture,
    }
    output = nbformat.v4.new_output("display_data", data=data, metadata={"note": TOKEN})
    masked = Redactor([TOKEN]).output(output)
    assert TOKEN not in json.dumps(masked, ensure_ascii=False)
    assert masked["data"]["application/json"] == {"a": [{"b": "x***"}], MASK: 1}
    assert masked["data"]["image/png"] == picture
    assert output["data"]["text/plain"] == TOKEN
    assert type(masked) is type(output)
    made = notebook("1")
    made.cells[0].outputs = [masked]
    nbformat.validate(made)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        (TOKEN, pickle.dumps({"a": TOKEN})),
        (TOKEN, np.array([TOKEN, "other"]).tobytes()),
        (TOKEN, json.dumps({"a": TOKEN}).encode()),
        (TOKEN, pickle.dumps({"Authorization": base64.b64encode(f"me:{TOKEN}".encode())})),
        ("123456", pickle.dumps([1, 123456])),
        ("4321", pickle.dumps(4321)),
        ("123456", np.array([1, 123456]).tobytes()),
        ("3.14159", pickle.dumps({"x": 3.14159})),
        ("3.14159", np.array([3.14159]).tobytes()),
        ("abc", pickle.dumps({"key": "abc"})),
    ],
)
def test_bytes_that_hold_a_secret(text, stored):
    redactor = Redactor([text])
    assert redactor.bytes_contain(stored)
    assert redactor.bytes_contain(memoryview(b"\0" * ((1 << 24) - 3) + stored))
    assert not redactor.bytes_contain(pickle.dumps({"a": list(range(300)), "b": "other"}))


def test_nothing_to_mask():
    redactor = Redactor(["", "abc"])
    assert redactor.text("abc") == "abc"
    assert not Redactor([])
    assert not Redactor([""]).bytes_contain(b"abc")
    assert "abc" not in repr(Redactor(["abcdefgh"]))


def test_a_kernel_knows_what_to_mask(monkeypatch):
    found = secrets.check(parameters("a = ''\nb = ''"), {"a": "A_KEY", "b": "B_KEY"},
                          {"A_KEY": "aaaa-1", "B_KEY": "bbbb-2"})  # fmt: skip
    told = secrets.environment(found)
    assert Redactor.from_environment({**told, "A_KEY": "aaaa-1"}).text("aaaa-1 bbbb-2") == (
        "*** bbbb-2"
    )
    assert not Redactor.from_environment({})
    assert secrets.environment([]) == {}


# --- the contract -----------------------------------------------------------------------------

DECLARED = "token = ''\nport: int = 1\nrate = 0.5\ndebug = False\nlimits = [1]\nwhat = None\n" + (
    "size: int | None = None\nmode: Literal['fast', 2] = 'fast'"
)


@pytest.mark.parametrize(
    ("given", "environ", "message"),
    [
        ({"token": "KEY"}, {}, "The environment variable KEY is not set."),
        ({"token": "KEY"}, {"KEY": ""}, "The environment variable KEY is empty."),
        ({"nothing": "KEY"}, {"KEY": "hidden-value"}, "no parameter 'nothing'"),
        ({"port": "KEY"}, {"KEY": "hidden-value"}, "'port' must be int; what KEY holds is not"),
        ({"mode": "KEY"}, {"KEY": "hidden-value"}, "'mode' must be Literal"),
        ({"rate": "KEY"}, {"KEY": "hidden-value"}, "'rate' must be float"),
    ],
)
def test_wrong_secrets_are_refused_without_their_value(given, environ, message):
    with pytest.raises(InvalidInput) as caught:
        secrets.check(parameters(DECLARED), given, environ)
    assert message in str(caught.value)
    error = caught.value
    while error is not None:
        assert "hidden" not in str(error)
        error = error.__context__ or error.__cause__


def test_what_is_given_twice_or_is_no_name():
    assert secrets.parse(["a", "b=KEY"]) == {"a": "a", "b": "KEY"}
    for wrong in (["a", "a=B"], ["=x"], ["a b"], ["a="], ["a=s3cr3t value"]):
        with pytest.raises(InvalidInput) as caught:
            secrets.parse(wrong)
        assert "s3cr3t" not in str(caught.value)
    with pytest.raises(InvalidInput, match="has a value and --param-env too"):
        secrets.check(parameters("a = 1"), {"a": "A"}, {"A": "1"}, taken={"a"})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *[("token", text) for text in ("plain", TOKEN, " spaces ", "1", "None", "a\nb")],
        *[("port", text) for text in ("5432", " 7 ", "1_000", "-3")],
        *[("rate", text) for text in ("0.25", "1e-4", "inf", "3")],
        *[("debug", text) for text in ("true", "True", "YES", " on ", "1", "0", "off", "false")],
        *[("limits", text) for text in ("[1, 2]", "[]", "['a', None]", "[true]", '["é"]')],
        *[("what", text) for text in ("None", "True", "12", "1.5", "word", "[1]")],
        *[("size", text) for text in ("none", "12")],
        *[("mode", text) for text in ("fast", "2")],
    ],
)
def test_the_kernel_gets_what_the_contract_gives(name, text, monkeypatch):
    declared = parameters(DECLARED)
    monkeypatch.setenv("KEY", text)
    found = secrets.check(declared, {name: "KEY"}, os.environ)
    names: dict[str, object] = {}
    exec(secrets.lines(found), names)
    names.pop("__builtins__")
    expected = contract.check(declared, {name: text})
    assert names == expected
    assert type(names[name]) is type(expected[name])
    assert text not in repr(found) or len(text) < 5


def test_short_values_are_told():
    assert secrets.notices({"a": "KEY"}, {"KEY": "abc"}) == [
        "What KEY holds is shorter than 4 characters: where outputs show it, it is not masked."
    ]
    assert secrets.notices({"a": "KEY", "b": "NONE"}, {"KEY": "abcd"}) == []


def test_a_record_is_cleaned():
    said = "cell 1: ValueError: hunter22"
    steps = [StepResult("one", "failed", 0.1, said)]
    values = {"p": "hunter22"}
    run = PipelineRun("i", None, "hunter22.ipynb", "failed", "", 0.1, "o", steps, values, said)
    clean = secrets.clean(run, Redactor(["hunter22"]))
    assert clean.steps[0].reason == "cell 1: ValueError: ***"
    assert (clean.error, clean.parameters) == ("cell 1: ValueError: ***", {"p": "***"})
    assert clean.notebook == "hunter22.ipynb"  # where a file is stays true


def test_the_hash_is_the_users_and_the_same_in_each_process():
    code = "from mlops_jupyter.pipelines import secrets; print(secrets.keyed_hash('hunter22'))"
    elsewhere = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert elsewhere.stdout.strip() == secrets.keyed_hash("hunter22")
    assert secrets.keyed_hash("hunter22") != secrets.keyed_hash("hunter23")


# --- the notebook -----------------------------------------------------------------------------

FOUND = [secrets.Secret("token", "API_TOKEN", "str", "str")]
LINE = 'token = __import__("os").environ["API_TOKEN"]'


def sources(made):
    return [cell.source for cell in made.cells]


def test_injected_as_papermill_does():
    from papermill.parameterize import parameterize_notebook

    def injected(made, values):
        made.metadata["papermill"] = {}
        for cell in made.cells:
            cell.metadata.setdefault("tags", [])
        if values:
            made = parameterize_notebook(made, values, kernel_name="python3", language="python")
        secrets.inject(made, FOUND, values)
        nbformat.validate(made)
        return made

    cells = ["# Title", ("parameters", "token = ''\nx = 1"), "token"]
    alone, beside = injected(notebook(*cells), {}), injected(notebook(*cells), {"x": 2})
    assert sources(alone)[2] == f"# Parameters\n{LINE}\n"
    assert sources(beside)[2] == f"# Parameters\nx = 2\n{LINE}\n"
    by_papermill = parameterize_notebook(
        injected(notebook(*cells), {}), {"x": 3}, kernel_name="python3", language="python"
    )
    for made in (alone, beside, by_papermill):
        assert [cell.metadata.get("tags") for cell in made.cells][1:3] == [
            ["parameters"],
            ["injected-parameters"],
        ]
        assert len(made.cells) == 4
    again = injected(alone, {})
    assert sources(again) == sources(alone)
    assert sources(injected(notebook("x"), {}))[0].endswith(f"{LINE}\n")
    untouched = notebook(*cells)
    secrets.inject(untouched, [], {})
    assert len(untouched.cells) == 3


def test_in_a_real_kernel(monkeypatch):
    monkeypatch.setenv("API_TOKEN", TOKEN)
    made = notebook(
        ("parameters", "token = ''"),
        "import sys\nbefore = sorted(n for n in dir() if n[0] != '_')\nprint(token)",
        "print(token, file=sys.stderr)\ntoken",
        "from IPython.display import JSON, HTML, display\nimport pandas as pd, html\n"
        "display(JSON({'auth': [token]}), HTML(html.escape(token)), pd.DataFrame({'t': [token]}))",
        ("raises-exception", "def connect(password):\n    raise ValueError(f'no: {password}')\n"
         "connect(token)"),
        "before",
    )  # fmt: skip
    secrets.inject(made, FOUND, {})
    NotebookClient(made).execute()
    whole = nbformat.writes(made)
    assert "s3cr3t" in whole
    Redactor([TOKEN]).notebook(made)
    nbformat.validate(made)
    assert "s3cr3t" not in nbformat.writes(made)
    assert made.cells[2].outputs[0].text == "***\n"
    assert made.cells[-2].outputs[0].evalue == "no: ***"
    names = ast.literal_eval(made.cells[-1].outputs[0].data["text/plain"])
    assert {"os", "json"}.isdisjoint(names)


# --- a whole run ------------------------------------------------------------------------------

CELLS = (
    ("parameters", "token: str = ''\nport: int = 1"),
    "## Use",
    "%load_ext mlops_jupyter\nprint('the token is', token)\nheaders = {'Authorization': token}",
    "headers",
    "import os\nos.environ['API_TOKEN']",
    "## Fit",
    "from sklearn.linear_model import LogisticRegression\n"
    "model = LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])\nport",
    "## End",
    "raise RuntimeError(f'refused {token} at {port}')",
)


def holders(folder: Path, *values: str) -> list[str]:
    """Files under ``folder`` that hold one of the values in clear."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and any(value.encode() in path.read_bytes() for value in values):
            found.append(str(path.relative_to(folder)))
    return found


@pytest.mark.slow
def test_the_value_is_written_nowhere(ready):
    save(ready.root / "n.ipynb", *CELLS)
    values = {"API_TOKEN": "hunter22-and-more", "DB_PORT": "54321987"}
    done = mlops(
        "run", "n.ipynb", "--param-env", "token=API_TOKEN", "--param-env", "port=DB_PORT",
        "--junit", "r.xml", "--summary", "s.md", "--json",
        cwd=ready.root, code=1, **values, GITHUB_STEP_SUMMARY=str(ready.root / "step.md"),
    )  # fmt: skip
    run = json.loads(done.stdout)
    assert run["status"] == "failed"
    assert run["error"] == "step end, cell 9: RuntimeError: refused *** at ***"
    assert run["parameters"] == {"token": "***", "port": "***"}
    assert holders(ready.root, *values.values()) == []
    for value in values.values():
        assert value not in done.stdout + done.stderr
    executed = nbformat.read(ready.root / run["output"], as_version=4)
    assert executed.cells[1].source.splitlines()[1:] == [
        LINE,
        'port = int(__import__("os").environ["DB_PORT"])',
    ]
    assert "the token is ***" in str(executed.cells[3].outputs)
    assert (ready.root / "r.xml").is_file() and (ready.root / "step.md").is_file()

    again = mlops(
        "run", "n.ipynb", "--param-env", "token=API_TOKEN", "--param-env", "port=DB_PORT",
        cwd=ready.root, code=1, **values,
    )  # fmt: skip
    assert "refused *** at ***" in again.stdout + again.stderr
    assert holders(ready.root, *values.values()) == []


def test_a_wrong_request_is_one_line_and_runs_nothing(tmp_path):
    save(tmp_path / "n.ipynb", ("parameters", "token: str = ''\nport: int = 1"), "open('ran', 'w')")
    for asked, words in (
        (["token=API_TOKEN"], "API_TOKEN is not set"),
        (["port=KEY"], "'port' must be int; what KEY holds is not"),
        (["nothing=KEY"], "no parameter 'nothing'"),
        (["token=KEY", "-p", "token", "x"], "has a value and --param-env too"),
        (["hunter22 x"], "neither NAME nor NAME=VARIABLE"),
    ):
        line = complaint(
            mlops("run", "n.ipynb", "--param-env", *asked, cwd=tmp_path, code=2, KEY="hunter22")
        )
        assert words in line
        assert "hunter22" not in line
    assert os.listdir(tmp_path) == ["n.ipynb"]
