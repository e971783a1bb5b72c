"""How results look in a terminal: columns for lists, a few lines for single things."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.markup import escape

from ..models import (
    Alert,
    AuditEntry,
    AuditVerdict,
    CacheEntry,
    CacheSummary,
    ColumnDrift,
    DebugNotebook,
    Deployment,
    Doctor,
    LabelsAdded,
    Logs,
    Model,
    ModelVersion,
    Monitor,
    Parameter,
    Pipeline,
    PipelineRun,
    Project,
    Promotion,
    Report,
    Run,
    RunDetail,
    StepInputs,
    StepResult,
    Sweep,
    Tour,
    Verification,
)
from ._steps import step_lines
from ._text import clock, coloured, figures, number, seconds, table, text

Columns = dict[str, Callable[[Any], Any]]


def failed(result: Any) -> bool:
    """Whether the work behind ``result`` did not succeed (exit code 1)."""
    if isinstance(result, PipelineRun | Sweep):
        return result.status != "succeeded"
    if isinstance(result, Report):
        return result.status != "ok"
    if isinstance(result, AuditVerdict | Doctor):
        return bool(result.problems)
    if isinstance(result, Verification):
        return not result.equal
    return False


def render(console: Console, result: Any) -> None:
    """Show a command's result: a dataclass, or a list of one kind."""
    if isinstance(result, list):
        rows(console, result)
    elif type(result) in _SINGLE:
        _SINGLE[type(result)](console, result)
    else:
        rows(console, [result])


def rows(console: Console, found: list[Any]) -> None:
    """Show a list of one kind as a table."""
    if not found:
        console.print("Nothing yet.")
        return
    columns = _COLUMNS[type(found[0])]
    table(console, columns, ([get(item) for get in columns.values()] for item in found))


_COLUMNS: dict[type, Columns] = {
    Run: {
        "RUN": lambda run: run.run_id,
        "NAME": lambda run: text(run.name),
        "KIND": lambda run: run.kind,
        "STATUS": lambda run: coloured(run.status),
        "STARTED (UTC)": lambda run: clock(run.started),
        "METRICS": lambda run: figures(run.metrics),
    },
    PipelineRun: {
        "RUN": lambda run: text(run.run_id),
        "NOTEBOOK": lambda run: text(run.notebook),
        "STATUS": lambda run: coloured(run.status),
        "STARTED (UTC)": lambda run: clock(run.started),
        ">TIME": lambda run: seconds(run.seconds),
        ">STEPS": lambda run: len(run.steps),
    },
    Parameter: {
        "PARAMETER": lambda item: text(item.name),
        "TYPE": lambda item: text(item.type),
        "DEFAULT": lambda item: text(item.default),
        "HELP": lambda item: text(item.help),
    },
    StepResult: {
        "STEP": lambda step: text(step.name),
        "STATUS": lambda step: coloured(step.status),
        ">TIME": lambda step: seconds(step.seconds),
        "": lambda step: escape(step.reason),
    },
    Model: {
        "MODEL": lambda model: text(model.name),
        ">VERSIONS": lambda model: len(model.versions),
        "CHAMPION": lambda model: text(model.champion),
        "NEWEST (UTC)": lambda model: clock(model.versions[0].created if model.versions else None),
    },
    ModelVersion: {
        ">VERSION": lambda item: item.version,
        "ALIASES": lambda item: text(", ".join(item.aliases)),
        "STATUS": lambda item: item.status.lower(),
        "RUN": lambda item: text(item.run_id),
        "METRICS": lambda item: figures(item.metrics),
    },
    Deployment: {
        "DEPLOYMENT": lambda item: text(item.name),
        "STATUS": lambda item: coloured(item.status),
        "MODEL": lambda item: text(f"{item.model}@{item.alias}" if item.alias else item.model),
        ">VERSION": lambda item: ", ".join(served.version for served in item.versions) or "-",
        "URL": lambda item: text(item.url),
        ">REQUESTS": lambda item: item.requests,
        ">ERRORS": lambda item: item.errors,
        ">P50 MS": lambda item: number(item.p50_ms, 3),
        ">P99 MS": lambda item: number(item.p99_ms, 3),
        "": lambda item: escape(item.error or ""),
    },
    Monitor: {
        "MONITOR": lambda item: text(item.name),
        "DEPLOYMENT": lambda item: text(item.deployment),
        "STATUS": lambda item: coloured(item.last_status),
        "CHECKED (UTC)": lambda item: clock(item.last_checked),
        "REFERENCE": lambda item: text(item.reference),
        "RETRAINS": lambda item: text(item.retrain),
    },
    ColumnDrift: {
        "COLUMN": lambda item: text(item.column),
        "STATISTIC": lambda item: item.statistic,
        ">VALUE": lambda item: number(item.value),
        ">P VALUE": lambda item: number(item.p_value, 3),
        ">THRESHOLD": lambda item: number(item.threshold, 3),
        "": lambda item: coloured("drift") if item.drift else "",
    },
    Report: {
        "CHECKED (UTC)": lambda item: clock(item.created),
        "MONITOR": lambda item: text(item.monitor),
        "STATUS": lambda item: coloured(item.status),
        ">DRIFTED": lambda item: f"{item.drifted_share:.0%}",
        ">ROWS": lambda item: item.rows_current,
        "ALERT": lambda item: text(item.alert),
    },
    Alert: {
        "ALERT": lambda item: item.id,
        "MONITOR": lambda item: text(item.monitor),
        "STATUS": lambda item: coloured(item.status),
        "SEVERITY": lambda item: item.severity,
        "RAISED (UTC)": lambda item: clock(item.raised),
        "SUMMARY": lambda item: text(item.summary),
    },
    AuditEntry: {
        ">NO": lambda item: item.number,
        "TIME (UTC)": lambda item: clock(item.time),
        "WHO": lambda item: text(item.actor),
        "ACTION": lambda item: item.action,
        "SUBJECT": lambda item: text(item.subject),
        "DIGEST": lambda item: item.digest[:12],
    },
    CacheEntry: {
        "STEP": lambda item: text(item.step),
        "NOTEBOOK": lambda item: text(item.notebook),
        "CREATED (UTC)": lambda item: clock(item.created),
        "USED (UTC)": lambda item: clock(item.used),
        ">TOOK": lambda item: seconds(item.seconds),
        ">SIZE": lambda item: _size(item.size),
    },
}


