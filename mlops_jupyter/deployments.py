"""Deployments: models served under a name, from ``deploy`` to ``stop``.

Whether a deployment's server lives is told by the lock it holds, never by a time-out; the store
says what it is, the server itself keeps its figures there.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import time
from dataclasses import replace

from . import governance, plugins
from ._mlflow import Tracking
from ._store import Store
from .errors import Conflict, InvalidInput, NotFound, Unavailable
from .models import Deployment
from .targets.base import Spec, State, Target
from .workspace import Workspace

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_POLL = 0.03


def deploy(
    workspace: Workspace,
    model: str,
    *,
    name: str,
    alias: str | None = "champion",
    version: str | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    target: str = "local",
    timeout: float = 60.0,
) -> Deployment:
    """Serve a registered model under ``name``; returns when it answers.

    Parameters
    ----------
    model:
        The registered model's name.
    alias:
        The alias to follow: when it moves, so does the deployment.
    version:
        Instead of an alias, the one version to serve.
    port:
        Where to listen; 0 takes any free port.
    target:
        Where to serve it, a plug-in of the family ``targets``.
    timeout:
        Seconds to wait until it answers.

    Raises
    ------
    InvalidInput
        If the name cannot be a deployment's, or neither alias nor version is given.
    NotFound
        If there is no such model, alias, version or target.
    Conflict
        If a deployment of that name already serves something else.
    MissingDependency
        If a library that serving needs is not installed.
    Unavailable
        If it cannot start: the port is in use, the model cannot be loaded, time is up. Nothing is
        left behind then.
    """
    _check(name, port)
    followed = alias if version is None else None
    if followed is None and version is None:
        raise InvalidInput("Neither alias nor version is given.", hint="Give one of them.")
    place: Target = plugins.load("targets", target)(workspace)
    store = Store(workspace)
    with workspace.lock(_starting(name)):
        before = _find(store, name)
        if before is not None and place.alive(name):
            same = (before.model, before.alias) == (model, followed)
            if same and (version is None or [v.version for v in before.versions] == [version]):
                return before
            raise Conflict(
                f"Deployment {name!r} is running and serves {before.model!r}.",
                hint=f"Stop it first: mlops deployments stop {name}",
            )
        _check_model(workspace, model, followed, version)
        store.put(Deployment(name, "", "starting", model, [], followed, target=target))
        spec = Spec(name, model, followed, version, host, port)
        try:
            place.start(spec)
            _wait(place, spec, time.monotonic() + timeout)
        except BaseException:
            with contextlib.suppress(Unavailable):
                place.stop(name, timeout=2.0)
            if before is None:
                store.delete(Deployment, name)
            else:
                store.put(before)
            raise
        started = store.get(Deployment, name)
    detail = {"model": model, "alias": followed, "version": started.versions[0].version}
    governance.record(workspace, "deployment.deploy", name, detail)
    workspace.announce("deployments", name, "ready")
    return started


def list_deployments(workspace: Workspace) -> list[Deployment]:
    """All deployments, newest first, each as it is now."""
    return [_as_it_is(workspace, found) for found in Store(workspace).all(Deployment)]


def show_deployment(workspace: Workspace, name: str) -> Deployment:
    """One deployment as it is now.

    Raises
    ------
    NotFound
        If there is none with that name.
    """
    return _as_it_is(workspace, _get(workspace, name))


def stop(workspace: Workspace, name: str) -> Deployment:
    """End a deployment's server after it has answered what it accepted. Its records stay.

    Raises
    ------
    NotFound
        If there is no deployment with that name.
    Unavailable
        If its server does not end.
    """
    known = _get(workspace, name)
    target = _target(workspace, known)
    with workspace.lock(_starting(name)):
        running = target.alive(name)
        target.stop(name)
        stopped = Store(workspace).update(Deployment, name, status="stopped", error=None)
    if running:
        governance.record(workspace, "deployment.stop", name, {"model": known.model})
        workspace.announce("deployments", name, "stopped")
    return stopped


def logs(workspace: Workspace, name: str, lines: int = 100) -> str:
    """The last ``lines`` lines of a deployment's log.

    Raises
    ------
    NotFound
        If there is no deployment with that name.
    """
    return _target(workspace, _get(workspace, name)).logs(name, lines)


def _starting(name: str) -> str:
    """The lock that is held while a deployment is started or stopped."""
    return f"deploy-{name}"


def _check(name: str, port: int) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{name[:70]!r} cannot be a deployment's name.",
            hint="Use up to 63 letters, digits, - . and _, a letter or digit first.",
        )
    if not 0 <= port <= 65535:
        raise InvalidInput(f"There is no port {port}.", hint="Use 0 to 65535.")


def _check_model(workspace: Workspace, model: str, alias: str | None, version: str | None) -> None:
    tracking = Tracking(workspace)
    if version is not None:
        tracking.version(model, version)
    elif alias is not None and tracking.alias(model, alias) is None:
        tracking.model(model)
        raise NotFound(
            f"Model {model!r} has no alias {alias!r}.",
            hint=f"Set it with: mlops models promote {model} VERSION --alias {alias}",
        )


def _find(store: Store, name: str) -> Deployment | None:
    with contextlib.suppress(NotFound):
        return store.get(Deployment, name)
    return None


def _get(workspace: Workspace, name: str) -> Deployment:
    found = _find(Store(workspace), name)
    if found is None:
        raise NotFound(f"There is no deployment {name!r}.", hint="See: mlops deployments list")
    return found


def _target(workspace: Workspace, deployment: Deployment) -> Target:
    target: Target = plugins.load("targets", deployment.target)(workspace)
    return target


def _wait(target: Target, spec: Spec, deadline: float) -> None:
    """Wait until the server answers.

    Raises
    ------
    Unavailable
        With the server's own reason, if it could not start.
    """
    while time.monotonic() < deadline:
        state = target.state(spec.name)
        if state is not None and state.status == "failed":
            raise Unavailable(
                state.error, hint=state.hint or f"See .mlops/logs/deployment-{spec.name}.log."
            )
        if state is not None and state.status == "ready" and _answers(state):
            return
        time.sleep(_POLL)
    raise Unavailable(
        f"Deployment {spec.name!r} did not answer in time.",
        hint=f"See .mlops/logs/deployment-{spec.name}.log.",
    )


def _answers(state: State) -> bool:
    connection = http.client.HTTPConnection(state.host, state.port, timeout=2.0)
    try:
        connection.request("GET", "/v2/health/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _as_it_is(workspace: Workspace, known: Deployment) -> Deployment:
    """``known`` with the truth about its server: one that died without being stopped has failed."""
    if known.status not in ("starting", "ready"):
        return known
    target = _target(workspace, known)
    if target.alive(known.name) or workspace.held(_starting(known.name)):
        return known
    store = Store(workspace)
    latest = _find(store, known.name)
    if latest is None or latest.status not in ("starting", "ready"):
        return latest or replace(known, status="stopped")
    last = target.logs(known.name, 1).strip()
    reason = "The server ended without being stopped." + (f" Its log ends: {last}" if last else "")
    failed = store.update(Deployment, known.name, status="failed", error=reason)
    workspace.announce("deployments", known.name, "failed")
    return failed
