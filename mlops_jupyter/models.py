"""Everything that crosses a wire or a layer: frozen dataclasses, and how they become JSON.

The TypeScript interfaces in ``labextension/src/models.ts`` mirror this module; the contract
test keeps both the same. Times are ISO 8601 strings in UTC, durations are seconds unless the
name ends in ``_ms``. Optional values are ``None`` (``null``), never left out. Fields may be
added; those that exist keep their names and types.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, Literal

Scalar = str | int | float | bool | None

RunStatus = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]
StepStatus = Literal["pending", "running", "ran", "cached", "failed", "skipped"]
PipelineStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]
DeploymentStatus = Literal["starting", "ready", "failed", "stopped"]
ReportStatus = Literal["ok", "drift", "invalid"]
AlertStatus = Literal["open", "acknowledged", "resolved"]
Severity = Literal["warning", "critical"]
Noun = Literal["runs", "models", "pipelines", "deployments", "monitors", "alerts"]


# --- runs -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """One experiment run; ``run_id`` is MLflow's."""

    run_id: str
    name: str
    experiment: str
    status: RunStatus
    started: str
    ended: str | None
    parameters: dict[str, str]
    metrics: dict[str, float]
    notebook: str | None
    kind: Literal["model", "pipeline", "step", "sweep", "run"] = "run"
    parent_id: str | None = None


@dataclass(frozen=True)
class Cell:
    """One executed cell as the journal has it."""

    number: int
    source: str
    status: Literal["ok", "error"]
    started: str
    seconds: float
    output: str
    error: str | None = None


@dataclass(frozen=True)
class Dataset:
    """The data that reached a fit: ``rows`` x ``columns``, and the digest of its full content."""

    role: str
    rows: int
    columns: list[str]
    digest: str


@dataclass(frozen=True)
class RunDetail(Run):
    """A run with all that explains it."""

    cells: list[Cell] = field(default_factory=list)
    data: list[Dataset] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    git: dict[str, str] = field(default_factory=dict)
    reproducibility: list[str] = field(default_factory=list)


# --- pipelines --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parameter:
    """A parameter that a notebook's ``parameters`` cell declares."""

    name: str
    type: str
    default: str
    help: str = ""


@dataclass(frozen=True)
class Need:
    """What a step takes from an earlier one; ``why`` are sentences for people."""

    step: str
    names: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    why: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Step:
    """A contiguous group of code cells that runs as a unit; ``cells`` are 0-based indices.

    ``cache``, ``retries`` and ``timeout`` (seconds) are what its cells' tags ask for; ``notes`` say
    what is special about it."""

    name: str
    cells: list[int]
    needs: list[Need] = field(default_factory=list)
    cache: bool = False
    retries: int = 0
    timeout: float | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Pipeline:
    """A notebook seen as steps."""

    notebook: str
    parameters: list[Parameter]
    steps: list[Step]


@dataclass(frozen=True)
class StepResult:
    """How one step of a pipeline run went."""

    name: str
    status: StepStatus
    seconds: float | None = None
    reason: str = ""
    run_id: str | None = None
    attempts: int = 1


@dataclass(frozen=True)
class PipelineRun:
    """One execution of a pipeline. ``id`` is ours and known before the run starts; ``run_id`` is
    MLflow's parent run. ``notebook`` and ``output`` are relative to the workspace where they can
    be. ``resumed`` is the id of the run that it continued."""

    id: str
    run_id: str | None
    notebook: str
    status: PipelineStatus
    started: str
    seconds: float | None
    output: str
    steps: list[StepResult]
    parameters: dict[str, Scalar] = field(default_factory=dict)
    error: str | None = None
    resumed: str | None = None


@dataclass(frozen=True)
class DebugNotebook:
    """A notebook whose first cell loads what the step ``step`` of the pipeline run ``run`` begins
    with, and whose other cells are the step's.

    ``notebook`` is what ran, ``output`` the new one. ``cell`` is the index in it of the cell that
    failed, and ``error`` why it did.
    """

    notebook: str
    run: str
    step: str
    output: str
    cell: int | None = None
    error: str | None = None


@dataclass(frozen=True)
class StepInputs:
    """What was loaded into a kernel so that a step can be run there by hand.

    ``names`` are the variables, ``again`` the steps that ran again because what they leave behind
    is in no cache; ``without`` says of names that were left out why. ``notes`` are lines about what
    may not be as it was.
    """

    run: str
    step: str
    names: list[str]
    again: list[str] = field(default_factory=list)
    without: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SweepRun:
    """One combination of a sweep and how its pipeline run went.

    ``number`` counts from 1 in the order of execution; ``id``, ``run_id``, ``status``, ``seconds``,
    ``output`` and ``error`` are the pipeline run's. ``parameters`` are those that the sweep varies,
    ``ran`` and ``cached`` count steps.
    """

    number: int
    parameters: dict[str, Scalar]
    id: str
    run_id: str | None
    status: PipelineStatus
    seconds: float | None
    ran: int
    cached: int
    output: str
    metrics: dict[str, float] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True)
