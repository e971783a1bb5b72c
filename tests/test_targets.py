"""The local target keeps the family's contract, and what is its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator

import pytest
import served

from mlops_jupyter import plugins
from mlops_jupyter._store import Store
from mlops_jupyter.errors import MissingDependency
from mlops_jupyter.models import Deployment
from mlops_jupyter.targets.base import Spec, State, read_state, state_path, write_state
from mlops_jupyter.targets.local import LocalTarget
from mlops_jupyter.testing import TargetConformance
from mlops_jupyter.workspace import Workspace


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, walls: None) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("targets"))
    served.register(workspace, "cancer", served.fitted(), served.X.head())
    return workspace


@pytest.fixture
def target(models: Workspace) -> LocalTarget:
    return LocalTarget(models)


@pytest.fixture
def spec(models: Workspace, request: pytest.FixtureRequest, target: LocalTarget) -> Iterator[Spec]:
    name = request.node.name.removeprefix("test_")[:40]
    Store(models).put(Deployment(name, "", "starting", "cancer", [], None))
    yield Spec(name, "cancer", None, "1")
    target.stop(name)


class TestLocalTarget(TargetConformance):
    def test_it_is_registered(self) -> None:
        assert plugins.load("targets", "local") is LocalTarget

    def test_the_server_outlives_who_started_it(
        self, target: LocalTarget, spec: Spec, until: Callable[..., object]
    ) -> None:
        """Its own session: no key pressed in the starter's terminal reaches it."""
        target.start(spec)
        until(lambda: read_state(target.workspace, spec.name), 60)
        state = read_state(target.workspace, spec.name)
        assert state is not None
        assert os.getsid(state.pid) == state.pid != os.getsid(0)
        target.stop(spec.name)
        assert not os.path.exists(f"/proc/{state.pid}")

    def test_a_stale_state_ends_nobody_else(self, target: LocalTarget, spec: Spec) -> None:
        """A state file left by a crash may name a process that is not ours by now."""
        write_state(target.workspace, spec.name, State("ready", os.getpid(), "127.0.0.1", 1))
        target.stop(spec.name)
        assert not state_path(target.workspace, spec.name).exists()

    def test_a_half_written_state_is_none(self, target: LocalTarget, spec: Spec) -> None:
        state_path(target.workspace, spec.name).write_text('{"status": "rea')
        assert target.state(spec.name) is None

    @pytest.mark.parametrize("library", ["uvicorn", "starlette", "httptools", "msgspec"])
    def test_a_missing_library(
        self, target: LocalTarget, spec: Spec, library: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(MissingDependency, match=rf"{library}.*mlops_jupyter\[serve\]"):
            target.start(spec)
        assert target.state(spec.name) is None
