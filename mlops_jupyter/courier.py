"""The courier: turns journals into MLflow runs while kernels live, off the user's thread.

``python -m mlops_jupyter.courier WORKSPACE`` is started by a kernel on its first fit, in a session
of its own. It holds the lock ``courier``, ends when no kernel is left to serve and all is
delivered, and when the workspace's folder is gone. The JupyterLab server may stand in for it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time

from filelock import Timeout

from . import deferred, runs
from .errors import MLOpsError
from .models import now
from .workspace import Workspace

_PAUSE = 0.3
_RETRY = 5.0
_TRIES = 3


class Standing:
    """The right and duty to deliver for a workspace; one process has it at a time.

    Parameters
    ----------
    workspace:
        Whose journals are delivered.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = workspace.lock("courier", timeout=0)

    def acquire(self) -> bool:
        """Take the duty; ``False`` if another process has it."""
        try:
            self._lock.acquire()
        except Timeout:
            return False
        return True

    def poll(self) -> bool:
        """Whether a journal holds something to deliver (a few ``stat`` calls if none does)."""
        return bool(runs.pending(self._workspace) or deferred.pending(self._workspace))

    def release(self) -> None:
        """Lay the duty down; harmless without it."""
        self._lock.release()


def serve(workspace: Workspace) -> int:
    """Deliver until no kernel lives and nothing is left; returns an exit code."""
    standing = Standing(workspace)
    if not standing.acquire():
        return 0
    tries = 0
    try:
        while workspace.state.is_dir():
            living = bool(runs.living(workspace))  # asked first: what a kernel left is seen below
            if standing.poll():
                try:
                    runs.deliver(workspace)
                    deferred.deliver(workspace)
                    tries = 0
                except MLOpsError as error:
                    tries += 1
                    sys.stderr.write(f"{now()} {error}\n")
                    sys.stderr.flush()
                    if not living and tries >= _TRIES:
                        return error.exit_code
                    time.sleep(_RETRY)
                    continue
            elif not living:
                return 0
            time.sleep(_PAUSE)
        return 0
    finally:
        standing.release()


def main() -> None:
    """Entry point of the process; its one argument is the workspace's folder."""
    with contextlib.suppress(OSError, AttributeError):
        os.nice(5)
    sys.exit(serve(Workspace(sys.argv[1])))


if __name__ == "__main__":
    main()