class Sweep:
    """A notebook run with each of ``total`` combinations of parameters; ``run_id`` is MLflow's run
    above those of the pipeline runs.

    ``runs`` has those that ended, best first by ``metric`` (``order`` says what is best) if they
    have one, else in the order of execution; those that did not succeed come last.
    """

    id: str
    run_id: str | None
    notebook: str
    status: PipelineStatus
    started: str
    seconds: float | None
    total: int
    runs: list[SweepRun]
    metric: str | None = None
    order: Literal["max", "min"] = "max"


@dataclass(frozen=True)
class CellVerification:
    """A cell run both ways. ``index`` is 0-based; ``steady`` is false where two runs of the
    notebook itself differ, so that nothing can be said."""

    index: int
    equal: bool
    first_difference: str | None = None
    steady: bool = True


@dataclass(frozen=True)
class Finding:
    """A final variable or a written file that differs."""

    name: str
    first_difference: str
    steady: bool = True


@dataclass(frozen=True)
class Verification:
    """A notebook run both ways.

    ``equal`` does not count what is not steady. ``seconds_notebook``, ``seconds_pipeline`` and
    ``seconds_cached`` are the times of the plain run and of the pipeline, cold and from the cache.
    """

    notebook: str
    equal: bool
    cells: list[CellVerification]
    variables: list[Finding] = field(default_factory=list)
    files: list[Finding] = field(default_factory=list)
    seconds_notebook: float = 0.0
    seconds_pipeline: float = 0.0
    seconds_cached: float = 0.0


# --- registry and governance ------------------------------------------------------------------


@dataclass(frozen=True)
class ModelVersion:
    """One version of a registered model."""

    version: str
    aliases: list[str]
    run_id: str | None
    status: str
    created: str = ""
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """A registered model, newest version first."""

    name: str
    versions: list[ModelVersion]
    champion: str | None


@dataclass(frozen=True)
class GateCheck:
    """One check of a promotion gate with the figures it compared."""

    name: str
    passed: bool
    detail: str
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True)
class Promotion:
    """An alias that moved (or was refused)."""

    model: str
    version: str
    alias: str
    previous: str | None
    passed: bool
    checks: list[GateCheck]


@dataclass(frozen=True)
class AuditEntry:
    """One line of the append-only audit log; ``digest`` covers the line and ``previous``."""

    number: int
    time: str
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    previous: str
    digest: str


# --- deployments ------------------------------------------------------------------------------


@dataclass(frozen=True)
class ServedVersion:
    """A model version behind a deployment and its share of the traffic (0 to 1)."""

    version: str
    weight: float


@dataclass(frozen=True)
class Deployment:
    """A named, served model."""

    name: str
    url: str
    status: DeploymentStatus
    model: str
    versions: list[ServedVersion]
    alias: str | None
    requests: int = 0
    errors: int = 0
    p50_ms: float | None = None
    p99_ms: float | None = None
    target: str = "local"
    error: str | None = None


# --- monitoring -------------------------------------------------------------------------------


@dataclass(frozen=True)
class ColumnDrift:
    """Drift of one column."""

    column: str
    statistic: str
    value: float | None
    p_value: float | None
    threshold: float
    drift: bool


@dataclass(frozen=True)
class Report:
    """What a check found in a window of data against its reference."""

    status: ReportStatus
    rows_reference: int
    rows_current: int
    drifted_share: float
    columns: list[ColumnDrift]
    findings: list[str] = field(default_factory=list)
    monitor: str | None = None
    created: str = ""
    alert: str | None = None


@dataclass(frozen=True)
class Monitor:
    """Watches a deployment's records against a reference data file."""

    name: str
    deployment: str
    reference: str
    drift_share: float = 0.5
    retrain: str | None = None
    retrain_parameter: str | None = None
    last_status: ReportStatus | None = None
    last_checked: str | None = None


@dataclass(frozen=True)
class Alert:
    """Raised by a report; stays open until someone acknowledges it or a retraining resolves it."""

    id: str
    monitor: str
    raised: str
    severity: Severity
    summary: str
    status: AlertStatus


@dataclass(frozen=True)
class LabelsAdded:
    """What a labels file brought to a deployment's records.

    ``matched`` and ``unknown`` count the file's request ids with and without a record (the latter
    are kept: the record may come later), ``corrected`` those that had another label before.
    ``labelled`` of the deployment's ``records`` have a label now; ``coverage`` is their share (0 to
    1). ``label`` is the label's column name.
    """

    deployment: str
    label: str
    matched: int
    unknown: int
    corrected: int
    labelled: int
    records: int
    coverage: float


# --- what single commands answer --------------------------------------------------------------


@dataclass(frozen=True)
class AuditVerdict:
    """Whether the audit log is as it was written; no ``problems``: it is."""

    facts: list[str]
    problems: list[str]


@dataclass(frozen=True)
class Doctor:
    """What ``mlops doctor`` found out about this machine and workspace."""

    facts: list[str]
    problems: list[str]


@dataclass(frozen=True)
class Logs:
    """The last lines a deployment's process wrote."""

    name: str
    text: str


