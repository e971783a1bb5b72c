"""Runs: journals become MLflow runs here, and are read back.

:func:`deliver` may be called by anyone at any time: a lock lets one work at once, the run's key
(``<session>/<number>``, tag ``mlops.key``) makes a repetition find what is there, and what was
delivered is kept beside the journal, written whole or not at all.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from . import journal, models, trust
from ._mlflow import Tracking
from .errors import Conflict, Unavailable
from .journal import lock_name
from .models import Cell, Dataset, Run, RunDetail, from_dict
from .sessions import Session, SessionRun
from .workspace import Workspace, write_atomic

_log = logging.getLogger(__name__)
_BATCH = 100  # MLflow's limit of parameters in one request
NOT_OURS = "the model was not written by a kernel of this user, so it was not loaded"
_GIT_SECONDS = 5.0
_GIT_MINUTES = 10.0
_CELLS = "mlops/cells.json"
_DATA = "mlops/data.json"
_ENVIRONMENT = "mlops/environment.json"
_REPRODUCIBILITY = "mlops/reproducibility.json"


@dataclass
class _Sent:
    """How far one run was delivered."""

    run_id: str
    parameters: int = 0
    metrics: int = 0
    ended: bool = False
    explained: bool = False


@dataclass
class _State:
    """How far one session was delivered; kept in ``<session>.delivered``."""

    size: int = 0
    done: bool = False
    runs: dict[str, _Sent] = field(default_factory=dict)

    @classmethod
    def load(cls, file: Path) -> _State:
        try:
            raw = json.loads(file.read_bytes())
            sent = {number: _Sent(**body) for number, body in raw["runs"].items()}
            return cls(raw["size"], raw["done"], sent)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return cls()  # deliver again: keys keep it from being done twice


def _state_file(workspace: Workspace, session: str) -> Path:
    return journal.path(workspace, session).with_suffix(".delivered")


def pending(workspace: Workspace) -> list[str]:
    """Sessions whose journals hold something that was not delivered yet."""
    return [name for name in journal.sessions(workspace) if _is_pending(workspace, name)]


def living(workspace: Workspace) -> list[str]:
    """Sessions whose kernels live."""
    return [
        name
        for name in journal.sessions(workspace)
        if not _State.load(_state_file(workspace, name)).done and workspace.held(lock_name(name))
    ]


def _is_pending(workspace: Workspace, session: str) -> bool:
    state = _State.load(_state_file(workspace, session))
    if state.done:
        return False
    size = journal.path(workspace, session).stat().st_size
    return size != state.size or not workspace.held(lock_name(session))


def deliver(workspace: Workspace) -> int:
    """Write to MLflow what the journals hold and MLflow does not, and close the runs of dead
    kernels as KILLED. Safe to repeat, from any process.

    Returns
    -------
    int
        How many runs were created or changed.

    Raises
    ------
    Unavailable
        If MLflow's store or the workspace's folder is not usable. Nothing is lost.
    """
    if not pending(workspace):
        return 0
    tracking = Tracking(workspace)
    with workspace.lock("deliver"):
        return sum(_deliver(workspace, tracking, name) for name in pending(workspace))


def _deliver(workspace: Workspace, tracking: Tracking, name: str) -> int:
    alive = workspace.held(lock_name(name))  # asked first: of a dead kernel all can be read
    file, state_file = journal.path(workspace, name), _state_file(workspace, name)
    try:
        session, size = Session.load(file)
    except Conflict as error:
        _log.warning("%s", error)
        return 0
    if not alive or session.closed:
        session.kill()
    state = _State.load(state_file)
    count = 0
    for run in session.runs.values():
        sent = state.runs.get(str(run.number))
        if sent is not None and _is_current(session, run, sent):
            continue
        delivery = _Delivery(workspace, tracking, name, session, run)
        for step in delivery.steps(sent):
            state.runs[str(run.number)] = step
            write_atomic(state_file, json.dumps(asdict(state)))
        delivery.tidy()
        count += 1
    state.done = session.closed
    state.size = file.stat().st_size if session.closed else size
    write_atomic(state_file, json.dumps(asdict(state)))
    if session.closed:
        (workspace.state / "locks" / f"{lock_name(name)}.lock").unlink(missing_ok=True)
    return count


def _is_current(session: Session, run: SessionRun, sent: _Sent) -> bool:
    return (
        sent.parameters == len(run.parameters)
        and sent.metrics == len(run.metrics)
        and sent.ended == (run.status != "RUNNING")
        and (sent.explained or not _is_explicable(session, run))
    )


def _is_explicable(session: Session, run: SessionRun) -> bool:
    return run.status != "RUNNING" and (session.closed or session.has_cell(run))


class _Delivery:
    """Brings one run in MLflow to where the journal has it."""

    def __init__(
        self, workspace: Workspace, tracking: Tracking, name: str, session: Session, run: SessionRun
    ) -> None:
        self._workspace = workspace
        self._tracking = tracking
        self._name = name
        self._session = session
        self._run = run
        self._finished_with: list[Path] = []

    def steps(self, sent: _Sent | None) -> Iterator[_Sent]:
        """Do what is left to do; yields after each step what is delivered by then."""
        run, tracking = self._run, self._tracking
        if sent is None:
            sent = _Sent(self._create())
            yield sent
        items = list(run.parameters.items())
        for start in range(sent.parameters, len(items), _BATCH):
            tracking.log(sent.run_id, parameters=dict(items[start : start + _BATCH]))
        sent.parameters = len(items)
        for name, value in run.metrics[sent.metrics :]:
            tracking.log(sent.run_id, metrics={name: value})
        sent.metrics = len(run.metrics)
        yield sent
        if run.status != "RUNNING" and not sent.ended:
            self._model(sent.run_id)
            tracking.log_text(sent.run_id, models.to_json(run.data, indent=1), _DATA)
            environment = models.to_json(self._session.environment, indent=1)
            tracking.log_text(sent.run_id, environment, _ENVIRONMENT)
            tracking.end_run(sent.run_id, run.status, run.ended)
            sent.ended = True
            yield sent
        if not sent.explained and _is_explicable(self._session, run):
            cells = models.to_json(self._session.cells_of(run), indent=1)
            tracking.log_text(sent.run_id, cells, _CELLS)
            reasons = self._session.reproducibility(run, self._workspace.root)
            tracking.log_text(sent.run_id, models.to_json(reasons, indent=1), _REPRODUCIBILITY)
            sent.explained = True
            yield sent

    def tidy(self) -> None:
        """Remove the side files of what was delivered."""
        for file in self._finished_with:
            file.unlink(missing_ok=True)
        folder = journal.path(self._workspace, self._name).with_suffix("")
        with contextlib.suppress(OSError):  # not there, or not empty yet
            folder.rmdir()

    def _create(self) -> str:
        session, run = self._session, self._run
        return self._tracking.start_run(
            run.name,
            kind="model",
            parent_id=session.parent,
            notebook=session.notebook,
            key=f"{self._name}/{run.number}",
            started=run.started,
            tags=_git_tags(self._workspace.root, run.started),
        )

    def _model(self, run_id: str) -> None:
        run = self._run
        if run.model is None:
            fitted = any(name.endswith("fit_seconds") for name, _ in run.metrics)
            error = run.model_error or ("the kernel ended before it was written" if fitted else "")
            if error:
                self._tracking.log(run_id, tags={"mlops.model_error": error})
            return
        file = journal.path(self._workspace, self._name).with_suffix("") / run.model
        if "mlops.model" in self._tracking.tags(run_id) or not file.is_file():
            return
        if not trust.sealed(file, run.seal):
            self._tracking.log(run_id, tags={"mlops.model_error": NOT_OURS})
            return
        try:
            with self._modules():
                model_id = self._log_model(run_id, file)
        except Exception as error:  # noqa: BLE001  unpickling runs the user's code, which may raise anything
            line = next(iter(str(error).splitlines()), "")
            tags = {"mlops.model_error": f"{type(error).__name__}: {line}"[:300]}
            keep = isinstance(error, Unavailable)
        else:
            tags, keep = {"mlops.model": model_id}, False
        self._tracking.log(run_id, tags=tags)
        if not keep:
            self._finished_with.append(file)

    def _log_model(self, run_id: str, file: Path) -> str:
        import cloudpickle

        with open(file, "rb") as stream:
            model, rows = cloudpickle.load(stream)
        return self._tracking.log_model(run_id, model, rows if hasattr(model, "predict") else None)

    @contextlib.contextmanager
    def _modules(self) -> Iterator[None]:
        """Let the notebook's own modules be imported while its model is unpickled."""
        root, before = self._workspace.root, list(sys.path)
        sys.path += [str(root / (self._session.folder or ".")), str(root)]
        try:
            yield
        finally:
            sys.path[:] = before


