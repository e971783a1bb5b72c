"""What an executor is: it runs functions somewhere and gives futures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")


class Executor(ABC):
    """Runs functions; a plug-in of the family ``mlops_jupyter.executors`` derives from it.

    Parameters
    ----------
    workers:
        How many functions may run at the same time, 1 or more.
    address:
        Where to, for an executor that connects to something; empty: its own default.

    Attributes
    ----------
    in_process:
        Whether functions run in this process, so that arguments may be anything. Otherwise
        functions and arguments are pickled.
    """

    in_process: bool = False

    def __init__(self, workers: int = 1, address: str = "") -> None:
        self.workers = workers
        self.address = address

    @abstractmethod
    def submit(self, function: Callable[..., T], *args: Any) -> Future[T]:
        """Have ``function(*args)`` run; what it returns or raises is the future's.

        Raises
        ------
        Conflict
            If the executor is closed.
        """

    @abstractmethod
    def everywhere(self, function: Callable[..., Any], *args: Any) -> None:
        """Call ``function(*args)`` once in each process where functions may have run."""

    @abstractmethod
    def close(self) -> None:
        """End what it started; closing twice is fine."""

    def __enter__(self) -> Executor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
