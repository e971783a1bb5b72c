"""Capture in a real kernel: what the journal has afterwards, and that no cell suffers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from kernels import kernel

from mlops_jupyter import journal
from mlops_jupyter.journal import sessions
from mlops_jupyter.sessions import Session
from mlops_jupyter.workspace import Workspace

DATA = """
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
X, y = load_iris(return_X_y=True, as_frame=True)
"""


def recorded(folder: Path) -> Session:
    """The one session that left a journal in ``folder``."""
    workspace = Workspace(folder)
    (name,) = sessions(workspace)
    return Session.load(journal.path(workspace, name))[0]


def test_cells_are_recorded_as_they_ran(tmp_path: Path) -> None:
    notebook = str(tmp_path / "work" / "a.ipynb")
    with kernel(tmp_path, JPY_SESSION_NAME=notebook) as k:
        k.ok("before = 1")
        k.ok("import sys\n%load_ext mlops_jupyter\nprint('loaded')")
        k.ok("print('hello'); print('to err', file=sys.stderr); 6 * 7", "cell-one")
        k.ok("   ")
        k.ok("print('x' * 50_000)")
        k.ok("from IPython.display import display\ndisplay({'shown': 1})\nNone")
        k.run("import os; print(os.getcwd()); open(os.getcwd() + '/nowhere.csv')", "cell-two")
        k.run("1 +")
        k.ok("get_ipython().run_cell('inner = 1'); print('after')")
        k.ok("%%capture\nprint('hidden')")
        assert k.ok("before + 1").result == "2"
    session = recorded(tmp_path)
    assert session.notebook == "work/a.ipynb"
    assert session.folder == "."
    assert session.first == 2
    assert session.closed
    cells = session.cells
    assert [cell["number"] for cell in cells] == [2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert cells[0]["source"] == "import sys\n%load_ext mlops_jupyter\nprint('loaded')"
    assert cells[1]["output"] == "hello\nto err\n42\n"
    assert cells[1]["id"] == "cell-one"
    assert cells[2]["output"] == "x" * 10_000 + "\n[cut after 10,000 characters]"
    assert cells[3]["output"] == "{'shown': 1}\n"
    assert cells[4]["status"] == "error"
    assert cells[4]["error"].startswith("FileNotFoundError: [Errno 2]")
    assert cells[4]["output"] == ".\n"
    assert cells[5]["error"].startswith("SyntaxError")
    assert cells[6]["output"] == "after\n"
    assert cells[7]["output"] == ""
    assert all(cell["seconds"] >= 0 and cell["started"].endswith("Z") for cell in cells)
    text = journal.path(Workspace(tmp_path), sessions(Workspace(tmp_path))[0]).read_text()
    assert str(tmp_path) not in text


RUNS = """
model = LogisticRegression(max_iter=500).fit(X, y)
print(model.score(X, y))
tree = DecisionTreeClassifier(max_depth=2)
_ = tree.fit(X, y)
_ = tree.fit(X, y)
"""

SEARCH = """
from sklearn.model_selection import GridSearchCV, cross_val_score
grid = GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [1, 3]}, n_jobs=2)
grid.fit(X, y)
cross_val_score(tree, X, y)
"""

TRACKED = """%%track all together
from sklearn.preprocessing import StandardScaler
Z = StandardScaler().fit_transform(X)
for C in (0.1, 1.0):
    last = LogisticRegression(C=C).fit(Z, y)
    last.score(Z, y)
"""

OWN_CLASS = """
from sklearn.base import BaseEstimator, ClassifierMixin
class Mine(ClassifierMixin, BaseEstimator):
    def __init__(self, depth=1):
        self.depth = depth
    def fit(self, X, y):
        self.tree_ = DecisionTreeClassifier(max_depth=self.depth).fit(X, y)
        self.classes_ = self.tree_.classes_
        return self
    def predict(self, X):
        return self.tree_.predict(X)
