"""What a CI server gets of a run: JUnit XML, a Markdown summary, exit codes, one block of error."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipelines_support import python, save
from test_cli import complaint, mlops

from mlops_jupyter.errors import InvalidInput, Unavailable
from mlops_jupyter.models import PipelineRun, StepResult, Sweep, SweepRun
from mlops_jupyter.pipelines import junit, summary
from mlops_jupyter.pipelines.failures import Failure, find
from mlops_jupyter.pipelines.reports import Reports

pytest_plugins = ("pipelines_fixtures",)

STEPS = [
    StepResult("load", "cached", 0.01, "nothing it reads changed"),
    StepResult("clean", "ran", 1.2345, "its code changed"),
    StepResult("fit", "failed", 0.5, "cell 6: ValueError: no 2", attempts=3),
    StepResult("report", "skipped", None, "an earlier step failed"),
]
RUN = PipelineRun(
    "x1", "abc", "deep/train.ipynb", "failed", "2026-01-31T12:00:00.123Z", 2.5,
    "executed/train-x1.ipynb", STEPS, {"rows": 3, "token": "***"},
    "step fit, cell 6: ValueError: no 2",
)  # fmt: skip
FAILURE = Failure(
    "fit", 6, "ValueError: no 2", ("---> 1 raise ValueError('no 2')", "", "ValueError: no 2")
)


# --- JUnit XML --------------------------------------------------------------------------------

#: What Jenkins' junit-10.xsd and Surefire's report schema 3.0 both allow: attributes (those with *
#: must be there), and children in this order.
SHAPES = {
    "testsuites": ("name time tests failures errors", "testsuite"),
    "testsuite": ("name* time tests* failures* errors* skipped*", "properties testcase"),
    "properties": ("", "property"),
    "property": ("name* value*", ""),
    "testcase": (
        "name* classname time*",
        "failure skipped error system-out system-err",
    ),
    "failure": ("message type*", ""),
    "skipped": ("message", ""),
    "error": ("message type*", ""),
    "system-out": ("", ""),
    "system-err": ("", ""),
}
TIME = re.compile(r"\d{1,3}\.\d{3}|\d+\.\d{3}")


def checked(text: str) -> ElementTree.Element:
    """The document, which has the common shape and counts what is in it."""
    root = ElementTree.fromstring(text.encode())
    assert root.tag == "testsuites"
    for element in root.iter():
        attributes, children = (part.split() for part in SHAPES[element.tag])
        assert set(element.attrib) <= {name.rstrip("*") for name in attributes}
        assert {name[:-1] for name in attributes if name.endswith("*")} <= set(element.attrib)
        order = [children.index(child.tag) for child in element]
        assert order == sorted(order)
        assert TIME.fullmatch(element.get("time", "0.000"))
        if children:
            assert not (element.text or "").strip()
    for suite in root:
        for name, path in (("tests", ""), ("failures", "/failure"), ("errors", "/error")):
            assert int(suite.attrib[name]) == len(suite.findall(f"testcase{path}"))
            assert int(root.attrib[name]) == len(root.findall(f"testsuite/testcase{path}"))
        assert int(suite.attrib["skipped"]) == len(suite.findall("testcase/skipped"))
    return root


def test_a_failed_run():
    root = checked(junit.document([(RUN, FAILURE)]))
    (suite,) = root
    assert suite.attrib == {
        "name": "deep/train.ipynb", "time": "2.500",
        "tests": "4", "failures": "1", "errors": "0", "skipped": "1",
    }  # fmt: skip
    cases = {case.get("name"): case for case in suite.findall("testcase")}
    assert {case.get("classname") for case in cases.values()} == {"deep.train"}
    assert cases["load"].findtext("system-out") == "cached: nothing it reads changed"
    assert list(cases["clean"]) == [] and cases["clean"].get("time") == "1.234"
    failure = cases["fit"].find("failure")
    assert failure.attrib == {"type": "ValueError", "message": "cell 6: ValueError: no 2"}
    assert failure.text.splitlines()[1] == "---> 1 raise ValueError('no 2')"
    assert cases["fit"].findtext("system-err") == "3 attempts"
    assert cases["report"].find("skipped").get("message") == "an earlier step failed"
    facts = {p.get("name"): p.get("value") for p in suite.iter("property")}
    assert facts["output"] == "executed/train-x1.ipynb"
    assert (facts["parameter.rows"], facts["parameter.token"]) == ("3", "***")


def test_a_run_that_did_not_end_well_is_never_green():
    steps = [StepResult("a", "ran", 1.0), StepResult("b", "failed", 1.0, "the run was cancelled")]
    for status, error in (("cancelled", "the run was cancelled"), ("running", None)):
        for some in (steps, steps[:1], []):
            run = PipelineRun("x", None, "n.ipynb", status, "", 2.0, "", some, error=error)
            root = checked(junit.document([(run, None)]))
            assert root.get("errors") == "1" and root.get("failures") == "0"
    run = PipelineRun("x", None, "n.ipynb", "failed", "", 2.0, "", steps[:1], error="disk full")
    root = checked(junit.document([(run, None)]))
    assert root.find(".//error").get("message") == "disk full"
    good = PipelineRun("x", None, "n.ipynb", "succeeded", "", 2.0, "", [])
    assert checked(junit.document([(good, None)])).get("errors") == "0"


def test_a_notebook_that_could_not_start():
    error = InvalidInput("n.ipynb, cell 2, line 1: it is not Python.", hint="Correct it.")
    root = checked(junit.broken("n.ipynb", error))
    found = root.find(".//error")
    assert found.get("type") == "InvalidInput"
    assert found.get("message") == "n.ipynb, cell 2, line 1: it is not Python."
    assert found.text.endswith("Correct it.")


def test_several_runs_are_told_apart():
    runs = [
        PipelineRun(f"x-{n}", None, "n.ipynb", "succeeded", "", 1.0, "", [], {"a": n, "b": 0})
        for n in (1, 2)
    ]
    root = checked(junit.document([(run, None) for run in runs]))
    assert [suite.get("name") for suite in root] == ["n.ipynb [a=1]", "n.ipynb [a=2]"]
    assert root.get("time") == "2.000"


@given(st.text(), st.text(), st.sampled_from(["ran", "cached", "failed", "skipped", "pending"]))
def test_any_text_makes_a_valid_document(name, reason, status):
    reason = f"\x1b[31m{reason}\x1b[0m"
    run = PipelineRun("x", None, f"{name}.ipynb", "failed", "", 1.0, "",
                      [StepResult(name, status, None, reason)], {name: reason}, reason)  # fmt: skip
    text = junit.document([(run, Failure(name, None, reason, (reason,)))])
    checked(text)
    assert "\x1b" not in text


# --- Markdown ---------------------------------------------------------------------------------


def test_markdown():
    text = summary.markdown(RUN, FAILURE)
    assert text.startswith("### ❌ deep/train.ipynb: failed in 2.50 s\n")
    assert "| token | \\*\\*\\* |" in text
    assert "| load | ♻️ cached | 0.01 s | nothing it reads changed |" in text
    assert "| fit | ❌ failed | 0.50 s | 3 attempts; cell 6: ValueError: no 2 |" in text
    assert "**Error in step fit, cell 6**\n\n```text\n---> 1 raise" in text
    assert text.endswith("Executed notebook: executed/train-x1.ipynb\n\nMLflow run: abc\n")


def test_markdown_cannot_be_broken_out_of():
    nasty = "a | b\n```\n# head <script> `x` [l](u)"
    steps = [StepResult(nasty, "failed", 1.0, nasty)]
    run = PipelineRun("x", None, "n.ipynb", "failed", "", 1.0, "", steps, {"p": nasty}, nasty)
    text = summary.markdown(run, Failure(nasty, 1, nasty, tuple(nasty.splitlines())))
    before, fence, rest = text.partition("\n````text\n")
    assert fence and "<script>" not in before.replace("\\<script\\>", "")
    rows = [line for line in before.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {3, 5}
    assert not any(line.startswith("#") for line in before.splitlines()[1:])
    inside, closing, _ = rest.partition("\n````\n")
    assert closing and "```" in inside


def test_a_sweep_in_markdown():
    runs = [
        SweepRun(2, {"a": 0.3}, "s-2", "r2", "succeeded", 1.0, 1, 3, "o2", {"score": 0.91}),
        SweepRun(1, {"a": 0.1}, "s-1", "r1", "failed", 2.0, 1, 2, "o1", {}, "step x, cell 1: E"),
    ]
    text = summary.sweep(Sweep("s", "p", "n.ipynb", "cancelled", "", 3.0, 5, runs, "score"))
    assert "| Run | a | Status | Time | Ran / cached | score |" in text
    assert "| 2 | 0.3 | ✅ succeeded | 1.00 s | 1 / 3 | 0.91 | o2 |" in text
    assert "| 1 | 0.1 | ❌ failed | 2.00 s | 1 / 2 |  | step x, cell 1: E |" in text
    assert "3 of 5 did not run." in text


def test_appending_respects_the_limit(tmp_path):
    file = tmp_path / "step.md"
    assert summary.append("one\n", file, limit=200)
    assert summary.append("two\n", file, limit=200)
    assert file.read_text() == "one\n\ntwo\n"
    long = summary.markdown(RUN, FAILURE)
    assert not summary.append(long, file, limit=200)
    text = file.read_text()
    assert text.startswith("one\n\ntwo\n\n### ❌ deep") and len(text.encode()) <= 200
    assert text.endswith("(cut: the summary is too long)\n")
    assert not summary.append(long, file, limit=200)
    assert file.read_text() == text

    fenced = tmp_path / "fenced.md"
    assert not summary.append(long, fenced, limit=len(long.encode()) - 20)
    assert fenced.read_text().count("```") % 2 == 0


@given(st.integers(40, 1200))
def test_a_summary_cut_anywhere_is_whole(tmp_path_factory, limit):
    file = tmp_path_factory.mktemp("cut") / "s.md"
    summary.append(summary.markdown(RUN, FAILURE), file, limit=limit)
    text = file.read_bytes().decode()
    assert len(text.encode()) <= limit
    assert text.count("```") % 2 == 0


# --- why it failed ----------------------------------------------------------------------------


def test_a_failure_without_a_notebook(tmp_path):
    found = find(RUN, tmp_path / "none.ipynb")
    assert found == Failure("fit", 6, "ValueError: no 2")
    assert (found.where, found.kind) == ("step fit, cell 6", "ValueError")
    died = [StepResult("a", "failed", 1.0, "the runner died")]
    run = PipelineRun("x", None, "n.ipynb", "cancelled", "", None, "", died)
    found = find(run, tmp_path)
    assert (found.where, found.error, found.kind) == ("step a", "the runner died", "StepFailed")
    assert find(PipelineRun("x", None, "n.ipynb", "running", "", None, "", []), tmp_path) is None


# --- the files --------------------------------------------------------------------------------


def test_files_that_cannot_be_written_are_refused_first(workspace):
    path = save(workspace.root / "n.ipynb", "1")
    (workspace.root / "folder").mkdir()
    (workspace.root / "file").touch()
    os.mkfifo(workspace.root / "pipe")
    for options, kind in (
        ({"junit": Path("folder")}, InvalidInput),
        ({"junit": Path("n.ipynb")}, InvalidInput),
        ({"summary": Path("out.ipynb")}, InvalidInput),
        ({"junit": Path("same"), "summary": Path("folder/../same")}, InvalidInput),
        ({"summary": Path("pipe")}, InvalidInput),
        ({"junit": Path("file/r.xml")}, InvalidInput),
        ({"junit": Path("file/deep/r.xml")}, Unavailable),
    ):
        places = {name: workspace.root / value for name, value in options.items()}
        with pytest.raises(kind) as caught:
            Reports(workspace, path, output=workspace.root / "out.ipynb", **places).__enter__()
        assert str(workspace.root) not in str(caught.value)
    assert not (workspace.root / "same").exists()


def test_what_is_not_asked_for_is_no_reason_to_fail(workspace):
    path = save(workspace.root / "n.ipynb", "1")
    environ = {"GITHUB_STEP_SUMMARY": str(workspace.root / "none" / "step.md")}
    with Reports(workspace, path, environ=environ) as reports:
        reports(RUN)
    (note,) = reports.notes
    assert note.startswith("GITHUB_STEP_SUMMARY: Cannot write step.md")


CELLS = (
    ("parameters", "rows = 2"),
    "## Load",
    "xs = list(range(rows))",
    "## Fit",
    "def fit(n):\n    raise ValueError(f'no [bold]{n}[/]')",
    "fit(rows)",
    "## Report",
    "1",
)


@pytest.mark.slow
def test_a_run_in_ci(ready):
    save(ready.root / "n.ipynb", *CELLS)
    step = ready.root / "step.md"
    step.write_text("### Before\n")
    done = mlops(
        "run", "n.ipynb", "-p", "rows", "3", "--junit", "reports/deep/r.xml", "--summary", "s.md",
        cwd=ready.root, code=1, GITHUB_STEP_SUMMARY=str(step),
    )  # fmt: skip
    root = checked((ready.root / "reports" / "deep" / "r.xml").read_text())
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert list(cases) == ["parameters", "load", "fit", "report"]
    assert "ValueError: no [bold]3[/]" in cases["fit"].find("failure").text
    assert "----> 1 fit(rows)" in cases["fit"].find("failure").text
    assert cases["report"].find("skipped") is not None
    text = (ready.root / "s.md").read_text()
    assert "**Error in step fit, cell 6**" in text and "----> 1 fit(rows)" in text
    assert step.read_text() == "### Before\n\n" + text
    assert str(ready.root) not in text

    said = done.stderr.splitlines()
    assert re.fullmatch(r"load +ran +\d+\.\d\d s.*", said[1])
    assert re.fullmatch(r"fit +failed +\d+\.\d\d s  cell 6: ValueError: no \[bold\]3\[/\]", said[2])
    block = done.stderr.partition("Failed: step fit, cell 6\n")[2]
    assert block.strip().splitlines()[-1].strip() == "ValueError: no [bold]3[/]"
    assert done.stderr.count("Failed: ") == 1


@pytest.mark.slow
def test_a_good_run_replaces_the_reports_and_adds_to_githubs(ready):
    save(ready.root / "n.ipynb", "# A", "1", "## B", "2")
    for name in ("r.xml", "s.md"):
        (ready.root / name).write_text("before")
    for _ in range(2):
        mlops("run", "n.ipynb", "--junit", "r.xml", "--summary", "s.md", "--json",
              cwd=ready.root, GITHUB_STEP_SUMMARY=str(ready.root / "step.md"))  # fmt: skip
    root = checked((ready.root / "r.xml").read_text())
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("2", "0", "0")
    assert (ready.root / "s.md").read_text().startswith("### ✅ n.ipynb: succeeded in ")
    assert (ready.root / "step.md").read_text().count("### ✅ n.ipynb: succeeded in ") == 2


def test_a_notebook_that_cannot_start_leaves_reports(tmp_path):
    save(tmp_path / "n.ipynb", "1", "x = = 2")
    line = complaint(
        mlops("run", "n.ipynb", "--junit", "r.xml", "--summary", "s.md", cwd=tmp_path, code=2)
    )
    assert "n.ipynb, cell 2, line 1" in line
    assert "n.ipynb, cell 2, line 1" in checked((tmp_path / "r.xml").read_text()).find(
        ".//error"
    ).get("message")
    assert "n.ipynb, cell 2, line 1" in (tmp_path / "s.md").read_text()


def test_a_wrong_request_leaves_nothing(tmp_path):
    save(tmp_path / "n.ipynb", ("parameters", "rows: int = 1"), "open('ran', 'w')")
    for options in (["-p", "rows", "many"], ["-p", "row", "1"], ["--executor", "moon"]):
        complaint(mlops("run", "n.ipynb", *options, "--junit", "r.xml", cwd=tmp_path, code=2))
    (tmp_path / "file").touch()
    line = complaint(mlops("run", "n.ipynb", "--junit", "file/r.xml", cwd=tmp_path, code=2))
    assert "'r.xml' cannot be in 'file', which is a file" in line
    line = complaint(mlops("run", "n.ipynb", "--summary", ".", cwd=tmp_path, code=2))
    assert "is not a file" in line
    assert not {"ran", "r.xml"} & set(os.listdir(tmp_path))


@pytest.mark.slow
def test_a_run_that_is_stopped_leaves_reports(ready, until):
    save(ready.root / "n.ipynb", "# A", "1", "# B",
         "import time\nopen('asleep', 'w')\ntime.sleep(600)", "# C", "2")  # fmt: skip
    start = "from mlops_jupyter.cli import main; main()"
    process = python(start, "run", "n.ipynb", "--junit", "r.xml", cwd=ready.root)
    until((ready.root / "asleep").exists, 120)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    root = checked((ready.root / "r.xml").read_text())
    tags = {case.get("name"): [child.tag for child in case] for case in root.iter("testcase")}
    assert tags == {"a": [], "b": ["error"], "c": ["skipped"]}
