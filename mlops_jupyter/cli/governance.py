"""``mlops audit``."""

from __future__ import annotations

from .. import governance
from ..models import AuditEntry, AuditVerdict
from ..workspace import Workspace
from ._app import noun, verb

audit = noun("audit", "Who did what, and whether the log was changed.")


@verb(audit, "show")
def show(workspace: Workspace) -> list[AuditEntry]:
    """The audit log, oldest first."""
    return governance.audit_log(workspace)


@verb(audit, "verify")
def verify(workspace: Workspace) -> AuditVerdict:
    """Prove that no entry was changed, removed or put in; exit code 1 if one was."""
    entries = len(governance.audit_log(workspace))
    return AuditVerdict([f"{entries} entries"], governance.verify_audit(workspace))
