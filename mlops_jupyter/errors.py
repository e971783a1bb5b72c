"""Every error that a user can meet, as one tree.

::

    MLOpsError                500  exit 1  something of ours went wrong
    ├── NotFound              404  exit 2  no such run, model, notebook, plug-in ...
    ├── Conflict              409  exit 2  it is there already, or busy
    ├── InvalidInput          400  exit 2  the request does not make sense
    ├── Forbidden             403  exit 2  a rule or a right forbids it
    ├── WorkFailed            422  exit 1  the work ran and did not succeed
    │   ├── StepFailed        422  exit 1  a cell of a pipeline raised
    │   └── GateRefused       422  exit 1  a promotion did not pass its gate
    ├── Unavailable           503  exit 3  a server, port, folder or disk is not usable
    └── MissingDependency     501  exit 3  an extra has to be installed

Each error is one clear line: what was wrong and where; its ``hint`` says what to do. Errors of
other libraries are mapped to this tree at one border each (the L1 adapters), never in between.
"""

from __future__ import annotations

__all__ = [
    "Conflict",
    "Forbidden",
    "GateRefused",
    "InvalidInput",
    "MLOpsError",
    "MissingDependency",
    "NotFound",
    "StepFailed",
    "Unavailable",
    "WorkFailed",
]


class MLOpsError(Exception):
    """Base of all errors raised by this package.

    Parameters
    ----------
    message:
        One line: what was wrong, and where.
    hint:
        One line: what to do about it. May be empty.
    """

    http_status: int = 500
    exit_code: int = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def code(self) -> str:
        """The error's stable name in JSON bodies, e.g. ``NotFound``."""
        return type(self).__name__

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class NotFound(MLOpsError):
    """No such thing in this workspace."""

    http_status = 404
    exit_code = 2


class Conflict(MLOpsError):
    """It exists already, is in use, or changed meanwhile."""

    http_status = 409
    exit_code = 2


class InvalidInput(MLOpsError):
    """The request, notebook, file or setting does not make sense."""

    http_status = 400
    exit_code = 2


class Forbidden(MLOpsError):
    """A rule or a missing right forbids it."""

    http_status = 403
    exit_code = 2


class WorkFailed(MLOpsError):
    """The request was right and the work ran, but did not succeed."""

    http_status = 422
    exit_code = 1


class StepFailed(WorkFailed):
    """A cell of a pipeline step raised an error."""


class GateRefused(WorkFailed):
    """A promotion did not pass its gate."""


class Unavailable(MLOpsError):
    """Something needed is not usable now: a server, a port, a folder, the disk."""

    http_status = 503
    exit_code = 3


class MissingDependency(MLOpsError):
    """An optional dependency is not installed.

    Parameters
    ----------
    what:
        What was asked for, e.g. ``"Serving a model"``.
    extra:
        The extra that brings it, e.g. ``"serve"``.
    """

    http_status = 501
    exit_code = 3

    def __init__(self, what: str, extra: str, missing: str = "") -> None:
        needs = f" needs {missing}, which is not installed." if missing else " is not installed."
        super().__init__(
            what + needs, hint=f"Install it with: pip install 'mlops_jupyter[{extra}]'"
        )
        self._given = (what, extra, missing)

    def __reduce__(self) -> tuple[type[MissingDependency], tuple[str, str, str]]:
        return type(self), self._given
