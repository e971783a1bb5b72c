"""_store.py: our own database, with several processes writing at once, and the audit log."""

from __future__ import annotations

import dataclasses
import sqlite3
import subprocess
import sys

import pytest
from sqlalchemy.exc import OperationalError

from mlops_jupyter._store import Store, audit_digest
from mlops_jupyter.errors import Conflict, NotFound, Unavailable
from mlops_jupyter.models import (
    Alert,
    AuditEntry,
    ColumnDrift,
    Deployment,
    Monitor,
    PipelineRun,
    Report,
    ServedVersion,
    StepResult,
)
from mlops_jupyter.workspace import Workspace

ITEMS = [
    Alert("a1", "wine", "2026-01-01T00:00:00.000Z", "warning", "2 of 4 columns drifted", "open"),
    Deployment("api", "http://127.0.0.1:1", "ready", "m", [ServedVersion("1", 1.0)], "champion"),
    Monitor("wine", "api", "data/reference.csv", retrain="train.ipynb"),
    PipelineRun(
        "p1", None, "a.ipynb", "failed", "", 1.5, "out.ipynb", [StepResult("fit", "failed", 1.5)],
        {"depth": 3, "ratio": 0.5, "name": "é", "flag": True, "none": None}, "ValueError: no",
    ),
    Report(
        "drift", 10, 5, 0.5, [ColumnDrift("x", "psi", 0.3, None, 0.1, True)], ["x drifted"], "wine",
        "2026-01-01T00:00:00.000Z",
    ),
]  # fmt: skip
KEYS = ["a1", "api", "wine", "p1", "2026-01-01T00:00:00.000Z"]


@pytest.fixture
def store(workspace: Workspace) -> Store:
    return Store(workspace)


@pytest.mark.parametrize(
    ("item", "key"), list(zip(ITEMS, KEYS, strict=True)), ids=lambda x: type(x).__name__
)
def test_what_is_put_is_there_for_another_process(store, workspace, item, key):
    store.put(item)
    assert Store(workspace).get(type(item), key) == item
    assert Store(workspace).all(type(item)) == [item]


def test_put_replaces_and_new_refuses(store):
    alert = ITEMS[0]
    store.put(alert, new=True)
    changed = store.put(dataclasses.replace(alert, status="acknowledged"))
    assert store.all(Alert) == [changed]
    with pytest.raises(Conflict, match="alert 'a1'"):
        store.put(alert, new=True)
    assert store.all(Alert) == [changed]


def test_newest_first_and_limited(store):
    for number in range(5):
        store.put(dataclasses.replace(ITEMS[0], id=str(number)))
    assert [alert.id for alert in store.all(Alert)] == ["4", "3", "2", "1", "0"]
    assert [alert.id for alert in store.all(Alert, limit=2)] == ["4", "3"]


def test_update_changes_the_named_fields(store):
    store.put(ITEMS[1])
    assert store.update(Deployment, "api", requests=3).requests == 3
    assert store.get(Deployment, "api") == dataclasses.replace(ITEMS[1], requests=3)


def test_what_is_not_there_is_named(store):
    with pytest.raises(NotFound, match="deployment 'api'"):
        store.get(Deployment, "api")
    with pytest.raises(NotFound, match="monitor 'wine'"):
        store.update(Monitor, "wine", retrain=None)
    store.delete(Deployment, "api")


def test_delete_removes(store):
    store.put(ITEMS[1])
    store.delete(Deployment, "api")
    assert store.all(Deployment) == []


def test_a_file_that_is_no_database_is_one_clear_line(store, workspace):
    workspace.path("mlops.db").write_bytes(b"nonsense" * 1000)
    with pytest.raises(Unavailable, match="not a database") as caught:
        store.all(Alert)
    assert str(workspace.root) not in str(caught.value)


def test_a_database_that_cannot_be_reached_is_one_clear_line(workspace, monkeypatch):
    monkeypatch.setenv("MLOPS_DATABASE_URL", f"sqlite:///{workspace.root}/none/x.db")
    with pytest.raises(Unavailable, match="not usable"):
        Store(workspace).all(Alert)


# --- several processes -----------------------------------------------------------------------

WRITE = """
import sys
from mlops_jupyter._store import Store
from mlops_jupyter.models import Alert, Deployment
from mlops_jupyter.workspace import Workspace
root, name = sys.argv[1:]
for number in range(40):
    store = Store(Workspace(root)) if number % 10 == 0 else store
    store.put(Alert(f"{name}-{number}", "m", "", "warning", "", "open"), new=True)
    store.append_audit(name, "alert.raise", str(number), {"number": number})
    requests = store.get(Deployment, "api").requests
    store.update(Deployment, "api", errors=number)
"""


def test_several_processes_write_at_once(store, workspace):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE, str(workspace.root), str(name)])
        for name in range(4)
        if store.put(ITEMS[1])
    ]
    assert [writer.wait(timeout=120) for writer in writers] == [0] * 4
    assert len(store.all(Alert)) == 160
    log = store.audit()
    assert [entry.number for entry in log] == list(range(1, 161))
    for name in range(4):
        own = [entry.detail["number"] for entry in log if entry.actor == str(name)]
        assert own == list(range(40))
    assert_whole(log)


# --- audit log -------------------------------------------------------------------------------


def assert_whole(log: list[AuditEntry]) -> None:
    previous = ""
    for entry in log:
        assert entry.previous == previous
        assert entry.digest == audit_digest(entry)
        previous = entry.digest


def test_the_audit_log_is_a_chain(store):
    for number in range(3):
        store.append_audit("ann", "model.promote", f"wine/{number}", {"checks": ITEMS[4]})
    assert_whole(store.audit())
    assert [entry.subject for entry in store.audit()] == ["wine/0", "wine/1", "wine/2"]


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(AuditEntry)])
def test_a_changed_entry_shows(store, field):
    entry = store.append_audit("ann", "model.promote", "wine/1", {"metric": 0.9})
    value = getattr(entry, field)
    other = {"metric": 0.8} if field == "detail" else 7 if field == "number" else value + "x"
    changed = dataclasses.replace(entry, **{field: other})
    assert audit_digest(changed) != changed.digest


def test_a_second_entry_with_the_same_number_is_impossible(store, workspace):
    store.append_audit("ann", "model.promote", "wine/1", {})
    with (
        sqlite3.connect(workspace.path("mlops.db")) as connection,
        pytest.raises((sqlite3.IntegrityError, OperationalError)),
    ):
        connection.execute("INSERT INTO audit (number, body) VALUES (1, '{}')")
