"""The scoring server's process: ``python -m mlops_jupyter.scoring WORKSPACE --name N --model M``.

It holds the lock ``deployment-<name>`` as long as it lives, says where it listens in its state
file, and keeps the store's :class:`~mlops_jupyter.models.Deployment` up to date. Beside the event
loop, one thread follows the alias: another version is loaded and warmed while the old one answers,
then takes over between two requests; one that cannot be loaded or does not predict never does.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import logging
import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import governance, records
from .._mlflow import Tracking
from .._store import Store
from ..errors import MLOpsError, NotFound, Unavailable
from ..models import Deployment, ServedVersion
from ..targets.base import Spec, State, lock_name, state_path, write_state
from ..workspace import Workspace
from .predictor import Predictor, foreign_code

_log = logging.getLogger("mlops_jupyter.scoring")

_TICK = 0.2
_ALIAS_EVERY = 10.0
_FIGURES_EVERY = 1.0
_ANNOUNCE_EVERY = 2.0
_GRACE = 15


class Follower(threading.Thread):
    """Follows the alias, writes the figures, and notices that the workspace is gone.

    Parameters
    ----------
    service:
        The :class:`~mlops_jupyter.scoring.endpoints.Service` whose predictor it replaces.
    on_gone:
        Called once, from this thread, when the workspace's folder is no longer there.
    """

    def __init__(
        self, workspace: Workspace, spec: Spec, service: Any, on_gone: Callable[[], None]
    ) -> None:
        super().__init__(name="follower", daemon=True)
        self._workspace = workspace
        self._spec = spec
        self._service = service
        self._on_gone = on_gone
        self._tracking = Tracking(workspace)
        self._store = Store(workspace)
        self._events = workspace.follow()
        self._end = threading.Event()
        self._refused: str | None = None
        self._error: str | None = None
        self._published: tuple[str, str | None] = (service.predictor.version, None)
        self._alias_due = time.monotonic() + _ALIAS_EVERY
        self._figures_due = self._announce_due = 0.0
        self._written = self._announced = service.figures.snapshot()

    def run(self) -> None:
        """Look about every 0.2 s until :meth:`end` is called or the workspace is gone."""
        while not self._end.wait(_TICK):
            if not workspace_is_there(self._workspace):
                _log.info("The workspace is gone.")
                self._on_gone()
                return
            try:
                self._follow()
                self._publish()
                self.write_figures()
            except (MLOpsError, OSError) as error:
                _log.warning("%s", error)

    def end(self) -> None:
        """Stop following, and write the last figures."""
        self._end.set()
        self.join()

    def _follow(self) -> None:
        if self._spec.alias is None:
            return
        moved = any(
            event.noun == "models" and event.id == self._spec.model for event in self._events.read()
        )
        if not moved and time.monotonic() < self._alias_due:
            return
        self._alias_due = time.monotonic() + _ALIAS_EVERY
        version = self._tracking.alias(self._spec.model, self._spec.alias)
        if version is None:
            self._error = f"Alias @{self._spec.alias} of {self._spec.model!r} is gone."
        elif version == self._service.predictor.version:
            self._refused = self._error = None
        elif moved or version != self._refused:
            self._hand_over(version)

    def _hand_over(self, version: str) -> None:
        last = records.read(self._workspace, self._spec.name, last=1)
        try:
            predictor = load(self._tracking, self._spec.model, version)
            predictor.warm(last[0].inputs if last else None)
        except MLOpsError as error:
            self._refused = None if isinstance(error, Unavailable) else version
            self._error = f"Version {version} is not served: {error.message}"
            _log.warning("%s", self._error)
            return
        self._service.predictor = predictor
        self._refused = self._error = None
        _log.info("Version %s took over.", version)

    def _publish(self) -> None:
        """Show with the deployment which version answers and what is wrong, if that changed."""
        version, (before, error) = self._service.predictor.version, self._published
        if (version, self._error) == (before, error):
            return
        name = self._spec.name
        served = [ServedVersion(version, 1.0)]
        self._store.update(Deployment, name, versions=served, error=self._error)
        if version != before:
            detail = {"model": self._spec.model, "from": before, "to": version}
            governance.record(self._workspace, "deployment.version", name, detail)
        self._published = (version, self._error)
        change = f"version {version}" if version != before else "error" if self._error else "ready"
        self._workspace.announce("deployments", name, change)

    def write_figures(self, *, now: bool = False) -> None:
        """Write the figures to the store if they changed: once a second, or ``now``."""
        moment = time.monotonic()
        if not now and moment < self._figures_due:
            return
        self._figures_due = moment + _FIGURES_EVERY
        figures = self._service.figures.snapshot()
        if figures != self._written:
            self._store.update(Deployment, self._spec.name, **vars(figures))
            self._written = figures
        if figures != self._announced and (now or moment >= self._announce_due):
            self._workspace.announce("deployments", self._spec.name, "figures")
            self._announce_due, self._announced = moment + _ANNOUNCE_EVERY, figures


def workspace_is_there(workspace: Workspace) -> bool:
    """Whether the workspace's folder (still) exists; nothing is created."""
    return (workspace.state / "version").exists()


