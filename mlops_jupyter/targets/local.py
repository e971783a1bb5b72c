"""Servers on this machine: one detached process per deployment, which outlives who started it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import ClassVar

from ..errors import MissingDependency, Unavailable
from ..workspace import ENV, os_errors
from .base import Spec, State, Target, lock_name, read_state, state_path

_NEEDS = ("starlette", "uvicorn", "httptools", "msgspec")
_LOG_LIMIT = 10_000_000
_POLL = 0.05
_EXIT_SECONDS = 2.0
_QUIET = {
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "PYTHONUNBUFFERED": "1",
}


class LocalTarget(Target):
    """Runs ``python -m mlops_jupyter.scoring`` in its own session, its output in
    ``.mlops/logs/deployment-<name>.log``."""

    _children: ClassVar[dict[str, subprocess.Popen[bytes]]] = {}

    def start(self, spec: Spec) -> None:
        """Launch the process; see :meth:`Target.start`."""
        for library in _NEEDS:
            if not _installed(library):
                raise MissingDependency("Serving a model", "serve", library)
        state_path(self.workspace, spec.name).unlink(missing_ok=True)
        choice = ["--alias", spec.alias] if spec.alias else ["--version", spec.version or ""]
        command = [
            *(sys.executable, "-m", "mlops_jupyter.scoring", str(self.workspace.root)),
            *("--name", spec.name, "--model", spec.model, *choice),
            *("--host", spec.host, "--port", str(spec.port)),
        ]
        log = self._log(spec.name)
        with os_errors("the log"):
            log.parent.mkdir(parents=True, exist_ok=True)
            if log.exists() and log.stat().st_size > _LOG_LIMIT:
                os.replace(log, log.with_suffix(".old"))
            with open(log, "ab") as output:
                self._children[self._key(spec.name)] = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=self.workspace.state,
                    env={**os.environ, **_QUIET, ENV: str(self.workspace.root)},
                    start_new_session=True,
                )

    def state(self, name: str) -> State | None:
        """What the server last said; see :meth:`Target.state`."""
        child = self._children.get(self._key(name))
        ended = child is not None and child.poll() is not None
        said = read_state(self.workspace, name)
        if child is not None and ended and (said is None or said.status == "starting"):
            last = self.logs(name, 1).strip()
            return State("failed", child.pid, error=last or f"it ended with {child.returncode}")
        return said

    def alive(self, name: str) -> bool:
        """Whether a process holds the deployment's lock."""
        return self.workspace.held(lock_name(name))

    def stop(self, name: str, timeout: float = 20.0) -> None:
        """End the process that holds the lock; see :meth:`Target.stop`."""
        for number, wait in ((signal.SIGTERM, timeout), (signal.SIGKILL, 5.0)):
            if self._ended(name, number, wait):
                state_path(self.workspace, name).unlink(missing_ok=True)
                return
        raise Unavailable(
            f"The server of {name!r} does not end.", hint=f"See: mlops deployments logs {name}"
        )

    def _ended(self, name: str, number: signal.Signals, wait: float) -> bool:
        """Signal the process (our child, or the one that holds the lock) and wait for its end."""
        child = self._children.get(self._key(name))
        deadline = time.monotonic() + wait
        signalled: int | None = None
        while True:
            running = child is not None and child.poll() is None
            if not running and not self.alive(name):
                self._children.pop(self._key(name), None)
                if signalled is not None and child is None:
                    _await_exit(signalled)
                return True
            if signalled is None:
                said = read_state(self.workspace, name)
                pid = child.pid if child is not None and running else said.pid if said else None
                if pid is not None:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
                    signalled = pid
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL)

    def logs(self, name: str, lines: int = 100) -> str:
        """The end of the log file; see :meth:`Target.logs`."""
        try:
            with open(self._log(name), encoding="utf-8", errors="replace") as file:
                return "".join(deque(file, maxlen=lines))
        except FileNotFoundError:
            return ""

    def _log(self, name: str) -> Path:
        return self.workspace.state / "logs" / f"deployment-{name}.log"

    def _key(self, name: str) -> str:
        return f"{self.workspace.root}\n{name}"


def _await_exit(pid: int) -> None:
    """The lock is free a moment before the process is gone: wait for that, but not for a parent
    elsewhere that does not collect it."""
    deadline = time.monotonic() + _EXIT_SECONDS
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except OSError:
            return
        time.sleep(_POLL)


def _installed(library: str) -> bool:
    try:
        return importlib.util.find_spec(library) is not None
    except (ImportError, ValueError):
        return False