def _run(console: Console, run: RunDetail) -> None:
    console.print(f"[bold]{text(run.name)}[/]  {coloured(run.status)}  {run.run_id}")
    console.print(f"{run.kind} of {text(run.notebook)}, started {clock(run.started)} UTC")
    for title, values in (("PARAMETER", run.parameters), ("METRIC", run.metrics)):
        if values:
            console.print()
            table(console, (title, "VALUE"), ((text(k), text(v)) for k, v in values.items()))
    console.print()
    for data in run.data:
        console.print(f"Data {data.role}: {data.rows} x {len(data.columns)}, {data.digest}")
    console.print(f"{len(run.cells)} cells in its journal")
    for line in run.reproducibility:
        console.print(f"[yellow]![/] {escape(line)}")


def _pipeline(console: Console, pipeline: Pipeline) -> None:
    console.print(f"[bold]{text(pipeline.notebook)}[/]\n")
    if pipeline.parameters:
        rows(console, pipeline.parameters)
        console.print()
    if pipeline.steps:
        lines = (line for step in pipeline.steps for line in step_lines(step))
        table(console, ("STEP", "CELLS", "NEEDS", "WHY"), lines)
    else:
        console.print("No code, no steps.")


def _pipeline_run(console: Console, run: PipelineRun) -> None:
    rows(console, run.steps)
    console.print(f"{coloured(run.status)} in {seconds(run.seconds)}, run {text(run.run_id)}")
    if run.error:
        console.print(f"[red]{escape(run.error)}[/]")
    console.print(f"Executed notebook: {text(run.output)}")
    name = escape(shlex.quote(run.notebook))
    if any(step.status == "failed" for step in run.steps):
        console.print(f"Debug it: mlops pipeline debug {name}")
    if run.status in ("failed", "cancelled"):
        console.print(f"Resume: mlops pipeline resume {name}")


def _debug_notebook(console: Console, made: DebugNotebook) -> None:
    console.print(f"Step [bold]{text(made.step)}[/] of {text(made.notebook)}, run {made.run}")
    if made.error:
        console.print(f"[red]{escape(made.error)}[/]")
    console.print(f"Open {text(made.output)} and run its first cell.")


def _step_inputs(console: Console, inputs: StepInputs) -> None:
    console.print(f"This kernel is as it was before step {text(inputs.step)} of run {inputs.run}.")
    console.print(f"Names: {text(', '.join(inputs.names))}")
    if inputs.again:
        console.print(f"Ran again: {text(', '.join(inputs.again))}")
    for name, why in inputs.without.items():
        console.print(f"Left out: {text(name)}, which the step does not need ({escape(why)})")
    for note in inputs.notes:
        console.print(f"[yellow]![/] {escape(note)}")


def _sweep(console: Console, sweep: Sweep) -> None:
    names = list(dict.fromkeys(name for run in sweep.runs for name in run.parameters))
    metrics = list(dict.fromkeys(name for run in sweep.runs for name in run.metrics))
    metrics.sort(key=lambda name: name != sweep.metric)
    heads = [">NO", *names, "STATUS", ">TIME", ">RAN", ">CACHED", *(f">{m}" for m in metrics), ""]
    table(
        console,
        heads,
        (
            (
                run.number,
                *(text(run.parameters.get(name)) for name in names),
                coloured(run.status),
                seconds(run.seconds),
                run.ran,
                run.cached,
                *(number(run.metrics.get(name)) for name in metrics),
                escape(run.error or ""),
            )
            for run in sweep.runs
        ),
    )
    best = {"max": "highest", "min": "lowest"}[sweep.order]
    ranked = f", {best} {text(sweep.metric)} first" if sweep.metric else ""
    console.print(
        f"{coloured(sweep.status)} in {seconds(sweep.seconds)}, {len(sweep.runs)} of "
        f"{sweep.total} runs{ranked}, run {text(sweep.run_id)}"
    )
    for run in sweep.runs[:1]:
        console.print(f"Executed notebook of run {run.number}: {text(run.output)}")


