"""The server extension: who may ask, what is refused, what is answered, what is said live."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import nbformat
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_core.utils import ensure_async
from nbformat.v4 import new_code_cell, new_notebook
from tornado.httpclient import HTTPResponse

from mlops_jupyter import models, records
from mlops_jupyter._store import Store
from mlops_jupyter.errors import InvalidInput
from mlops_jupyter.server import launch
from mlops_jupyter.server.relay import MANY, SCHEMA_ID, coalesce
from mlops_jupyter.server.requests import Request, check_name, parse
from mlops_jupyter.server.routes import PREFIX, ROUTES
from mlops_jupyter.workspace import ENV, Workspace

LISTS = ("runs", "models", "pipelines", "deployments", "monitors", "alerts", "audit")
XSRF = "ab" * 16
PATHS = [(route.method, re.sub(r"\(\?P<.*?\)", "x", route.path)) for route in ROUTES]


class Answer(NamedTuple):
    status: int
    body: Any
    headers: Any

    @property
    def code(self) -> str:
        """The code of an ErrorBody; fails when the answer is none."""
        assert set(self.body) == {"code", "message", "hint"}, self.body
        assert "Traceback" not in json.dumps(self.body)
        return str(self.body["code"])


Ask = Callable[..., Awaitable[Answer]]


@pytest.fixture
def jp_server_config() -> dict[str, Any]:
    return {
        "ServerApp": {
            "jpserver_extensions": {"mlops_jupyter": True},
            "reraise_server_extension_failures": True,
        }
    }


@pytest.fixture
def root(jp_root_dir: Path) -> Path:
    return jp_root_dir


@pytest.fixture
def project(root: Path) -> Workspace:
    return Workspace(root).ensure()


@pytest.fixture
def ask(jp_serverapp: Any, http_server_client: Any, jp_base_url: str) -> Ask:
    """``await ask("POST", "models/a/promote", {...})``; ``auth=False`` leaves the token out."""

    async def call(
        method: str,
        path: str,
        body: Any = None,
        *,
        auth: bool = True,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        token = {"Authorization": f"token {jp_serverapp.identity_provider.token}"} if auth else {}
        raw = body if isinstance(body, bytes) else json.dumps(body) if body is not None else None
        response: HTTPResponse = await http_server_client.fetch(
            f"{jp_base_url}{PREFIX}/{path}",
            method=method,
            body=raw,
            headers={**token, **(headers or {})},
            raise_error=False,
            follow_redirects=False,
            allow_nonstandard_methods=True,
            request_timeout=60,
        )
        assert response.headers["Content-Type"].startswith("application/json")
        return Answer(response.code, json.loads(response.body), response.headers)

    return call


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_notebook(path: Path, source: str = "print(x)", parameter: str = "x: int = 1") -> None:
    parameters = new_code_cell(parameter, metadata={"tags": ["parameters"]})
    nbformat.write(new_notebook(cells=[parameters, new_code_cell(source)]), path)


def predict(url: str, times: int) -> None:
    with httpx.Client(base_url=url) as client:
        for number in range(times):
            body = {"dataframe_split": {"columns": ["x"], "data": [[100.0 + number]]}}
            assert client.post("/invocations", json=body).status_code == 200


async def counted(ask: Ask, name: str, requests: int) -> bool:
    return bool((await ask("GET", f"deployments/{name}")).body["requests"] == requests)


async def eventually(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Wait on the loop for a real condition."""
    deadline = time.monotonic() + seconds
    while not (found := await ensure_async(condition())):
        assert time.monotonic() < deadline, f"still {found!r} after {seconds:g} s"
        await asyncio.sleep(0.02)
    return found


# --- who may ask ------------------------------------------------------------------------------


async def test_every_route_refuses_strangers(ask: Ask, project: Workspace) -> None:
    assert len(PATHS) > 15
    pair = {"Cookie": f"_xsrf={XSRF}", "X-XSRFToken": XSRF}  # anyone can make one
    for method, path in PATHS:
        body = {} if method == "POST" else None
        answer = await ask(method, path, body, auth=False, headers=pair)
        assert (answer.status, answer.code) == (403, "Forbidden"), (method, path)