@dataclass(frozen=True)
class Project:
    """A project folder made from a template; ``files`` are relative to it."""

    folder: str
    template: str
    files: list[str]
    next: str


@dataclass(frozen=True)
class Prediction:
    """One answer of a deployment to one row."""

    row: int
    label: Scalar
    version: str
    latency_ms: float


@dataclass(frozen=True)
class Tour:
    """What the tour did, from the first run to the retrained model behind the same URL."""

    run: PipelineRun
    model: str
    version: str
    deployment: Deployment
    prediction: Prediction
    calm: Report
    report: Report
    alert: Alert
    retraining: PipelineRun
    promotion: Promotion
    new_version: str
    seconds: float
    next: list[str]


# --- bodies of requests under /mlops/api/ -----------------------------------------------------


@dataclass(frozen=True)
class PromoteRequest:
    """``POST models/<name>/promote``."""

    version: str
    alias: str = "champion"


@dataclass(frozen=True)
class PipelineRequest:
    """``POST pipelines/run``; ``notebook`` is relative to the server's folder."""

    notebook: str
    parameters: dict[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True)
class DeployRequest:
    """``POST deployments``: an ``alias`` to follow (``champion`` if neither is given) or a fixed
    ``version``."""

    model: str
    name: str
    alias: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class CheckRequest:
    """``POST monitors/<name>/check``: over the ``last`` records, or all since the last version
    change."""

    last: int | None = None


@dataclass(frozen=True)
class RegisterRequest:
    """``POST models``: the run's model becomes the next version of ``name``."""

    name: str
    run_id: str


@dataclass(frozen=True)
class MonitorRequest:
    """``POST monitors``; files are relative to the server's folder."""

    name: str
    deployment: str
    reference: str
    drift_share: float = 0.5
    retrain: str | None = None
    retrain_parameter: str | None = None


@dataclass(frozen=True)
class LabelsRequest:
    """``POST labels``: a file (CSV or Parquet) of ``request_id`` and one more column."""

    deployment: str
    file: str


@dataclass(frozen=True)
class EmptyRequest:
    """The body of requests that need none."""


# --- events and errors ------------------------------------------------------------------------


@dataclass(frozen=True)
class Event:
    """Something in the workspace changed: which kind of thing, which one, and how."""

    noun: Noun
    id: str
    change: str
    time: str


@dataclass(frozen=True)
class ErrorBody:
    """The body of every 4xx and 5xx answer under ``/mlops/api/``."""

    code: str
    message: str
    hint: str


# --- the cache of pipelines -------------------------------------------------------------------


@dataclass(frozen=True)
class CacheEntry:
    """What the cache keeps of one execution of a step; ``size`` (bytes) of what it needs, which
    others may need too. ``used``: when a run last took it."""

    id: str
    step: str
    notebook: str
    created: str
    used: str
    seconds: float
    size: int


@dataclass(frozen=True)
class CacheSummary:
    """The cache: its ``entries``, newest first, and its ``size`` (bytes) on the disk.

    ``removed`` entries and ``freed`` bytes are what the command took away, or would take with
    ``dry_run``; nothing (``None``) if that is not what it does.
    """

    url: str
    entries: list[CacheEntry]
    size: int
    removed: list[CacheEntry] = field(default_factory=list)
    freed: int | None = None
    dry_run: bool = False


# --- JSON -------------------------------------------------------------------------------------


def now() -> str:
    """The present moment as the ISO 8601 string used everywhere."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_dict(value: Any) -> Any:
    """Turn dataclasses (also inside lists and dicts) into plain JSON-ready values.

    Floats that JSON cannot say (NaN, infinities) become ``None``.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_dict(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): to_dict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_dict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def to_json(value: Any, *, indent: int | None = None) -> str:
    """``value`` (a dataclass, or lists and dicts of them) as a JSON document."""
    return json.dumps(to_dict(value), indent=indent, ensure_ascii=False)


T = typing.TypeVar("T")


def from_dict(cls: type[T], data: dict[str, Any]) -> T:
    """Build the dataclass ``cls`` from :func:`to_dict`'s output; unknown keys are ignored.

    Raises
    ------
    TypeError
        If a field without default is missing.
    """
    hints = _hints(cls)  # type: ignore[arg-type]
    names = [f.name for f in dataclasses.fields(cls) if f.name in data]  # type: ignore[arg-type]
    return cls(**{name: _convert(hints[name], data[name]) for name in names})


@lru_cache(maxsize=256)
def _hints(cls: type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _convert(hint: Any, value: Any) -> Any:
    origin = typing.get_origin(hint) if value is not None else None
    if origin in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(hint) if option is not type(None)]
        return _convert(options[0], value) if len(options) == 1 else value
    if origin is list:
        (item_type,) = typing.get_args(hint)
        return [_convert(item_type, item) for item in value]
    if origin is tuple:
        kinds = typing.get_args(hint)
        each = [kinds[0]] * len(value) if kinds[-1] is ... else kinds
        return tuple(_convert(kind, item) for kind, item in zip(each, value, strict=True))
    if value is not None and dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return from_dict(hint, value)
    return value
