"""Registering, promoting through a gate, and the audit log, on a real MLflow store."""

from __future__ import annotations

import sqlite3

import pytest
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

from mlops_jupyter import governance, registry
from mlops_jupyter._mlflow import Tracking
from mlops_jupyter._store import Store
from mlops_jupyter.errors import GateRefused, InvalidInput, NotFound
from mlops_jupyter.registry import Spec
from mlops_jupyter.workspace import Workspace

GATE = """
[gates.champion]
metric = "accuracy"
minimum = 0.8
data = "rows.csv"
target = "species"
"""


@pytest.fixture(scope="module")
def iris():
    bunch = load_iris(as_frame=True)
    return bunch.data, bunch.target.rename("species")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory, iris):
    """A workspace with a good version 1, a bad version 2 and another good version 3."""
    workspace = Workspace(tmp_path_factory.mktemp("shelf"))
    features, label = iris
    tracking = Tracking(workspace)
    for model in (
        LogisticRegression(max_iter=1000),
        DummyClassifier(),
        LogisticRegression(max_iter=1000, C=10),
    ):
        run_id = tracking.start_run("fit", kind="model")
        tracking.log_model(run_id, model.fit(features, label), features.head())
        tracking.log(run_id, metrics={"accuracy": model.score(features, label)})
        tracking.end_run(run_id)
        registry.register(workspace, "iris", run_id)
    features.assign(species=label).to_csv(workspace.root / "rows.csv", index=False)
    (workspace.root / "mlops.toml").write_text(GATE)
    return Workspace(workspace.root)


def test_spec():
    assert registry.parse("a b@x") == Spec("a b", "x", None)
    assert registry.parse("a/12") == Spec("a", None, "12")
    assert registry.parse("a") == Spec("a", None, None)
    for wrong in ("", "@x", "a@", "a/x", "/1"):
        with pytest.raises(InvalidInput):
            registry.parse(wrong)


def test_a_good_version_passes_and_a_bad_one_is_refused(shelf):
    first = governance.promote(shelf, "iris", "1")
    assert first.passed and first.previous is None
    assert [check.name for check in first.checks] == ["signature", "accuracy is high enough"]
    assert first.checks[1].value == pytest.approx(0.9733, abs=1e-3)

    with pytest.raises(GateRefused) as refusal:
        governance.promote(shelf, "iris", "2")
    assert "0.3333 against at least 0.8000" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert Tracking(shelf).alias("iris", "champion") == "1"

    third = governance.promote(shelf, "iris", "3")
    assert third.previous == "1"
    assert third.checks[-1].name == "accuracy not worse than version 1"
    assert Tracking(shelf).alias("iris", "champion") == "3"

    actions = [entry.action for entry in governance.audit_log(shelf)][-3:]
    assert actions == ["model.promote", "model.promote.refused", "model.promote"]


def test_worse_than_the_champion_is_refused_though_high_enough(shelf, iris, tmp_path):
    features, label = iris
    flipped = features.assign(species=label.where(label != 2, 1))
    file = tmp_path / "all.csv"
    flipped.to_csv(file, index=False)
    governance.promote(shelf, "iris", "3", alias="other")
    (shelf.root / "mlops.toml").write_text(GATE.replace("0.8", "0.1"))
    workspace = Workspace(shelf.root)
    try:
        Tracking(workspace).set_alias("iris", "champion", "1")
        with pytest.raises(GateRefused) as refusal:
            governance.promote(workspace, "iris", "2", data=file)
        assert "not worse than version 1" in str(refusal.value)
    finally:
        (shelf.root / "mlops.toml").write_text(GATE)


def test_wrong_requests(shelf, tmp_path):
    with pytest.raises(NotFound, match="no model 'nobody'"):
        governance.promote(shelf, "nobody", "1")
    with pytest.raises(NotFound, match="no version '9'"):
        governance.promote(shelf, "iris", "9")
    empty = tmp_path / "empty.csv"
    empty.write_text("a,species\n1,2\n")
    with pytest.raises(InvalidInput, match="no column 'sepal length"):
        governance.promote(shelf, "iris", "1", data=empty)
    with pytest.raises(NotFound, match="no run 'nothing'"):
        registry.register(shelf, "iris", "nothing")
    with pytest.raises(InvalidInput, match="cannot be a model's name"):
        registry.register(shelf, "a/b", "nothing")
    with pytest.raises(NotFound, match="no alias 'blue'"):
        registry.version_of(shelf, Spec("iris", "blue", None))


def test_a_run_without_model_cannot_be_registered(shelf):
    run_id = Tracking(shelf).start_run("plain")
    with pytest.raises(InvalidInput, match="has no model"):
        registry.register(shelf, "iris", run_id)


def test_best_run(shelf):
    tracking = Tracking(shelf)
    parent = tracking.start_run("parent", kind="pipeline")
    scores = {}
    for score in (0.5, 0.9, 0.7):
        run_id = tracking.start_run(str(score), kind="model", parent_id=parent)
        tracking.log(run_id, metrics={"accuracy": score})
        scores[score] = run_id
    tracking.start_run("unscored", kind="model", parent_id=parent)
    assert registry.best_run(shelf, parent, "accuracy").run_id == scores[0.9]
    assert registry.best_run(shelf, parent, "accuracy", lower=True).run_id == scores[0.5]
    with pytest.raises(NotFound) as error:
        registry.best_run(shelf, parent, "r2")
    assert "accuracy" in error.value.hint


def test_the_audit_log_tells_when_it_was_edited(workspace):
    for subject in ("a", "b", "c"):
        governance.record(workspace, "test", subject, {"figure": 1.5})
    assert governance.verify_audit(workspace) == []

    database = sqlite3.connect(workspace.path("mlops.db"))
    body = database.execute("select body from audit where number = 2").fetchone()[0]
    with database:
        database.execute(
            "update audit set body = ? where number = 2", (body.replace('"b"', '"x"'),)
        )
    assert governance.verify_audit(workspace) == ["entry 2 was changed"]
    with database:
        database.execute("delete from audit where number = 2")
    database.close()
    assert governance.verify_audit(workspace)[0] == "entry 2 is missing"
    assert Store(workspace).audit()[-1].number == 3
