"""Runs recorded by another process, which imports MLflow (a second of work) meanwhile.

The other process ends with this one: it reads what it is asked from a pipe.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from ..errors import MLOpsError, Unavailable
from ..workspace import Workspace
from .registry import Tracking

F = TypeVar("F", bound=Callable[..., Any])
# The user's folder, where there may be a module of any name, is not among those of modules.
_SERVE = """
import sys
sys.path[:] = [place for place in sys.path if place]
from mlops_jupyter._mlflow.apart import serve
serve(sys.argv[1])
"""


def _there(method: F) -> F:
    """The same, done by the other process."""

    @wraps(method)
    def ask(self: Apart, *arguments: Any, **named: Any) -> Any:
        return self._ask(method.__name__, arguments, named)

    return ask  # type: ignore[return-value]  # of the same arguments


class Apart(Tracking):
    """MLflow's tracking store, in which another process records runs. Safe from several threads;
    what is not for recording is done here.

    Parameters
    ----------
    workspace:
        As :class:`~mlops_jupyter._mlflow.Tracking` takes it.

    Raises
    ------
    Unavailable
        Also from each method that records, if the other process is gone.
    """

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(workspace.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is ours; what was asked is finished
        )

    start_run = _there(Tracking.start_run)
    log = _there(Tracking.log)
    log_text = _there(Tracking.log_text)
    end_run = _there(Tracking.end_run)

    def _ask(self, method: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        asked, answers = self._process.stdin, self._process.stdout
        assert asked is not None and answers is not None
        with self._lock:
            try:
                asked.write(pickle.dumps((method, arguments, named)))
                asked.flush()
                answer, error = pickle.load(answers)
            except (OSError, EOFError, ValueError) as gone:
                raise Unavailable(
                    "The process that records runs in MLflow is gone.", hint="Run it again."
                ) from gone
        if error is not None:
            raise error
        return answer

    def close(self) -> None:
        """End the other process; all that was asked is done."""
        with self._lock:
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                with contextlib.suppress(OSError):  # what was not taken any more
                    pipe.close()
            self._process.wait()


def serve(root: str) -> None:
    """Be the other process, for the workspace at ``root``, until nobody asks any more."""
    asked = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whoever prints does not disturb
    tracking = Tracking(Workspace(root))
    with contextlib.suppress(MLOpsError):  # it is told to who asks first
        tracking.variables("")
    while True:
        try:
            method, arguments, named = pickle.load(asked)
        except EOFError:
            os._exit(0)  # nothing is open: tidying up would only take time
        answer, error = None, None
        try:
            answer = getattr(tracking, method)(*arguments, **named)
        except MLOpsError as raised:
            error = raised
        except Exception as raised:  # noqa: BLE001  # told to whoever asked
            error = Unavailable(f"{type(raised).__name__}: {raised}".splitlines()[0][:300])
        answers.write(pickle.dumps((answer, error)))
        answers.flush()
