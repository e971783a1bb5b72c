"""From journals to MLflow runs and back, whatever happened in between."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from kernels import kernel
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from mlops_jupyter import courier, journal, runs
from mlops_jupyter._mlflow import Tracking
from mlops_jupyter.capture.autolog import Hook
from mlops_jupyter.capture.recorder import Recorder
from mlops_jupyter.errors import NotFound
from mlops_jupyter.journal import Journal
from mlops_jupyter.trust import SealedWriter
from mlops_jupyter.workspace import Workspace

DATA = """
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
X, y = load_iris(return_X_y=True, as_frame=True)
"""
FIT = "model = LogisticRegression(max_iter=500).fit(X, y)\nmodel.score(X, y)"
ENV = {**os.environ, "PYTHONUNBUFFERED": "1"}


def fail(error: Exception) -> None:
    raise error


class Session:
    """A session in this process: estimators fitted here are recorded."""

    def __init__(self, workspace: Workspace, **header: Any) -> None:
        self.workspace = workspace
        self.journal = Journal(workspace)
        self.cell = 0
        self.journal.append("session", format=1, **header)
        self.journal.append("notebook", path="a.ipynb")
        self.recorder = Recorder(
            self.journal,
            fault=fail,
            cell=lambda: (self.cell, "source", None),
            prepare=lambda: self.journal.append("environment", values={"python": "3"}),
            changed=lambda: None,
        )
        self.hook = Hook(self.recorder)

    def __enter__(self) -> Session:
        self.hook.install()
        return self

    def __exit__(self, *_: object) -> None:
        self.hook.remove()
        self.journal.close()

    def end_cell(self, *, failed: bool = False, cell_id: str | None = None) -> None:
        self.journal.append(
            "cell",
            cell=self.cell,
            number=self.cell + 1,
            id=cell_id,
            source="source",
            status="error" if failed else "ok",
            started="2026-01-01T00:00:00.000Z",
            seconds=0.1,
            output="",
            error="ValueError: no" if failed else None,
        )
        self.recorder.close_cell(self.cell, failed=failed)
        self.cell += 1


def fitted() -> LogisticRegression:
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = LogisticRegression(max_iter=500).fit(X, y)
    model.score(X, y)
    return model


def test_from_a_notebook_cell_to_a_loadable_model(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "-b", "trunk"], cwd=tmp_path, check=True)
    (tmp_path / "file").write_text("1")
    name = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    subprocess.run(["git", "add", "file"], cwd=tmp_path, check=True)
    subprocess.run(["git", *name, "commit", "-qm", "one"], cwd=tmp_path, check=True)
    (tmp_path / "file").write_text("2")
    cells = [{"id": "c1"}, {"id": "c2"}, {"id": "c3"}]
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells}))
    with kernel(tmp_path, MLOPS_NOTEBOOK="a.ipynb") as k:
        k.ok("%load_ext mlops_jupyter", "c1")
        k.ok(DATA, "c3")
        k.ok(FIT, "c2")
        workspace = Workspace(tmp_path)
        (run,) = runs.list_runs(workspace)
        assert (run.name, run.status, run.notebook) == ("LogisticRegression", "FINISHED", "a.ipynb")
        assert run.kind == "model"
        assert run.parameters["max_iter"] == "500"
        assert run.metrics["training_accuracy"] > 0.9
        assert run.metrics["fit_seconds"] > 0
        k.ok("model.score(X[:1], y[:1])")
        assert runs.deliver(workspace) == 1
    (again,) = runs.list_runs(workspace)
    assert again.metrics["accuracy"] == 1.0
    assert again.ended == run.ended
    detail = runs.show_run(workspace, run.run_id)
    assert [cell.source for cell in detail.cells] == ["%load_ext mlops_jupyter", DATA, FIT]
    assert [item.role for item in detail.data] == ["X", "y"]
    assert detail.environment["scikit-learn"]
    assert detail.git["branch"] == "trunk"
    assert detail.git["dirty"] == "true"
    assert len(detail.git["commit"]) == 40
    assert detail.reproducibility == ["cells ran out of order: 2 after 3"]
    version = Tracking(workspace).register("iris", run.run_id)
    loaded = Tracking(workspace).load("iris", version.version)
    X, _ = load_iris(return_X_y=True, as_frame=True)
    assert list(loaded.predict(X[:2])) == [0, 0]
    assert [field.name for field in loaded.inputs] == list(X.columns)
    assert not list(workspace.path("journals").glob("*/*")), "side files are gone"
    assert runs.deliver(workspace) == 0
    for file in [*workspace.path("artifacts").rglob("*"), *workspace.path("journals").rglob("*")]:
        if file.is_file() and file.suffix in (".json", ".journal", ".delivered", ""):
            assert str(tmp_path) not in file.read_text(errors="replace"), file


def test_a_cell_that_raises_and_a_kernel_that_dies(tmp_path: Path, until: Any) -> None:
    with kernel(tmp_path) as k:
        k.ok("%load_ext mlops_jupyter")
        k.ok(DATA)
        assert k.run(FIT + "\n1 / 0").status == "error"
        k.client.execute(
            FIT + "\nimport pathlib, signal\npathlib.Path('fitted').touch()\nsignal.pause()"
        )
        until((tmp_path / "fitted").exists, 60)
        workspace = Workspace(tmp_path)
        found = runs.list_runs(workspace)
        assert [run.status for run in found] == ["RUNNING", "FAILED"]
        k.kill()
        (name,) = journal.sessions(workspace)
        with open(journal.path(workspace, name), "ab") as file:
            file.write(b'00000000 {"t":"torn')
        killed, failed = runs.list_runs(workspace)
    assert [killed.status, failed.status] == ["KILLED", "FAILED"]
    assert killed.ended is not None
    assert killed.metrics["training_accuracy"] > 0.9
    assert runs.deliver(workspace) == 0
    detail = runs.show_run(workspace, killed.run_id)
    assert detail.cells[-1].error == "the kernel ended in this cell"
    assert detail.cells[-2].error == "ZeroDivisionError: division by zero"
    assert detail.reproducibility == ["cells failed before: In [3]"]
    assert "mlops.model" in Tracking(workspace).tags(killed.run_id)


def test_delivering_again_changes_nothing(workspace: Workspace) -> None:
    with Session(workspace) as session:
        fitted()
        assert runs.deliver(workspace) == 1
        assert runs.deliver(workspace) == 0
        session.end_cell()
        assert runs.deliver(workspace) == 1
    (before,) = runs.list_runs(workspace)
    for file in workspace.path("journals").glob("*.delivered"):
        file.unlink()
    (after,) = runs.list_runs(workspace)
    assert before == after
    outputs = Tracking(workspace)._client.get_run(after.run_id).outputs.model_outputs
    assert len(outputs) == 1


def test_many_at_once_deliver_each_run_once(workspace: Workspace) -> None:
    with Session(workspace, parent="p" * 32) as session:
        for _ in range(2):
            fitted()
            session.end_cell()
    code = (
        "import sys; from mlops_jupyter import runs\n"
        "from mlops_jupyter.workspace import Workspace\n"
        "print(runs.deliver(Workspace(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(workspace.root)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    counts = [int(worker.communicate(timeout=120)[0]) for worker in workers]
    assert sum(counts) == 2
    found = runs.list_runs(workspace)
    assert len(found) == 2
    assert found == runs.list_runs(workspace, kind="model", parent_id="p" * 32)
    assert runs.list_runs(workspace, kind="pipeline") == []


def test_a_model_that_cannot_be_loaded_is_a_tag(workspace: Workspace) -> None:
    with Session(workspace) as session:
        fitted()
        session.end_cell()
        (file,) = workspace.path("journals").glob("*/*.pkl")
        with open(file, "wb") as stream:
            writer = SealedWriter(stream)
            writer.write(b"not a pickle")
        session.journal.append("model", run=1, file=file.name, seal=writer.seal)
    (run,) = runs.list_runs(workspace)
    assert run.status == "FINISHED"
    assert Tracking(workspace).tags(run.run_id)["mlops.model_error"].startswith("UnpicklingError")


class Exploit:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("exploited"),)


@pytest.mark.parametrize("seal", ["changed", "forged", "none"])
def test_a_model_from_elsewhere_is_not_loaded(workspace: Workspace, seal: str) -> None:
    os.chdir(workspace.root)
    with Session(workspace) as session:
        fitted()
        session.end_cell()
        (file,) = workspace.path("journals").glob("*/*.pkl")
        file.write_bytes(cloudpickle.dumps((Exploit(), None)))
        if seal != "changed":
            forged = hashlib.blake2b(file.read_bytes(), key=b"a guess", digest_size=32).hexdigest()
            session.journal.append(
                "model", run=1, file=file.name, seal=forged if seal == "forged" else None
            )
    (run,) = runs.list_runs(workspace)
    assert Tracking(workspace).tags(run.run_id)["mlops.model_error"] == runs.NOT_OURS
    assert not (workspace.root / "exploited").exists()
    assert file.is_file()


def test_a_model_that_cannot_be_pickled_is_a_tag(workspace: Workspace) -> None:
    class Holds(LogisticRegression):
        def fit(self, X: Any, y: Any) -> Holds:
            self.lines = (line for line in "ab")
            return self

    with Session(workspace) as session:
        Holds().fit([[1.0]], [1])
        session.end_cell()
    (run,) = runs.list_runs(workspace)
    assert "generator" in Tracking(workspace).tags(run.run_id)["mlops.model_error"]


def test_hundreds_of_parameters(workspace: Workspace) -> None:
    from sklearn.ensemble import VotingClassifier

    with Session(workspace) as session:
        models = [(f"m{n}", LogisticRegression(max_iter=5)) for n in range(20)]
        VotingClassifier(models).fit([[1.0], [2.0]] * 5, [0, 1] * 5)
        session.end_cell()
    (run,) = runs.list_runs(workspace)
    assert run.parameters["m19__max_iter"] == "5"
    assert len(run.parameters) > 200


def test_a_newer_journal_is_left_alone(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    newer = Journal(workspace)
    newer.append("session", format=99)
    newer.close()
    assert runs.deliver(workspace) == 0
    assert "format 99" in caplog.text
    assert runs.list_runs(workspace) == []


def test_no_such_run(workspace: Workspace) -> None:
    assert runs.deliver(workspace) == 0
    with pytest.raises(NotFound, match="There is no run 'nothing'"):
        runs.show_run(workspace, "nothing")


# --- the courier ------------------------------------------------------------------------------


def test_the_courier_delivers_while_the_kernel_lives_and_then_ends(
    tmp_path: Path, until: Any
) -> None:
    workspace = Workspace(tmp_path)
    with kernel(tmp_path, MLOPS_COURIER="on") as k:
        k.ok("%load_ext mlops_jupyter")
        k.ok(DATA)
        assert not workspace.held("courier")
        k.ok(FIT)
        until(lambda: workspace.held("courier"))
        until(lambda: not runs.pending(workspace), 120)
        (run,) = Tracking(workspace).runs()
        assert run.status == "FINISHED"
        os.kill(k.manager.provisioner.pid, signal.SIGINT)
        k.ok("'still here'")
        assert workspace.held("courier")
    until(lambda: not workspace.held("courier"), 60)
    assert runs.pending(workspace) == []
    assert workspace.path("logs", "courier.log").read_text() == ""


def test_the_courier_ends_with_its_folder(workspace: Workspace, until: Any) -> None:
    alive = Journal(workspace)
    alive.append("session", format=1)
    command = [sys.executable, "-m", "mlops_jupyter.courier", str(workspace.root)]
    with subprocess.Popen(command, env=ENV) as process:
        try:
            until(lambda: workspace.held("courier"))
            workspace.root.rename(workspace.root.with_name("gone"))
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()
            alive.close()


def test_one_stands_for_all(workspace: Workspace) -> None:
    one, other = courier.Standing(workspace), courier.Standing(workspace)
    assert one.acquire()
    assert not other.acquire()
    assert courier.serve(workspace) == 0
    one.release()
    one.release()
    assert other.acquire()
    assert not other.poll()
    with Session(workspace):
        assert other.poll()
    other.release()