def _promotion(console: Console, promotion: Promotion) -> None:
    for check in promotion.checks:
        mark = coloured("passed" if check.passed else "refused")
        console.print(f"{mark} {escape(check.name)}: {escape(check.detail)}")
    if promotion.passed:
        before = f" (was {promotion.previous})" if promotion.previous else ""
        name = f"{promotion.model} @{promotion.alias}"
        console.print(f"{escape(name)} is now version {promotion.version}{before}")


def _report(console: Console, report: Report) -> None:
    rows(console, report.columns)
    console.print(
        f"{coloured(report.status)}: {report.drifted_share:.0%} of {len(report.columns)} columns "
        f"drifted; {report.rows_current} rows against {report.rows_reference}"
    )
    for finding in report.findings:
        console.print(f"[yellow]![/] {escape(finding)}")
    if report.alert:
        console.print(f"Alert {report.alert}")


def _verification(console: Console, result: Verification) -> None:
    from ..pipelines.verify import report

    console.print(report(result), highlight=False, markup=False)


def _verdict(console: Console, result: AuditVerdict | Doctor) -> None:
    for line in result.facts:
        console.print(escape(line))
    for line in result.problems:
        console.print(f"[red]![/] {escape(line)}")
    if not result.problems:
        console.print("[green]All is well.[/]")


def _labels(console: Console, added: LabelsAdded) -> None:
    console.print(
        f"{added.matched} labels matched, {added.unknown} for requests not seen yet, "
        f"{added.corrected} corrected; {added.coverage:.0%} of the records have a label"
    )


def _size(count: float) -> str:
    """Bytes with the unit that suits them."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _cached(entries: list[CacheEntry]) -> str:
    return f"{len(entries)} cached step{'s' if len(entries) != 1 else ''}"


def _cache(console: Console, cache: CacheSummary) -> None:
    if cache.freed is not None:
        would = "Would remove" if cache.dry_run else "Removed"
        console.print(f"{would} {_cached(cache.removed)}: {_size(cache.freed)}")
    elif cache.entries:
        rows(console, cache.entries)
    console.print(f"{_cached(cache.entries)}, {_size(cache.size)} in {text(cache.url)}")


def _project(console: Console, project: Project) -> None:
    for file in project.files:
        console.print(f"  {escape(file)}")
    console.print(f"Next: cd {escape(project.folder)} && {escape(project.next)}")


def _tour(console: Console, tour: Tour) -> None:
    run, again, now = tour.run, tour.retraining, tour.deployment
    console.print()
    rows(console, run.steps)
    console.print()
    rows(console, tour.report.columns)
    console.print()
    facts = {
        "Run": f"{run.run_id}, {len(run.steps)} steps in {seconds(run.seconds)}",
        "Model": f"{tour.model} version {tour.version}, @champion through its gate",
        "URL": now.url,
        "Prediction": f"row {tour.prediction.row}: {tour.prediction.label}, from version "
        f"{tour.prediction.version} in {tour.prediction.latency_ms:.1f} ms",
        "Alert": f"{tour.alert.id}, {tour.alert.status}: {tour.alert.summary}",
        "Retrained": f"{again.run_id}, {len(again.steps)} steps in {seconds(again.seconds)}",
        "New version": f"{tour.new_version}; {tour.promotion.checks[-1].name}: "
        f"{tour.promotion.checks[-1].detail}",
        "Served now": f"version {', '.join(served.version for served in now.versions)}",
    }
    table(console, ("", ""), ((f"[bold]{name}[/]", text(fact)) for name, fact in facts.items()))
    console.print(f"\nDone in {seconds(tour.seconds)}. The endpoint stays up. Next:")
    for line in tour.next:
        console.print(f"  {escape(line)}")


_SINGLE: dict[type, Callable[[Console, Any], None]] = {
    AuditVerdict: _verdict,
    Verification: _verification,
    CacheSummary: _cache,
    DebugNotebook: _debug_notebook,
    Doctor: _verdict,
    LabelsAdded: _labels,
    Logs: lambda console, logs: console.print(logs.text, markup=False),
    Model: lambda console, model: rows(console, model.versions),
    Pipeline: _pipeline,
    PipelineRun: _pipeline_run,
    Project: _project,
    Promotion: _promotion,
    Report: _report,
    RunDetail: _run,
    StepInputs: _step_inputs,
    Sweep: _sweep,
    Tour: _tour,
}