async def test_a_page_of_another_site_cannot_post(
    ask: Ask, jp_serverapp: Any, http_server_client: Any, jp_base_url: str, project: Workspace
) -> None:
    token = jp_serverapp.identity_provider.token
    login = await http_server_client.fetch(
        f"{jp_base_url}login?token={token}", follow_redirects=False, raise_error=False
    )
    cookies = [header.split(";")[0] for header in login.headers.get_list("Set-Cookie")]
    assert any("username" in cookie for cookie in cookies)
    jar = {"Cookie": "; ".join([*cookies, f"_xsrf={XSRF}"])}
    for method, path in PATHS:
        if method == "GET":
            continue
        body = {} if method == "POST" else None
        refused = await ask(method, path, body, auth=False, headers=jar)
        assert (refused.status, refused.code) == (403, "Forbidden"), (method, path)
        known = await ask(method, path, body, auth=False, headers={**jar, "X-XSRFToken": XSRF})
        assert known.status != 403, (method, path)


async def test_the_authorizer_is_asked_for_each_method(
    ask: Ask, jp_serverapp: Any, project: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def is_authorized(handler: Any, user: Any, action: str, resource: str) -> bool:
        asked.append((action, resource))
        return action == "read"

    monkeypatch.setattr(jp_serverapp.authorizer, "is_authorized", is_authorized)
    assert (await ask("GET", "deployments")).status == 200
    assert (await ask("POST", "deployments", {})).code == "Forbidden"
    assert (await ask("DELETE", "deployments/x")).code == "Forbidden"
    assert asked == [("read", "mlops"), ("write", "mlops"), ("write", "mlops")]


# --- a folder that is no workspace ------------------------------------------------------------


async def test_an_empty_folder_has_nothing_and_stays_empty(ask: Ask, root: Path) -> None:
    for path in LISTS:
        answer = await ask("GET", path)
        assert (answer.status, answer.body) == (200, []), path
    for method, path in PATHS:
        if "x" not in path.split("/"):
            continue
        body = {"version": "1"} if path.endswith("promote") else None
        answer = await ask(method, path, body)
        assert (answer.status, answer.code) == (404, "NotFound"), (method, path)
        assert "'x'" in answer.body["message"]
    answer = await ask("POST", "deployments", {"model": "m", "name": "d"})
    assert (answer.status, answer.code) == (404, "NotFound")
    assert entries(root) == []


def test_kernels_get_the_servers_workspace(project: Workspace, jp_serverapp: Any) -> None:
    assert os.environ[ENV] == str(project.root)


def test_the_workspace_is_found_above_the_servers_folder(
    root: Path, jp_configurable_serverapp: Any
) -> None:
    (root / "mlops.toml").write_text("")
    (root / "notebooks").mkdir()
    jp_configurable_serverapp(root_dir=root / "notebooks")
    assert os.environ[ENV] == str(root)


# --- what is refused --------------------------------------------------------------------------


async def test_unknown_paths_and_methods(ask: Ask, project: Workspace) -> None:
    assert (await ask("GET", "nothing/here")).code == "NotFound"
    assert (await ask("GET", "nothing", auth=False)).code == "Forbidden"
    answer = await ask("POST", "runs", {})
    assert (answer.status, answer.code) == (405, "MethodNotAllowed")
    assert (await ask("PUT", "runs", {})).status == 405


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "ten", "1e2", "", "9" * 5000, "٣"])
async def test_bad_page_sizes(ask: Ask, limit: str) -> None:
    from urllib.parse import quote

    for path in LISTS:
        answer = await ask("GET", f"{path}?limit={quote(limit)}")
        assert (answer.status, answer.code) == (400, "InvalidInput")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b'{"version": NaN}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        ([], "object"),
        ("text", "object"),
        ({}, "'version' is missing"),
        (b"", "'version' is missing"),
        ({"version": 1}, "'version' must be text"),
        ({"version": None}, "'version' must be text"),
        ({"version": "1", "stage": "x"}, "Unknown key 'stage'"),
        ({"version": "1", "alias": "a/../b"}, "'a/../b'"),
        (b'{"version": "\\ud800"}', "not valid text"),
        ({"version": "\0"}, "NUL"),
    ],
)
async def test_bad_bodies(ask: Ask, body: Any, named: str) -> None:
    answer = await ask("POST", "models/m/promote", body)
    assert (answer.status, answer.code) == (400, "InvalidInput")
    assert named in answer.body["message"]


async def test_a_body_that_is_too_large(ask: Ask) -> None:
    answer = await ask("POST", "models/m/promote", {"version": "1" * 1_000_001})
    assert answer.status == 413
    assert answer.body["message"]


