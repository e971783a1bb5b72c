"""Promotion through a gate, and the audit log that proves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import _frames, _sklearn
from ._mlflow import LoadedModel, Tracking
from ._store import Store, audit_digest
from .config import Gate
from .errors import GateRefused, InvalidInput
from .models import AuditEntry, GateCheck, Promotion
from .workspace import Workspace, actor


class Refused(GateRefused):
    """A promotion that did not pass, with what was checked."""

    def __init__(self, promotion: Promotion) -> None:
        failed = next(check for check in promotion.checks if not check.passed)
        super().__init__(
            f"{promotion.model}/{promotion.version} may not become @{promotion.alias}: "
            f"{failed.name}: {failed.detail}.",
            hint=f"@{promotion.alias} stays at {promotion.previous or 'no version'}.",
        )
        self.promotion = promotion


def record(
    workspace: Workspace, action: str, subject: str, detail: dict[str, Any] | None = None
) -> AuditEntry:
    """Append one entry to the audit log in the name of the present user."""
    return Store(workspace).append_audit(actor(), action, subject, detail or {})


def audit_log(workspace: Workspace) -> list[AuditEntry]:
    """The whole audit log, oldest first."""
    return Store(workspace).audit()


def verify_audit(workspace: Workspace) -> list[str]:
    """What is wrong with the audit log: nothing in the list means every entry is as written."""
    problems = []
    previous, number = "", 0
    for entry in audit_log(workspace):
        if entry.number != number + 1:
            problems.append(f"entry {number + 1} is missing")
        elif entry.previous != previous:
            problems.append(f"entry {entry.number} does not follow entry {number}")
        if entry.digest != audit_digest(entry):
            problems.append(f"entry {entry.number} was changed")
        previous, number = entry.digest, entry.number
    return problems


def promote(
    workspace: Workspace,
    name: str,
    version: str,
    alias: str = "champion",
    *,
    data: Path | None = None,
) -> Promotion:
    """Move ``alias`` to ``version`` if its gate (``mlops.toml``, ``[gates.<alias>]``) passes.

    Parameters
    ----------
    data:
        Labelled rows to measure on, instead of the gate's own file.

    Raises
    ------
    NotFound
        If there is no such model or version.
    InvalidInput
        If the gate cannot be computed.
    GateRefused
        If a check failed; the alias stays where it is, and the refusal is in the audit log.
    """
    tracking = Tracking(workspace)
    tracking.version(name, version)
    gate = workspace.config.gates.get(alias, Gate())
    with workspace.lock("promote"):
        previous = tracking.alias(name, alias)
        checks = _checks(workspace, tracking, name, version, previous, gate, data)
        passed = all(check.passed for check in checks)
        promotion = Promotion(name, version, alias, previous, passed, checks)
        if passed:
            tracking.set_alias(name, alias, version)
        record(
            workspace,
            "model.promote" if passed else "model.promote.refused",
            f"{name}/{version}@{alias}",
            {"previous": previous, "checks": checks},
        )
    if not passed:
        raise Refused(promotion)
    return promotion


def _checks(
    workspace: Workspace,
    tracking: Tracking,
    name: str,
    version: str,
    previous: str | None,
    gate: Gate,
    data: Path | None,
) -> list[GateCheck]:
    candidate = tracking.load(name, version)
    columns = [field.name for field in candidate.inputs if field.name is not None]
    known = f"{len(columns)} input columns" if columns else "the model has no column signature"
    checks = [GateCheck("signature", bool(columns), known)]
    if not gate.metric:
        if data is not None:
            raise InvalidInput(
                "Labelled data was given, but no gate says what to measure.",
                hint="Add [gates.champion] with metric and target to mlops.toml.",
            )
        return checks
    file = data or workspace.resolve(gate.data, "gate data file")
    frame = _frames.read_table(file)

    def score(loaded: LoadedModel) -> float:
        if loaded.native is None:
            raise InvalidInput(
                f"{name}/{loaded.version} is not a scikit-learn model.",
                hint="Gates measure scikit-learn models.",
            )
        names = [field.name for field in loaded.inputs if field.name is not None]
        return _sklearn.measure(loaded.native, gate.metric, frame, gate.target, names)

    value = score(candidate)
    on = f"on {len(frame)} rows of {workspace.relative(file)}"
    if gate.minimum is not None:
        checks.append(
            GateCheck(
                f"{gate.metric} is high enough",
                value >= gate.minimum,
                f"{value:.4f} against at least {gate.minimum:.4f}, {on}",
                value,
                gate.minimum,
            )
        )
    if previous is not None and previous != version:
        holder = score(tracking.load(name, previous))
        limit = holder - gate.tolerance
        checks.append(
            GateCheck(
                f"{gate.metric} not worse than version {previous}",
                value >= limit,
                f"{value:.4f} against {holder:.4f}, {on}",
                value,
                limit,
            )
        )
    return checks
