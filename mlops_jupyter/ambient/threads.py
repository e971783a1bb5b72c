"""Threads and asyncio tasks that user code left running."""

from __future__ import annotations

import asyncio
import sys
import threading
from types import FrameType

from .base import Refused

_PACKAGES = ("ipykernel", "IPython", "zmq", "tornado", "traitlets", "jupyter_client", "debugpy")
_LIBRARIES = ("tqdm", "joblib", "loky", "multiprocessing", "mlops_jupyter")
_WAITING = (
    ("concurrent/futures/thread.py", "_worker"),
    ("multiprocessing/pool.py", "worker"),
    ("threading.py", "wait"),
)


class Threads(Refused):
    """The kernel's own threads and tasks, helpers of libraries, and pool threads that wait for work
    do not count."""

    name = "threads"

    def __init__(self) -> None:
        self._start = set(threading.enumerate())

    def changed(self) -> str:
        """The first thread or task that still runs."""
        for thread in threading.enumerate():
            if thread not in self._start and not _harmless(thread):
                return f"the thread {thread.name} still runs"
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return ""
        for task in asyncio.all_tasks(loop):
            if not _kernels(task):
                return f"the task {task.get_name()} is still pending"
        return ""


def _harmless(thread: threading.Thread) -> bool:
    package = type(thread).__module__.partition(".")[0]
    target = getattr(getattr(thread, "_target", None), "__module__", None) or ""
    if {package, target.partition(".")[0]} & {*_PACKAGES, *_LIBRARIES}:
        return True
    if isinstance(thread, threading._DummyThread):  # not made by Python code
        return True
    return _waits(sys._current_frames().get(thread.ident or 0))


def _waits(frame: FrameType | None) -> bool:
    """Whether a pool's thread has no work: its own loop is what runs."""
    while frame is not None:
        file, name = frame.f_code.co_filename.replace("\\", "/"), frame.f_code.co_name
        if file.endswith("concurrent/futures/thread.py") and name == "_worker":
            return True
        if file.endswith("multiprocessing/pool.py") and name in _POOL:
            return True
        if not file.endswith(("queue.py", "threading.py", "queues.py", "connection.py")):
            return False
        frame = frame.f_back
    return False


_POOL = ("worker", "_handle_workers", "_handle_tasks", "_handle_results", "_wait_for_updates")


def _kernels(task: asyncio.Task[object]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    file = getattr(code, "co_filename", "").replace("\\", "/")
    return any(f"/{package}/" in file for package in _PACKAGES)
