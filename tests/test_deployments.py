"""Deployments with real server processes: start, follow, survive, stop."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import served

from mlops_jupyter import deployments, governance, records
from mlops_jupyter._mlflow import Tracking
from mlops_jupyter.errors import Conflict, InvalidInput, MissingDependency, NotFound, Unavailable
from mlops_jupyter.models import Deployment, ServedVersion
from mlops_jupyter.targets.base import lock_name, read_state
from mlops_jupyter.workspace import Workspace

Until = Callable[..., object]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, walls: None) -> Iterator[Workspace]:
    workspace = served.make(tmp_path_factory.mktemp("deployments"))
    yield workspace
    for deployment in deployments.list_deployments(workspace):
        deployments.stop(workspace, deployment.name)


@pytest.fixture(scope="module")
def prod(workspace: Workspace) -> Deployment:
    """``cancer@champion``, deployed by two callers at once."""
    made: list[Deployment] = []
    callers = [
        threading.Thread(
            target=lambda: made.append(deployments.deploy(workspace, "cancer", name="prod"))
        )
        for _ in range(2)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(made) == 2
    assert made[0] == made[1]
    return made[0]


def pid(workspace: Workspace, name: str) -> int:
    state = read_state(workspace, name)
    assert state is not None
    return state.pid


def ask(client: httpx.Client, rows: Any, id: str = "") -> httpx.Response:
    headers = {"X-Request-Id": id} if id else {}
    return client.post("/invocations", json={"instances": rows}, headers=headers)


def test_a_deployment_answers_like_the_model(workspace: Workspace, prod: Deployment) -> None:
    assert prod.status == "ready"
    assert prod.url.startswith("http://127.0.0.1:")
    assert prod.versions == [ServedVersion("1", 1.0)]
    frame = served.X.head(30)
    expected = Tracking(workspace).load("cancer", "1").predict(frame).tolist()
    with httpx.Client(base_url=prod.url) as client:
        answer = ask(client, frame.to_numpy().tolist())
    assert answer.json() == {"predictions": expected}
    assert answer.headers["X-MLOps-Version"] == "1"


def test_figures_reach_the_store(workspace: Workspace, prod: Deployment, until: Until) -> None:
    events = workspace.follow()
    with httpx.Client(base_url=prod.url) as client:
        before = client.get("/stats").json()
        for _ in range(5):
            assert ask(client, [[1.0] * 10]).status_code == 200
        assert ask(client, [["x"] * 10]).status_code == 400

    def shown() -> Deployment | None:
        now = deployments.show_deployment(workspace, "prod")
        return now if now.requests == before["requests"] + 6 else None

    now = until(shown)
    assert isinstance(now, Deployment)
    assert now.errors == before["errors"] + 1
    assert now.p50_ms is not None
    assert now.p99_ms is not None
    assert 0 < now.p50_ms <= now.p99_ms
    until(lambda: [e for e in events.read() if (e.noun, e.id) == ("deployments", "prod")])


def test_deploying_again_is_no_second_server(workspace: Workspace, prod: Deployment) -> None:
    again = deployments.deploy(workspace, "cancer", name="prod")
    assert (again.url, again.status) == (prod.url, "ready")
    with pytest.raises(Conflict, match="Stop it first: mlops deployments stop prod"):
        deployments.deploy(workspace, "bare", name="prod", version="1")
    with pytest.raises(Conflict):
        deployments.deploy(workspace, "cancer", name="prod", version="2")
    assert [d.name for d in deployments.list_deployments(workspace)] == ["prod"]


class Clients:
    """Threads that ask one row after the other, each on its own connection."""

    def __init__(self, url: str, number: int = 4) -> None:
        self.answers: list[tuple[str, int, str, Any]] = []
        self.broken: list[httpx.HTTPError] = []
        self._url = url
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(number)]
        for thread in self._threads:
            thread.start()

    def _run(self, number: int) -> None:
        rows = served.X.to_numpy().tolist()
        with httpx.Client(base_url=self._url) as client:
            for turn in itertools.count():
                if self._end.is_set():
                    return
                row = (turn * 4 + number) % len(rows)
                try:
                    answer = ask(client, [rows[row]], f"{number}-{turn}-{row}")
                except httpx.HTTPError as error:
                    self.broken.append(error)
                    return
                version = answer.headers["X-MLOps-Version"]
                body = answer.json() if answer.status_code == 200 else answer.text
                self.answers.append((f"{number}-{turn}-{row}", answer.status_code, version, body))

    def versions(self) -> set[str]:
        return {version for _, _, version, _ in self.answers[-20:]}

    def join(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()


def test_the_alias_moves_under_load(workspace: Workspace, prod: Deployment, until: Until) -> None:
    tracking = Tracking(workspace)
    clients = Clients(prod.url)
    try:
        for version in ("2", "1", "2"):
            governance.promote(workspace, "cancer", version)
            until(lambda version=version: clients.versions() == {version})
        shown = deployments.show_deployment(workspace, "prod")
    finally:
        clients.join()
        governance.promote(workspace, "cancer", "1")
    assert shown.versions == [ServedVersion("2", 1.0)]
    assert shown.error is None
    assert not clients.broken
    expected = {v: tracking.load("cancer", v).predict(served.X).tolist() for v in ("1", "2")}
    seen = set()
    for id, status, version, body in clients.answers:
        assert status == 200, body
        assert body == {"predictions": [expected[version][int(id.rsplit("-")[-1])]]}
        seen.add(version)
    assert seen == {"1", "2"}
    recorded = {r.request_id: r for r in records.read(workspace, "prod") if "-" in r.request_id}
    assert len(recorded) == len(clients.answers)
    for id, _, version, body in clients.answers:
        assert (recorded[id].version, [recorded[id].output]) == (version, body["predictions"])
    until(lambda: moves(workspace)[-1:] == ["1"])
    assert moves(workspace)[-4:] == ["2", "1", "2", "1"]


def moves(workspace: Workspace) -> list[str]:
    log = governance.audit_log(workspace)
    return [entry.detail["to"] for entry in log if entry.action == "deployment.version"]


def test_a_version_that_cannot_be_loaded_never_answers(
    workspace: Workspace, prod: Deployment, until: Until
) -> None:
    tracking = Tracking(workspace)
    before = set((workspace.state / "artifacts").rglob("MLmodel"))
    version = served.register(workspace, "cancer", served.fitted(0.1), served.X.head())
    [broken] = set((workspace.state / "artifacts").rglob("MLmodel")) - before
    (broken.parent / "model.pkl").write_bytes(b"not a pickle")
    events = workspace.follow()
    tracking.set_alias("cancer", "champion", version)

    def error() -> str:
        return deployments.show_deployment(workspace, "prod").error or ""

    assert f"Version {version} is not served: cancer/{version} cannot be loaded" in str(
        until(error)
    )
    assert "\n" not in error()
    with httpx.Client(base_url=prod.url) as client:
        assert ask(client, [[1.0] * 10]).headers["X-MLOps-Version"] == "1"
    until(lambda: [event for event in events.read() if event.change == "error"])
    tracking.set_alias("cancer", "champion", "1")
    until(lambda: error() == "")


def test_kill_9_loses_no_answered_request(workspace: Workspace, until: Until) -> None:
    name = "killed"
    first = deployments.deploy(workspace, "cancer", name=name, version="2")
    assert first.alias is None
    clients = Clients(first.url)
    until(lambda: len(clients.answers) > 200)
    os.kill(pid(workspace, name), signal.SIGKILL)
    clients.join()
    assert clients.broken
    recorded = {record.request_id for record in records.read(workspace, name)}
    answered = {id for id, *_ in clients.answers}
    assert len(answered) > 200
    assert answered <= recorded
    assert len(recorded - answered) <= 4  # under way when the process was killed
    failed = until(lambda: _failed(workspace, name))
    assert "ended without being stopped" in str(failed)
    assert [d.status for d in deployments.list_deployments(workspace) if d.name == name] == [
        "failed"
    ]

    again = deployments.deploy(workspace, "cancer", name=name, version="2")
    assert (again.status, again.error) == ("ready", None)
    with httpx.Client(base_url=again.url) as client:
        ask(client, [[1.0] * 10], "after the crash")
    assert records.read(workspace, name, last=1)[0].request_id == "after the crash"
    assert records.count(workspace, name) == len(recorded) + 1

    clients = Clients(again.url)
    until(lambda: len(clients.answers) > 50)
    process = pid(workspace, name)
    stopped = deployments.stop(workspace, name)
    clients.join()
    assert stopped.status == "stopped"
    assert not Path(f"/proc/{process}").exists()
    assert not workspace.held(lock_name(name))
    assert {status for _, status, _, _ in clients.answers} == {200}
    recorded = {record.request_id for record in records.read(workspace, name)}
    assert {id for id, *_ in clients.answers} <= recorded
    assert deployments.show_deployment(workspace, name).status == "stopped"
    assert deployments.stop(workspace, name).status == "stopped"
    assert "Serving cancer/2" in deployments.logs(workspace, name)
    actions = [e.action for e in governance.audit_log(workspace) if e.subject == name]
    assert actions == ["deployment.deploy", "deployment.deploy", "deployment.stop"]
    assert governance.verify_audit(workspace) == []


def _failed(workspace: Workspace, name: str) -> str | None:
    shown = deployments.show_deployment(workspace, name)
    return shown.error if shown.status == "failed" else None


def test_the_server_ends_with_its_workspace(
    workspace: Workspace, tmp_path: Path, until: Until
) -> None:
    copy = Workspace(shutil.copytree(workspace.root, tmp_path / "copy"))
    made = deployments.deploy(copy, "cancer", name="lonely", version="1")
    process = pid(copy, "lonely")
    assert httpx.get(f"{made.url}/ping").status_code == 200
    shutil.rmtree(copy.root)

    def ended() -> bool:
        try:
            return os.waitpid(process, os.WNOHANG)[0] == process
        except ChildProcessError:
            return not Path(f"/proc/{process}").exists()

    until(ended)
    assert not copy.root.exists(), "the server must not bring the folder back"


def nothing_left(workspace: Workspace, name: str) -> None:
    assert name not in {found.name for found in deployments.list_deployments(workspace)}
    assert read_state(workspace, name) is None
    assert not workspace.held(lock_name(name))
    assert not records.count(workspace, name)


def test_a_port_in_use(workspace: Workspace) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=f"Port {port} is in use.") as caught:
            deployments.deploy(workspace, "cancer", name="late", port=port)
    assert caught.value.exit_code == 3
    assert caught.value.hint
    nothing_left(workspace, "late")


def test_a_model_that_cannot_be_served(workspace: Workspace) -> None:
    with pytest.raises(Unavailable, match="no signature with columns"):
        deployments.deploy(workspace, "unsigned", name="unsigned", version="1")
    nothing_left(workspace, "unsigned")


def test_time_is_up(workspace: Workspace) -> None:
    with pytest.raises(Unavailable, match="did not answer in time"):
        deployments.deploy(workspace, "cancer", name="slow", timeout=0.0)
    nothing_left(workspace, "slow")


@pytest.mark.parametrize(
    ("model", "choice", "says"),
    [
        ("absent", {}, "no model 'absent'"),
        ("a b", {}, "no model 'a b'"),
        ("cancer", {"alias": "challenger"}, "no alias 'challenger'"),
        ("cancer", {"version": "77"}, "no version '77'"),
        ("cancer", {"target": "moon"}, "no target named 'moon'"),
    ],
)
def test_what_is_not_there(
    workspace: Workspace, model: str, choice: dict[str, Any], says: str
) -> None:
    with pytest.raises(NotFound, match=says) as caught:
        deployments.deploy(workspace, model, name="none", **choice)
    assert caught.value.hint
    nothing_left(workspace, "none")


@pytest.mark.parametrize("name", ["../x", "", "a/b", "a b", ".hidden", "-x", "x" * 64, "a\n", "ü"])
def test_names_that_are_refused(workspace: Workspace, name: str) -> None:
    before = sorted((workspace.state / "locks").iterdir())
    with pytest.raises(InvalidInput, match="cannot be a deployment's name"):
        deployments.deploy(workspace, "cancer", name=name)
    for call in (deployments.show_deployment, deployments.stop, deployments.logs):
        with pytest.raises(NotFound):
            call(workspace, name)
    assert sorted((workspace.state / "locks").iterdir()) == before


def test_bad_choices(workspace: Workspace) -> None:
    with pytest.raises(InvalidInput, match="Invalid model name"):
        deployments.deploy(workspace, "a/b", name="none")
    with pytest.raises(InvalidInput, match="Neither"):
        deployments.deploy(workspace, "cancer", name="none", alias=None)
    for port in (-1, 65536):
        with pytest.raises(InvalidInput, match="no port"):
            deployments.deploy(workspace, "cancer", name="none", port=port)


def test_serving_needs_its_extra(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingDependency, match=r"pip install 'mlops_jupyter\[serve\]'"):
        deployments.deploy(workspace, "cancer", name="none")
    nothing_left(workspace, "none")


def test_shareable_files_hold_no_path(workspace: Workspace, prod: Deployment) -> None:
    with httpx.Client(base_url=prod.url) as client:
        ask(client, np.ones((1, 10)).tolist())
    root = str(workspace.root).encode()
    for file in (workspace.state / "records").rglob("*.log"):
        assert root not in file.read_bytes()