search = GridSearchCV(Mine(), {"depth": [1, 2]}, n_jobs=2, cv=2).fit(X, y)
mine = Mine(2).fit(X, y)
"""


def test_runs_are_opened_by_fits(tmp_path: Path) -> None:
    with kernel(tmp_path, MLOPS_PIPELINE_RUN="f" * 32) as k:
        k.ok("%load_ext mlops_jupyter")
        k.ok(DATA)
        k.ok(RUNS)
        k.ok("score = model.score(X[::2], y[::2])")
        k.ok(SEARCH)
        k.ok("grid.score(X, y); grid.best_estimator_.score(X[::2], y[::2])")
        k.ok(TRACKED)
        k.ok(OWN_CLASS)
        assert k.run("tree.fit(X, y)\n1 / 0").status == "error"
        k.ok("try:\n    tree.fit(X, y[:3])\nexcept ValueError:\n    pass")
        k.ok("from mlops_jupyter import capture\nwith capture.track('by hand'): tree.fit(X, y)")
        k.run("with capture.track('broken'):\n    1 / 0")
        k.ok("import threading; t = threading.Thread(target=tree.fit, args=(X, y))")
        k.ok("t.start(); t.join()")
        current = k.ok("capture.active().current()").result
        assert "DecisionTreeClassifier" in current
        assert "FINISHED" in current
    assert recorded(tmp_path).parent == "f" * 32
    assert recorded(tmp_path).notebook is None
    runs = list(recorded(tmp_path).runs.values())
    assert [(run.name, run.status) for run in runs] == [
        ("LogisticRegression", "FINISHED"),
        ("DecisionTreeClassifier", "FINISHED"),
        ("DecisionTreeClassifier", "FINISHED"),
        ("GridSearchCV", "FINISHED"),
        ("all together", "FINISHED"),
        ("GridSearchCV", "FINISHED"),
        ("Mine", "FINISHED"),
        ("DecisionTreeClassifier", "FAILED"),
        ("DecisionTreeClassifier", "FAILED"),
        ("by hand", "FINISHED"),
        ("broken", "FAILED"),
        ("DecisionTreeClassifier", "FINISHED"),
    ]
    logistic, _, _, grid, tracked, _, mine = runs[:7]
    assert logistic.parameters["max_iter"] == "500"
    assert [name for name, _ in logistic.metrics] == [
        "fit_seconds",
        "training_accuracy",
        "accuracy",
    ]
    assert [(item.role, item.rows, len(item.columns)) for item in logistic.data] == [
        ("X", 150, 4),
        ("y", 150, 1),
    ]
    assert grid.parameters["best_max_depth"] == "3"
    assert grid.parameters["estimator"] == "DecisionTreeClassifier"
    assert [name for name, _ in grid.metrics] == ["fit_seconds", "training_accuracy", "accuracy"]
    assert tracked.parameters["C"] == "0.1"
    assert tracked.parameters["LogisticRegression.C"] == "1.0"
    assert tracked.parameters["StandardScaler.with_mean"] == "True"
    assert {name for name, _ in tracked.metrics} == {
        "StandardScaler.fit_seconds",
        "fit_seconds",
        "training_accuracy",
        "LogisticRegression.fit_seconds",
        "LogisticRegression.training_accuracy",
    }
    assert mine.parameters == {"depth": "2"}
    assert mine.model


def test_a_killed_kernel_leaves_all_but_the_running_cell(tmp_path: Path, until: Any) -> None:
    with kernel(tmp_path) as k:
        k.ok("%load_ext mlops_jupyter")
        k.ok(DATA)
        k.client.execute(
            "DecisionTreeClassifier().fit(X, y)\nimport pathlib, signal\n"
            "pathlib.Path('fitted').touch()\nsignal.pause()"
        )
        until((tmp_path / "fitted").exists, 60)
        k.kill()
        session = recorded(tmp_path)
    assert not session.closed
    assert len(session.cells) == 2
    session.kill()
    assert session.runs[1].status == "KILLED"
    assert session.runs[1].ended
    last = session.cells_of(session.runs[1])[-1]
    assert last["source"].startswith("DecisionTreeClassifier().fit")
    assert (last["number"], last["error"]) == (3, "the kernel ended in this cell")


def test_a_fault_of_ours_is_said_once_and_breaks_nothing(tmp_path: Path) -> None:
    with kernel(tmp_path) as k:
        k.ok("%load_ext mlops_jupyter")
        k.ok(DATA)
        k.ok(
            "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))"
        )
        first = k.ok("DecisionTreeClassifier().fit(X, y).score(X, y)")
        assert first.result == "1.0"
        second = k.ok("DecisionTreeClassifier().fit(X, y).score(X, y)")
        assert second.result == "1.0"
        k.ok("resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))")
        k.ok("'it goes on'")
    assert (first.errors + second.errors).count("mlops_jupyter: capture is incomplete") <= 2
    session = recorded(tmp_path)
    assert session.cells[-1]["source"] == "'it goes on'"


def test_listeners_and_unload(tmp_path: Path) -> None:
    with kernel(tmp_path) as k:
        k.ok("%load_ext mlops_jupyter")
        k.ok(DATA)
        k.ok(
            "from mlops_jupyter import capture\nheard = []\n"
            "stop = capture.active().on_change(\n"
            "    lambda: heard.append(capture.active().current().status))"
        )
        k.ok("tree = DecisionTreeClassifier().fit(X, y)")
        k.ok("stop(); stop(); _ = tree.fit(X, y)")
        k.ok("assert heard[0] == 'RUNNING' and heard[-1] == 'FINISHED', heard")
        k.ok("assert heard.count('FINISHED') == 1, heard")
        k.ok("%unload_ext mlops_jupyter\nassert capture.active() is None")
        k.ok("assert type(DecisionTreeClassifier.__dict__['fit']).__name__ == 'function'")
        k.ok("_ = tree.fit(X, y)")
        k.ok("import sys\nassert not hasattr(sys.stdout.write, 'mlops')\nprint('fine')")
        k.ok("%load_ext mlops_jupyter\n_ = tree.fit(X, y)")
    workspace = Workspace(tmp_path)
    found = [Session.load(journal.path(workspace, name))[0] for name in sessions(workspace)]
    assert sorted(len(session.runs) for session in found) == [1, 2]
    assert all(session.closed for session in found)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_writes_nothing_and_holds_nothing(tmp_path: Path, until: Any) -> None:
    with kernel(tmp_path) as k:
        k.ok("%load_ext mlops_jupyter")
        k.ok(DATA)
        child = k.ok(
            "import os, signal, pathlib\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    DecisionTreeClassifier().fit(X, y)\n"
            "    pathlib.Path('fitted').touch()\n"
            "    signal.pause()\n"
            "print(child)"
        ).text
        try:
            until((tmp_path / "fitted").exists, 60)
            workspace = Workspace(tmp_path)
            (name,) = sessions(workspace)
            assert workspace.held(journal.lock_name(name))
            k.ok("1")
            os.kill(k.manager.provisioner.pid, 9)
            until(lambda: not workspace.held(journal.lock_name(name)))
            assert recorded(tmp_path).runs == {}
        finally:
            os.kill(int(child), 9)