@pytest.mark.parametrize(
    "notebook",
    ["../secret.ipynb", "/etc/passwd", "a/../../secret.ipynb", "link/secret.ipynb", "..", ""],
)
async def test_paths_out_of_the_workspace(ask: Ask, root: Path, notebook: str) -> None:
    from urllib.parse import quote

    (root.parent / "secret.ipynb").write_text("{}")
    (root / "link").symlink_to(root.parent)
    for answer in (
        await ask("POST", "pipelines/run", {"notebook": notebook}),
        await ask("GET", f"pipelines/show?notebook={quote(notebook)}"),
    ):
        assert answer.status in (400, 404)
        assert answer.code in ("InvalidInput", "NotFound")
    assert not (root / ".mlops").exists()


def test_clients_name_files_from_the_servers_folder(root: Path) -> None:
    (root / "sub").mkdir()
    (root / "sub" / "n.ipynb").write_text("")
    (root / "n.ipynb").write_text("")
    workspace = Workspace(root)
    for folder, path, found in (
        (".", "sub/n.ipynb", "sub/n.ipynb"),
        ("sub", "n.ipynb", "sub/n.ipynb"),
        ("sub", "/n.ipynb", "sub/n.ipynb"),
        ("sub", "../n.ipynb", "n.ipynb"),
    ):
        request = Request({}, {}, b"", folder)
        assert request.file(workspace, path, "notebook") == (root / found).resolve()
    with pytest.raises(InvalidInput, match="outside"):
        Request({}, {}, b"", "sub").file(workspace, "../../n.ipynb", "notebook")


@pytest.mark.parametrize("name", ["..%2F..%2Fx", "%2Fetc%2Fpasswd", "..", "%00", "a%5Cb", "%0A"])
async def test_names_that_walk(ask: Ask, project: Workspace, name: str) -> None:
    for method, path in PATHS:
        if "x" not in path.split("/"):
            continue
        answer = await ask(method, re.sub(r"\bx\b", lambda _: name, path))
        assert (answer.status, answer.code) == (400, "InvalidInput"), (method, path)


async def test_a_bug_is_not_told(
    ask: Ask, project: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("secret inside")

    Store(project).append_audit("me", "a", "b", {})
    monkeypatch.setattr("mlops_jupyter.governance.audit_log", broken)
    answer = await ask("GET", "audit")
    assert (answer.status, answer.code) == (500, "InternalError")
    assert "secret" not in json.dumps(answer.body)


@given(st.dictionaries(st.text(max_size=8), st.none() | st.booleans() | st.integers() | st.text()))
def test_any_body_is_read_or_refused(data: dict[str, Any]) -> None:
    try:
        read = parse(models.DeployRequest, json.dumps(data).encode())
    except InvalidInput as error:
        assert error.hint
    else:
        assert models.to_dict(read).items() >= data.items()


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_parameters_keep_their_types(parameters: dict[str, Any]) -> None:
    body = models.PipelineRequest("a.ipynb", parameters)
    assert parse(models.PipelineRequest, models.to_json(body).encode()) == body


@given(st.text(max_size=300))
def test_a_name_is_one_part_of_a_path(name: str) -> None:
    try:
        check_name(name, "thing")
    except InvalidInput:
        return
    assert Path("/a", name).parts == ("/", "a", name)
    assert Path("/a", name).resolve().parent == Path("/a")


# --- what is answered -------------------------------------------------------------------------


async def test_audit_newest_first_and_paged(ask: Ask, project: Workspace) -> None:
    for number in range(3):
        Store(project).append_audit("me", "did", str(number), {"x": float("nan")})
    answer = await ask("GET", "audit?limit=2")
    assert [entry["subject"] for entry in answer.body] == ["2", "1"]
    assert answer.body[0]["detail"] == {"x": None}


@pytest.mark.slow
async def test_a_pipeline_runs_in_a_process_of_its_own(ask: Ask, project: Workspace) -> None:
    write_notebook(project.root / "n.ipynb")
    shown = await ask("GET", "pipelines/show?notebook=n.ipynb")
    assert shown.status == 200
    assert [parameter["name"] for parameter in shown.body["parameters"]] == ["x"]
    answer = await ask("POST", "pipelines/run", {"notebook": "n.ipynb", "parameters": {"x": -3}})
    assert (answer.status, answer.body["status"]) == (202, "queued"), answer.body
    assert {step["status"] for step in answer.body["steps"]} == {"pending"}
    identity = answer.body["id"]
    store = Store(project)
    done = await eventually(
        lambda: (
            (run := store.get(models.PipelineRun, identity)).status not in ("queued", "running")
            and run
        ),
        90,
    )
    assert (done.status, done.error) == ("succeeded", None)
    assert done.parameters == {"x": -3}
    listed = await ask("GET", "pipelines")
    assert [run["id"] for run in listed.body] == [identity]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"notebook": "absent.ipynb"}, 404, "NotFound"),
        ({"notebook": "n.ipynb", "parameters": {"y": 1}}, 400, "InvalidInput"),
        ({"notebook": "n.ipynb", "parameters": {"x": "many"}}, 400, "InvalidInput"),
        ({"notebook": "n.ipynb", "parameters": {"x": [1]}}, 400, "InvalidInput"),
        ({"notebook": "n.ipynb", "parameters": {"x": {}}}, 400, "InvalidInput"),
        ({"notebook": "broken.ipynb"}, 400, "InvalidInput"),
        ({"notebook": "text.ipynb"}, 400, "InvalidInput"),
        ({"notebook": "a" * 300 + ".ipynb"}, 400, "InvalidInput"),
    ],
)
async def test_a_pipeline_that_cannot_run_is_refused_at_once(
    ask: Ask, root: Path, body: dict[str, Any], status: int, code: str
) -> None:
    write_notebook(root / "n.ipynb")
    write_notebook(root / "broken.ipynb", "def (:")
    (root / "text.ipynb").write_text("no notebook")
    answer = await ask("POST", "pipelines/run", body)
    assert (answer.status, answer.code) == (status, code)
    assert not (root / ".mlops").exists()


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("print('out of \\x1b[1mcheese\\n\\n'); raise SystemExit(3)", "out of cheese"),
        ("raise SystemExit(3)", "The pipeline's process ended with exit code 3 and said nothing."),
        ("import os; os.kill(os.getpid(), 9)", "The pipeline's process was ended by SIGKILL."),
    ],
)
async def test_a_process_that_dies_leaves_a_failed_run(
    ask: Ask, project: Workspace, monkeypatch: pytest.MonkeyPatch, code: str, error: str
) -> None:
    write_notebook(project.root / "n.ipynb")
    monkeypatch.setattr(launch, "command", lambda *_: [sys.executable, "-c", code])
    answer = await ask("POST", "pipelines/run", {"notebook": "n.ipynb"})
    store = Store(project)
    run = await eventually(
        lambda: (run := store.get(models.PipelineRun, answer.body["id"])).status == "failed" and run
    )
    assert run.error == error
    assert {step.status for step in run.steps} == {"skipped"}


