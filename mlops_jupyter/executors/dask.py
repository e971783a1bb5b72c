"""On a Dask cluster: an existing scheduler, or a cluster of this machine's processes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import distributed

from ..errors import Conflict, Unavailable
from .base import Executor

T = TypeVar("T")
_distributed: Any = distributed  # only half of it is typed


class DaskExecutor(Executor):
    """Runs functions on Dask workers, which see the workspace on a shared disk.

    Parameters
    ----------
    workers:
        Processes of the cluster made here when there is no scheduler to connect to.
    address:
        A scheduler's, e.g. ``tcp://10.0.0.5:8786``; empty: ``DASK_SCHEDULER_ADDRESS`` or Dask's own
        configuration, else a cluster of this machine.

    Raises
    ------
    Unavailable
        If the scheduler does not answer.
    """

    def __init__(self, workers: int = 1, address: str = "") -> None:
        import dask

        super().__init__(workers, address or dask.config.get("scheduler-address", "") or "")
        self._cluster = None
        if not self.address:
            self._cluster = _distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address=None,
            )
        try:
            self._client = _distributed.Client(self.address or self._cluster, set_as_default=False)
        except (OSError, ValueError) as error:
            raise Unavailable(
                f"The Dask scheduler {self.address!r} does not answer.",
                hint="Start it with: dask scheduler",
            ) from error
        # A pipeline must never run twice because a worker died: no function is tried again.
        self._executor = self._client.get_executor(pure=False, retries=0)
        self._closed = False

    def submit(self, function: Callable[..., T], *args: Any) -> Future[T]:
        """Have ``function(*args)`` run on a worker.

        Raises
        ------
        Conflict
            If the executor is closed.
        """
        if self._closed:
            raise Conflict("The Dask executor is closed.", hint="Make another one.")
        future: Future[T] = self._executor.submit(function, *args)
        return future

    def everywhere(self, function: Callable[..., Any], *args: Any) -> None:
        """Call ``function(*args)`` on each worker that is there."""
        if not self._closed:
            self._client.run(function, *args, on_error="ignore")

    def close(self) -> None:
        """Disconnect; the cluster made here ends, with what still runs on it."""
        if self._closed:
            return
        self._closed = True
        self._executor.shutdown(wait=False)
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()