def _git_tags(root: Path, started: str) -> dict[str, str]:
    """Commit, branch and dirty flag of the folder, unless the run is too old to know them."""
    begun = datetime.fromisoformat(started.replace("Z", "+00:00"))
    if (datetime.now(timezone.utc) - begun).total_seconds() > 60 * _GIT_MINUTES:
        return {}
    try:
        done = subprocess.run(
            ["git", "status", "--porcelain=v2", "--branch", "--untracked-files=no"],
            cwd=root,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    lines = done.stdout.splitlines()
    facts = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# branch."))
    commit = facts.get("branch.oid", "")
    if not commit or commit.startswith("("):
        return {}
    dirty = any(not line.startswith("#") for line in lines)
    return {
        "mlflow.source.git.commit": commit,
        "mlflow.source.git.branch": facts.get("branch.head", ""),
        "mlops.git.dirty": str(dirty).lower(),
    }


# --- reading back -----------------------------------------------------------------------------


def list_runs(
    workspace: Workspace, *, limit: int = 200, kind: str = "", parent_id: str | None = None
) -> list[Run]:
    """Runs of the workspace's experiment, newest first, after delivering what journals hold.

    Parameters
    ----------
    workspace:
        Whose runs.
    limit:
        At most so many.
    kind:
        Only ``model``, ``pipeline``, ``step`` or ``run`` ones.
    parent_id:
        Only children of this run.
    """
    deliver(workspace)
    return Tracking(workspace).runs(limit=limit, kind=kind, parent_id=parent_id)


def show_run(workspace: Workspace, run_id: str) -> RunDetail:
    """One run with its cells, data, environment, git state and reproducibility.

    Raises
    ------
    NotFound
        If there is no such run.
    """
    deliver(workspace)
    tracking = Tracking(workspace)
    run, tags = tracking.run(run_id), tracking.tags(run_id)

    def stored(path: str, empty: Any) -> Any:
        text = tracking.text(run_id, path)
        return json.loads(text) if text else empty

    git = {
        name: tags[tag]
        for name, tag in (
            ("commit", "mlflow.source.git.commit"),
            ("branch", "mlflow.source.git.branch"),
            ("dirty", "mlops.git.dirty"),
        )
        if tag in tags
    }
    return RunDetail(
        **{name: getattr(run, name) for name in Run.__dataclass_fields__},
        cells=[from_dict(Cell, cell) for cell in stored(_CELLS, [])],
        data=[from_dict(Dataset, item) for item in stored(_DATA, [])],
        environment=stored(_ENVIRONMENT, {}),
        git=git,
        reproducibility=stored(_REPRODUCIBILITY, []),
    )
