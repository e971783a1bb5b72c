"""Fixtures that all tests share, and the walls around each test: no test sees the settings of the
person who runs it, nor what an earlier test left in the environment."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tours import Played, play, stop

from mlops_jupyter.workspace import Workspace

pytest_plugins = ("pytest_jupyter.jupyter_server",)

settings.register_profile(
    "house",
    deadline=None,  # two cores shared with servers and a browser: time says nothing
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("house")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What fails fast runs first; the browser's loop, which lives to the end, runs last."""

    def late(item: pytest.Item) -> tuple[bool, bool]:
        markers = {marker.name for marker in item.iter_markers()}
        return "e2e" in markers, "slow" in markers

    items.sort(key=late)


_OURS = ("MLOPS_", "MLFLOW_", "PAPERMILL_")
_FOLDERS = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")


@pytest.fixture(scope="session", autouse=True)
def walls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The environment of the whole session: no settings of ours or MLflow's, Jupyter's and
    IPython's folders elsewhere, nothing sent to anyone."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(_OURS)]:
            patch.delenv(name)
        for name in ("JUPYTER_CONFIG_PATH", "JUPYTER_PATH", "JUPYTER_TOKEN"):
            patch.delenv(name, raising=False)
        for name in _FOLDERS:
            (home / name.lower()).mkdir()
            patch.setenv(name, str(home / name.lower()))
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.setenv("PYTHONUNBUFFERED", "1")
        yield


@pytest.fixture(autouse=True)
def walls_of_a_test(walls: None) -> Iterator[None]:
    """What a test changes in the environment or the working folder ends with it."""
    before, folder = dict(os.environ), Path.cwd()
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)
    os.chdir(folder)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace of its own."""
    return Workspace(tmp_path)


@pytest.fixture
def until() -> Callable[..., object]:
    """``until(condition, seconds=30)``: wait for a real condition, and return what it gave.

    Fails with the condition's last value when the deadline passes.
    """

    def wait(condition: Callable[[], object], seconds: float = 30.0) -> object:
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            if time.monotonic() > deadline:
                pytest.fail(f"still {found!r} after {seconds:g} s: {condition}")
            time.sleep(0.02)
        return found

    return wait


@pytest.fixture(scope="session")
def played(walls: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """The tour, played once for all tests that look at what it left; its endpoint is up."""
    home = tmp_path_factory.mktemp("newcomer")
    yield play(home)
    stop(home)