@pytest.mark.slow
async def test_a_runner_that_is_killed_leaves_a_cancelled_run(
    ask: Ask, project: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = []
    spawn = launch._spawn
    monkeypatch.setattr(
        launch, "_spawn", lambda *args: processes.append(spawn(*args)) or processes[0]
    )
    write_notebook(
        project.root / "n.ipynb", "import time; open('begun', 'w').close(); time.sleep(600)"
    )
    answer = await ask("POST", "pipelines/run", {"notebook": "n.ipynb"})
    await eventually((project.root / "begun").exists, 90)
    store = Store(project)
    assert store.get(models.PipelineRun, answer.body["id"]).status == "running"
    processes[0].kill()
    await eventually(lambda: store.get(models.PipelineRun, answer.body["id"]).status == "cancelled")
    runs = (await ask("GET", "runs")).body
    statuses = {run["status"] for run in runs}
    assert "KILLED" in statuses
    assert "RUNNING" not in statuses


async def test_a_process_that_cannot_start_leaves_a_failed_run(
    ask: Ask, project: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_notebook(project.root / "n.ipynb")
    monkeypatch.setattr(launch, "command", lambda *_: ["/no/such/program"])
    answer = await ask("POST", "pipelines/run", {"notebook": "n.ipynb"})
    assert (answer.status, answer.code) == (503, "Unavailable")
    assert [run.status for run in Store(project).all(models.PipelineRun)] == ["failed"]


@pytest.mark.slow
async def retrains(ask: Ask, project: Workspace, alert: str) -> None:
    """No label yet: refused. With labels: a pipeline in its own process, and the alert resolved."""
    assert (await ask("POST", f"alerts/{alert}/retrain")).code == "InvalidInput"
    asked = records.read(project, "api", last=3)
    rows = "".join(f"{record.request_id},{number}\n" for number, record in enumerate(asked))
    (project.root / "labels.csv").write_text(f"request_id,truth\n{rows}")
    added = await ask("POST", "labels", {"deployment": "api", "file": "labels.csv"})
    assert (added.status, added.body["matched"]) == (201, 3)
    started = await ask("POST", f"alerts/{alert}/retrain")
    assert (started.status, started.body["status"]) == (202, "queued")
    store = Store(project)
    await eventually(lambda: store.get(models.Alert, alert).status == "resolved", 90)
    run = store.get(models.PipelineRun, started.body["id"])
    assert (run.status, run.notebook) == ("succeeded", "again.ipynb")
    assert (await ask("POST", f"alerts/{alert}/retrain")).code == "Conflict"


async def test_from_a_run_to_a_deployment_and_back(  # noqa: PLR0915  one story, told once
    ask: Ask, project: Workspace
) -> None:
    from sklearn.linear_model import LinearRegression

    from mlops_jupyter._mlflow import Tracking

    def fitted() -> str:
        frame = pandas.DataFrame({"x": [0.0, 1.0, 2.0]})
        tracking = Tracking(project)
        run_id = tracking.start_run("fit", kind="model")
        tracking.log_model(run_id, LinearRegression().fit(frame, [0.0, 1.0, 2.0]), frame)
        tracking.end_run(run_id)
        return run_id

    registered = {"name": "line", "run_id": await asyncio.to_thread(fitted)}
    version = await ask("POST", "models", registered)
    assert (version.status, version.body["version"]) == (201, "1")
    assert (await ask("POST", "models", {**registered, "run_id": "none"})).code == "NotFound"
    assert [run["name"] for run in (await ask("GET", "runs?kind=model&limit=1")).body] == ["fit"]
    for query in ("kind=x", "parent=%27%20or"):
        assert (await ask("GET", f"runs?{query}")).code == "InvalidInput"
    (model,) = (await ask("GET", "models")).body
    assert model["versions"][0]["version"] == "1"

    refused = await ask("POST", "deployments", {"model": "line", "name": "api"})
    assert (refused.status, refused.code) == (404, "NotFound")
    for name, body in (("line", {"version": "9"}), ("none", {"version": "1"})):
        assert (await ask("POST", f"models/{name}/promote", body)).code == "NotFound"
    promoted = await ask("POST", "models/line/promote", {"version": "1"})
    assert (promoted.status, promoted.body["passed"]) == (200, True)
    assert (await ask("GET", "models/line")).body["champion"] == "1"
    assert (await ask("GET", "audit?limit=1")).body[0]["action"] == "model.promote"

    both = {"model": "line", "name": "api", "alias": "champion", "version": "1"}
    assert (await ask("POST", "deployments", both)).code == "InvalidInput"
    made = await ask("POST", "deployments", {"model": "line", "name": "api"})
    assert (made.status, made.body["status"]) == (201, "ready"), made.body
    try:
        await asyncio.to_thread(predict, made.body["url"], 200)
        await eventually(lambda: counted(ask, "api", 200))
        (project.root / "reference.csv").write_text(
            "x\n" + "\n".join(str(number / 200) for number in range(200))
        )
        write_notebook(project.root / "again.ipynb", "open(x).read()", 'x: str = ""')
        watch = {"name": "watch", "deployment": "api", "reference": "reference.csv"}
        watch |= {"retrain": "again.ipynb", "retrain_parameter": "x"}
        assert (await ask("POST", "monitors", {**watch, "deployment": "no"})).code == "NotFound"
        assert (await ask("POST", "monitors", watch)).status == 201
        assert (await ask("POST", "monitors", watch)).code == "Conflict"
        report = await ask("POST", "monitors/watch/check", {"last": 200})
        assert (report.status, report.body["status"]) == (200, "drift"), report.body
        assert (await ask("POST", "monitors/watch/check", {"last": 0})).code == "InvalidInput"
        reports = await ask("GET", "monitors/watch/reports")
        assert [found["monitor"] for found in reports.body] == ["watch"]
        (alert,) = (await ask("GET", "alerts")).body
        seen = await ask("POST", f"alerts/{alert['id']}/ack")
        assert (seen.status, seen.body["status"]) == (200, "acknowledged")
        assert (await ask("GET", "monitors")).body[0]["last_status"] == "drift"
        await retrains(ask, project, alert["id"])
        assert "Serving line/1" in (await ask("GET", "deployments/api/logs")).body["text"]
        assert (await ask("GET", "audit/verify")).body["problems"] == []
        for path in ("runs/none", "models/none", "deployments/none", "monitors/none/reports"):
            assert (await ask("GET", path)).code == "NotFound", path
        for path in ("monitors/none/check", "alerts/none/ack", "alerts/none/retrain"):
            assert (await ask("POST", path)).code == "NotFound", path
    finally:
        stopped = await ask("DELETE", "deployments/api")
    assert (stopped.status, stopped.body["status"]) == (200, "stopped")
    assert (await ask("DELETE", "deployments/none")).code == "NotFound"


# --- what is said live ------------------------------------------------------------------------


async def test_changes_reach_the_browser(project: Workspace, jp_ws_fetch: Any) -> None:
    socket = await jp_ws_fetch("api", "events", "subscribe")
    for number in range(20):
        project.announce("runs", "r1", f"logged {number}")
    project.announce("models", "m", "champion 2")
    seen: list[dict[str, Any]] = []
    while not any(event["noun"] == "models" for event in seen):
        message = json.loads(await asyncio.wait_for(socket.read_message(), 30))
        if message["schema_id"] == SCHEMA_ID:
            seen.append(message)
    runs = [event for event in seen if event["noun"] == "runs"]
    assert runs[-1]["change"] == "logged 19"
    assert len(runs) < 20
    assert seen[-1] | {"time": ""} == {
        "noun": "models",
        "id": "m",
        "change": "champion 2",
        "time": "",
        "schema_id": SCHEMA_ID,
    } | {key: value for key, value in seen[-1].items() if key.startswith("__")}
    socket.close()


async def test_a_workspace_that_begins_later_is_watched(root: Path, jp_ws_fetch: Any) -> None:
    socket = await jp_ws_fetch("api", "events", "subscribe")
    Workspace(root).announce("runs", "first", "created")
    while True:
        message = json.loads(await asyncio.wait_for(socket.read_message(), 30))
        if message["schema_id"] == SCHEMA_ID:
            assert message["id"] == "first"
            break
    socket.close()


@pytest.mark.slow
async def test_a_fit_in_a_kernel_of_the_server_becomes_a_run(
    ask: Ask, project: Workspace, jp_serverapp: Any
) -> None:
    await eventually(lambda: project.held("courier"))
    manager = jp_serverapp.kernel_manager
    client = manager.get_kernel(await manager.start_kernel(path="")).client()
    client.start_channels()
    await client.wait_for_ready(timeout=60)
    code = """
%load_ext mlops_jupyter
from sklearn.linear_model import LinearRegression
LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
"""
    reply = await client.execute_interactive(code, timeout=60, output_hook=lambda _: None)
    assert reply["content"]["status"] == "ok", reply["content"]

    async def finished() -> Any:
        runs = (await ask("GET", "runs?kind=model")).body
        return [run for run in runs if run["status"] == "FINISHED"]

    (run,) = await eventually(finished, 60)
    assert run["name"] == "LinearRegression"
    detail = (await ask("GET", f"runs/{run['run_id']}")).body
    assert detail["data"]
    models_ = await ask("GET", "models")
    assert models_.body == []
    client.stop_channels()
    await manager.shutdown_all()


async def test_the_courier_is_free_when_the_server_ends(
    project: Workspace, jp_serverapp: Any
) -> None:
    await eventually(lambda: project.held("courier"))
    await jp_serverapp.cleanup_extensions()
    assert not project.held("courier")
    assert ENV not in os.environ


async def test_a_journal_that_cannot_be_delivered_stops_nothing(
    project: Workspace, jp_serverapp: Any, jp_ws_fetch: Any
) -> None:
    (project.path("journals") / "s.journal").mkdir()
    (project.path("journals") / "broken.delivered").write_text("{")
    await eventually(lambda: project.held("courier"))
    socket = await jp_ws_fetch("api", "events", "subscribe")
    project.announce("runs", "r", "created")
    message = json.loads(await asyncio.wait_for(socket.read_message(), 30))
    assert message["id"] == "r"
    socket.close()


def test_bursts_become_few_events() -> None:
    def event(noun: Any, number: int, change: str = "x") -> models.Event:
        return models.Event(noun, str(number), change, models.now())

    assert coalesce([]) == []
    twice = coalesce([event("runs", 1, "a"), event("models", 1), event("runs", 1, "b")])
    assert [(e.noun, e.change) for e in twice] == [("runs", "b"), ("models", "x")]
    assert len(coalesce(event("runs", n) for n in range(MANY))) == MANY
    many = coalesce([*(event("runs", n) for n in range(MANY + 1)), event("models", 7)])
    assert [(e.noun, e.id) for e in many] == [("runs", ""), ("models", "7")]
