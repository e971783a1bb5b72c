"""The clerk: keeps a run's records on a thread of its own, in order, so that steps do not wait."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any


class Clerk:
    """Does what it is told, one thing after another, while the caller goes on.

    The first thing that raises is the last one done; the error comes up in the caller's thread.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="mlops-clerk", daemon=True)
        self._thread.start()

    def do(self, work: Callable[[], Any]) -> None:
        """Have ``work`` done.

        Raises
        ------
        Exception
            What earlier work raised.
        """
        self._raise()
        self._queue.put(work)

    def wait(self) -> None:
        """Return when all is done.

        Raises
        ------
        Exception
            What earlier work raised.
        """
        done = threading.Event()
        self._queue.put(done.set)
        done.wait()
        self._raise()

    def close(self) -> None:
        """End the thread when all is done."""
        self._queue.put(None)
        self._thread.join()

    def _raise(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _work(self) -> None:
        failed = False
        while (work := self._queue.get()) is not None:
            if failed and not isinstance(getattr(work, "__self__", None), threading.Event):
                continue
            try:
                work()
            except BaseException as error:  # noqa: BLE001  # it belongs to the caller
                self._error, failed = error, True
