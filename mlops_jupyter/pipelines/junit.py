"""Pipeline runs as JUnit XML, as Jenkins (``junit-10.xsd``) and Surefire 3 have it: a test suite
per run, a test case per step.

A step that ran or came from the cache passed (the latter says so in ``system-out``), one that
raised is a ``failure``, one that was interrupted an ``error``, one that never ran is ``skipped``
with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from ..errors import MLOpsError
from ..models import PipelineRun, StepResult
from ..redaction import plain
from .failures import Failure

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_RUN = "it did not run"


def document(runs: Sequence[tuple[PipelineRun, Failure | None]]) -> str:
    """The report of ``runs``, each with its failure.

    With more than one, each suite's name says which of the parameters that differ it had.
    """
    varying = _varying([run for run, _ in runs])
    return _report([_suite(run, failure, varying) for run, failure in runs])


def broken(notebook: str, error: MLOpsError) -> str:
    """The report of a notebook that could not start: one test case, one error."""
    suite = Element("testsuite", name=_clean(notebook))
    case = _case(suite, notebook, PurePosixPath(notebook).name, None)
    _put(case, "error", str(error), type=error.code, message=error.message)
    return _report([suite])


def _report(suites: Iterable[Element]) -> str:
    root = Element("testsuites", name="mlops")
    totals = dict.fromkeys(("tests", "failures", "errors"), 0)
    seconds = 0.0
    for suite in suites:
        counts = {
            "tests": len(suite.findall("testcase")),
            "failures": len(suite.findall("testcase/failure")),
            "errors": len(suite.findall("testcase/error")),
            "skipped": len(suite.findall("testcase/skipped")),
        }
        suite.attrib.update({name: str(count) for name, count in counts.items()})
        suite.attrib.setdefault("time", _time(None))
        seconds += float(suite.attrib["time"])
        for name in totals:
            totals[name] += counts[name]
        root.append(suite)
    root.attrib.update({name: str(count) for name, count in totals.items()})
    root.set("time", _time(seconds))
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _suite(run: PipelineRun, failure: Failure | None, varying: Sequence[str]) -> Element:
    chosen = ", ".join(f"{name}={run.parameters.get(name)}" for name in varying)
    name = f"{run.notebook} [{chosen}]" if chosen else run.notebook
    suite = Element("testsuite", name=_clean(name), time=_time(run.seconds))
    properties = SubElement(suite, "properties")
    facts = {
        "id": run.id,
        "run_id": run.run_id,
        "status": run.status,
        "started": run.started,
        "output": run.output,
        **{f"parameter.{name}": value for name, value in run.parameters.items()},
    }
    for key, value in facts.items():
        if value is not None:
            SubElement(properties, "property", name=_clean(key), value=_clean(str(value)))
    for step in run.steps:
        _step(suite, run, step, failure)
    if run.status != "succeeded" and suite.find("testcase/failure") is None:
        _unfinished(suite, run)
    return suite


def _step(suite: Element, run: PipelineRun, step: StepResult, failure: Failure | None) -> None:
    case = _case(suite, run.notebook, step.name, step.seconds)
    if step.status == "failed":
        ours = failure if failure is not None and failure.step == step.name else None
        kind = "failure" if run.status == "failed" else "error"
        text = "\n".join([step.reason, *(ours.trace if ours else ())])
        name = ours.kind if ours else "StepFailed"
        _put(case, kind, text, type=name, message=step.reason)
    elif step.status == "cached":
        _put(case, "system-out", f"cached: {step.reason}" if step.reason else "cached")
    elif step.status != "ran":
        _put(case, "skipped", "", message=step.reason or _NOT_RUN)
    if step.attempts > 1:
        _put(case, "system-err", f"{step.attempts} attempts")


def _unfinished(suite: Element, run: PipelineRun) -> None:
    """A run that did not succeed though no step raised has a case of its own that says why."""
    if suite.find("testcase/error") is None:
        case = _case(suite, run.notebook, PurePosixPath(run.notebook).name, None)
        reason = run.error or f"the run is {run.status}"
        _put(case, "error", reason, type="PipelineRun", message=reason)


def _case(suite: Element, notebook: str, name: str, seconds: float | None) -> Element:
    group = PurePosixPath(notebook).with_suffix("").as_posix().strip("/").replace("/", ".")
    return SubElement(
        suite, "testcase", name=_clean(name), classname=_clean(group), time=_time(seconds)
    )


def _put(case: Element, tag: str, text: str, **attributes: str) -> None:
    made = SubElement(case, tag, {name: _clean(value) for name, value in attributes.items()})
    made.text = _clean(text)


def _varying(runs: Sequence[PipelineRun]) -> list[str]:
    names = dict.fromkeys(name for run in runs for name in run.parameters)
    return [name for name in names if len({repr(run.parameters.get(name)) for run in runs}) > 1]


def _time(seconds: float | None) -> str:
    return f"{seconds or 0.0:.3f}"


def _clean(text: str) -> str:
    """What XML may hold, without terminal colours."""
    return _ILLEGAL.sub("�", plain(text))
