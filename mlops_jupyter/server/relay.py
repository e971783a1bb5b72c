"""What changes in the workspace reaches the browser, and sessions reach MLflow, while the server
lives.

Two tasks on the server's loop: the *relay* turns the workspace's event log into Jupyter events;
the *courier's standing* delivers journals in place of the detached courier process. Idle, the
first costs one ``stat`` a beat. A folder that is no workspace yet is left as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, Protocol

from ..errors import MLOpsError
from ..models import Event, Noun, now, to_dict
from ..workspace import Workspace

SCHEMA_ID = "https://events.mlops-jupyter.dev/changed/v1"
SCHEMA: dict[str, Any] = {
    "$id": SCHEMA_ID,
    "version": "1",
    "title": "Something in the workspace changed",
    "personal-data": False,
    "description": "Says what to read again, not what is there now.",
    "type": "object",
    "properties": {
        "noun": {"title": "Kind of thing", "type": "string"},
        "id": {"title": "Which one; empty when many of the kind changed at once", "type": "string"},
        "change": {"title": "How", "type": "string"},
        "time": {"title": "When, ISO 8601 in UTC", "type": "string"},
    },
    "required": ["noun", "id", "change", "time"],
}

BEAT = 0.3
COURIER_BEAT = 1.0
RETRY = 10.0
MANY = 50


class Emit(Protocol):
    """jupyter_events' ``EventLogger.emit``."""

    def __call__(self, *, schema_id: str, data: dict[str, Any]) -> Any:
        """Hand one event to all listeners."""


def coalesce(events: Iterable[Event]) -> list[Event]:
    """A burst as few events: the last one of each thing, and where more than 50 things of one kind
    changed, one event with an empty ``id``."""
    last = {(event.noun, event.id): event for event in events}
    by_noun: dict[Noun, list[Event]] = {}
    for event in last.values():
        by_noun.setdefault(event.noun, []).append(event)
    return [
        event
        for noun, found in by_noun.items()
        for event in (found if len(found) <= MANY else [Event(noun, "", "many", now())])
    ]


class Watch:
    """The two tasks, started and stopped together.

    Parameters
    ----------
    root:
        The workspace's folder.
    emit:
        Where events go.
    log:
        The server's logger.
    """

    def __init__(self, root: Path, emit: Emit, log: logging.Logger) -> None:
        self._root = root
        self._emit = emit
        self._log = log
        self._tasks: list[asyncio.Task[None]] = []
        self._over = asyncio.Event()
        self._tail = Workspace(root).follow()

    def start(self) -> None:
        """Start watching; call it on the loop."""
        self._tasks = [self._task(self._relay()), self._task(self._stand())]

    async def stop(self) -> None:
        """End both tasks. A delivery under way gets five seconds; cut off, whoever delivers next
        goes on where it was."""
        self._over.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("mlops_jupyter no longer watches the workspace.", exc_info=error)

    async def _goes_on(self, seconds: float) -> bool:
        """Wait that long, or until it is over."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._over.wait(), seconds)
        return not self._over.is_set()

    async def _relay(self) -> None:
        complaint = ""
        while await self._goes_on(BEAT):
            try:
                events, problem = self._tail.read(), ""
            except OSError as error:
                events, problem = [], str(error)
            if problem and problem != complaint:
                self._log.warning("mlops_jupyter cannot read what changed: %s", problem)
            complaint = problem
            for event in coalesce(events):
                self._emit(schema_id=SCHEMA_ID, data=to_dict(event))

    async def _stand(self) -> None:
        journals = Workspace(self._root).state / "journals"
        while await self._goes_on(COURIER_BEAT):
            if journals.is_dir():
                await self._serve_journals()

    async def _serve_journals(self) -> None:
        from ..courier import Standing

        workspace = Workspace(self._root)
        standing, held = Standing(workspace), False
        try:
            while await self._goes_on(COURIER_BEAT) and workspace.state.is_dir():
                try:
                    held = held or standing.acquire()
                    stuck = held and await asyncio.to_thread(_deliver, workspace, standing.poll)
                except (MLOpsError, OSError) as error:
                    self._log.warning("mlops_jupyter cannot deliver runs yet: %s", error)
                    stuck = True
                if stuck:
                    await self._goes_on(RETRY)
        finally:
            standing.release()


def _deliver(workspace: Workspace, pending: Callable[[], bool]) -> bool:
    """Deliver if there is something to deliver; whether that got nowhere. The first time imports
    MLflow."""
    if not pending():
        return False
    from .. import runs

    return runs.deliver(workspace) == 0 and pending()
