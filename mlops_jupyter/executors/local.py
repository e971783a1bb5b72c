"""On this machine: threads, since what they wait for are kernels, which are processes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from ..errors import Conflict
from .base import Executor

T = TypeVar("T")


class LocalExecutor(Executor):
    """Runs functions in threads of this process."""

    in_process = True

    def __init__(self, workers: int = 1, address: str = "") -> None:
        super().__init__(workers, address)
        self._pool: ThreadPoolExecutor | None = ThreadPoolExecutor(workers, "mlops-worker")

    def submit(self, function: Callable[..., T], *args: Any) -> Future[T]:
        """Have ``function(*args)`` run in one of the threads.

        Raises
        ------
        Conflict
            If the executor is closed.
        """
        if self._pool is None:
            raise Conflict("The local executor is closed.", hint="Make another one.")
        return self._pool.submit(function, *args)

    def everywhere(self, function: Callable[..., Any], *args: Any) -> None:
        """Call ``function(*args)`` once: there is one process."""
        function(*args)

    def close(self) -> None:
        """Take nothing more, and wait for what runs."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)
