"""What a target is: a place where a deployment's scoring server runs.

The server and whoever started it share one small file, ``.mlops/locks/deployment-<name>.json``:
where the server listens and how far it is, or in one line why it could not start. The server holds
the lock ``deployment-<name>`` as long as it lives; that lock, and no time-out, says whether it
does.
"""

from __future__ import annotations

import contextlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..models import from_dict, to_json
from ..workspace import Workspace, write_atomic


@dataclass(frozen=True)
class Spec:
    """What to serve: a model by ``alias`` (followed) or by ``version`` (pinned), and where to
    listen; port 0 means any free one."""

    name: str
    model: str
    alias: str | None
    version: str | None
    host: str = "127.0.0.1"
    port: int = 0


@dataclass(frozen=True)
class State:
    """How a server is doing, in its own words; ``pid`` is of the machine it runs on."""

    status: Literal["starting", "ready", "failed"]
    pid: int
    host: str = ""
    port: int = 0
    error: str = ""
    hint: str = ""


def lock_name(name: str) -> str:
    """The lock that the deployment's server holds while it lives."""
    return f"deployment-{name}"


def state_path(workspace: Workspace, name: str) -> Path:
    """Where the server writes its state."""
    return workspace.state / "locks" / f"deployment-{name}.json"


def write_state(workspace: Workspace, name: str, state: State) -> None:
    """Write the server's state, whole.

    Raises
    ------
    Unavailable
        If it cannot be written.
    """
    write_atomic(state_path(workspace, name), to_json(state) + "\n")


def read_state(workspace: Workspace, name: str) -> State | None:
    """The server's state, or ``None`` if there is none."""
    with contextlib.suppress(FileNotFoundError, ValueError, TypeError):
        return from_dict(State, json.loads(state_path(workspace, name).read_text()))
    return None


class Target(ABC):
    """Starts and stops scoring servers in one kind of place.

    Parameters
    ----------
    workspace:
        Whose deployments they serve.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    @abstractmethod
    def start(self, spec: Spec) -> None:
        """Launch a server and return at once; :meth:`state` tells how it goes on.

        Raises
        ------
        MissingDependency
            If a library that serving needs is not installed.
        """

    @abstractmethod
    def state(self, name: str) -> State | None:
        """What the server last said, ``failed`` if it died while starting, ``None`` before it said
        anything."""

    @abstractmethod
    def alive(self, name: str) -> bool:
        """Whether the deployment's server lives."""

    @abstractmethod
    def stop(self, name: str, timeout: float = 20.0) -> None:
        """End the server: it finishes what it has accepted; after ``timeout`` seconds it is
        killed. Nothing happens if it does not live.

        Raises
        ------
        Unavailable
            If it cannot be ended.
        """

    @abstractmethod
    def logs(self, name: str, lines: int = 100) -> str:
        """The last ``lines`` lines of the server's log; empty if there is none."""
