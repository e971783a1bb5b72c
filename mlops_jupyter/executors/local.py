"""On this machine: in the calling thread, or in a pool of processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, TypeVar

from ..errors import Conflict
from .base import Executor

T = TypeVar("T")


class LocalExecutor(Executor):
    """With one worker, runs each function at once in the calling thread, where Ctrl-C reaches it;
    with more, in that many processes."""

    def __init__(self, workers: int = 1, address: str = "") -> None:
        super().__init__(workers, address)
        self.in_process = workers == 1
        self._closed = False
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, function: Callable[..., T], *args: Any) -> Future[T]:
        """Have ``function(*args)`` run; with one worker it is done when this returns.

        Raises
        ------
        Conflict
            If the executor is closed.
        KeyboardInterrupt
            Only with one worker: an interruption is not kept for later.
        """
        if self._closed:
            raise Conflict("The local executor is closed.", hint="Make another one.")
        if self.workers > 1:
            if self._pool is None:
                # Forking a process that has threads may deadlock; spawning never does.
                context = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(self.workers, mp_context=context)
            return self._pool.submit(function, *args)
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(function(*args))
        except Exception as error:  # noqa: BLE001  # it belongs to the future's owner
            future.set_exception(error)
        return future

    def close(self) -> None:
        """End the processes, also those that work."""
        self._closed = True
        pool, self._pool = self._pool, None
        if pool is not None:
            processes = list((pool._processes or {}).values())
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()
            for process in processes:
                process.join()