def load(tracking: Tracking, model: str, version: str) -> Predictor:
    """Load one version behind its compiled signature.

    Raises
    ------
    NotFound, Unavailable
        If it is not there.
    InvalidInput
        If its signature cannot be served.
    WorkFailed
        If its files cannot be read back.
    """
    with foreign_code(f"{model}/{version} cannot be loaded"):
        return Predictor(tracking.load(model, version))


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises
    ------
    Unavailable
        If the port is in use or may not be used, or there is no such address.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        server = socket.socket(family, kind, protocol)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(address)
        server.listen(2048)
    except (OSError, UnicodeError) as error:
        in_use = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        reason = getattr(error, "strerror", None) or error
        raise Unavailable(
            f"Port {port} is in use." if in_use else f"Cannot listen on {host}:{port}: {reason}.",
            hint="Choose another port, or 0 for any free one.",
        ) from error
    return server


def serve(workspace: Workspace, spec: Spec) -> None:
    """Serve until a signal ends it or the workspace is gone; the caller holds the lock.

    Raises
    ------
    MLOpsError
        If it cannot start.
    """
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    signal.signal(signal.SIGINT, lambda *_: stopped.set())
    starting = State("starting", os.getpid())
    write_state(workspace, spec.name, starting)
    server_socket = listen(spec.host, spec.port)
    port = server_socket.getsockname()[1]

    import uvicorn

    from .endpoints import Service, build

    tracking = Tracking(workspace)
    version = spec.version or tracking.alias(spec.model, spec.alias or "")
    if version is None:
        raise NotFound(f"Model {spec.model!r} has no alias {spec.alias!r}.")
    predictor = load(tracking, spec.model, version)
    predictor.warm()
    service = Service(spec.name, predictor, records.Writer(workspace, spec.name))
    config = uvicorn.Config(
        build(service),
        http="httptools",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
    follower = Follower(workspace, spec, service, stopped.set)
    Store(workspace).update(
        Deployment,
        spec.name,
        url=f"http://{f'[{spec.host}]' if ':' in spec.host else spec.host}:{port}",
        status="ready",
        versions=[ServedVersion(version, 1.0)],
        error=None,
        **vars(service.figures.snapshot()),
    )
    write_state(workspace, spec.name, replace(starting, status="ready", host=spec.host, port=port))
    _log.info("Serving %s/%s on port %d.", spec.model, version, port)
    follower.start()
    _until(stopped, config).run(sockets=[server_socket])
    follower.end()
    service.close()
    if workspace_is_there(workspace):
        follower.write_figures(now=True)
        Store(workspace).update(Deployment, spec.name, status="stopped")
        workspace.announce("deployments", spec.name, "stopped")
        state_path(workspace, spec.name).unlink(missing_ok=True)
    _log.info("Stopped.")


def _until(stopped: threading.Event, config: Any) -> Any:
    """A uvicorn server that ends when ``stopped`` is set, and leaves signals alone."""
    import uvicorn

    class Server(uvicorn.Server):
        async def on_tick(self, counter: int) -> bool:
            return stopped.is_set() or await super().on_tick(counter)

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return Server(config)


def main(arguments: list[str] | None = None) -> int:
    """Run the server; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m mlops_jupyter.scoring")
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--model", required=True)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--alias")
    which.add_argument("--version")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    given = vars(parser.parse_args(arguments))
    workspace = Workspace(given.pop("workspace"))
    spec = Spec(**given)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    warnings.simplefilter("ignore")
    sys.path.append(str(workspace.root))
    lock = workspace.lock(lock_name(spec.name), timeout=10)
    try:
        lock.acquire()  # and never released: the system does, when this process has ended
    except TimeoutError:
        _log.error("Another server of %r lives.", spec.name)
        return Unavailable.exit_code
    try:
        serve(workspace, spec)
    except MLOpsError as error:
        _log.error("%s", error)
        failed = State("failed", os.getpid(), error=error.message, hint=error.hint)
        write_state(workspace, spec.name, failed)
        return error.exit_code
    return 0
