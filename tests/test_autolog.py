"""The hook on scikit-learn: the user's own calls are heard, and nothing else changes."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import numpy
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.cluster import DBSCAN, KMeans
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    PoissonRegressor,
    Ridge,
    RidgeCV,
)
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators

from mlops_jupyter.capture import estimators
from mlops_jupyter.capture.autolog import METHODS, Hook, Tracked

X, y = load_iris(return_X_y=True)


class Ears:
    """Hears what the hook reports."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def before(self, estimator: Any, method: str, args: Any, kwargs: Any) -> Any:
        self.heard.append(f"{type(estimator).__name__}.{method}")
        return len(self.heard)

    def after(self, token: Any, estimator: Any, result: Any, failed: bool, seconds: float) -> None:
        assert token
        assert seconds >= 0
        if failed:
            self.heard.append("failed")


@pytest.fixture
def heard() -> Iterator[list[str]]:
    ears = Ears()
    hook = Hook(ears)
    hook.install()
    yield ears.heard
    hook.remove()
    assert not [
        (cls, name)
        for cls in _subclasses(BaseEstimator)
        for base in cls.__mro__
        for name in METHODS
        if isinstance(base.__dict__.get(name), Tracked)
    ]
    assert "__init_subclass__" not in BaseEstimator.__dict__


def _subclasses(cls: type) -> set[type]:
    return {cls}.union(*(_subclasses(child) for child in cls.__subclasses__()))


def test_one_call_is_heard_once(heard: list[str]) -> None:
    model = LogisticRegression(max_iter=500).fit(X, y)
    model.score(X, y)
    make_pipeline(StandardScaler(), DecisionTreeClassifier()).fit(X, y).score(X, y)
    StandardScaler().fit_transform(X)
    PCA(2).fit_transform(X)
    KMeans(3, n_init=1).fit_transform(X)
    KMeans(3, n_init=1).fit_predict(X)
    DBSCAN().fit_predict(X)
    assert heard == [
        "LogisticRegression.fit",
        "LogisticRegression.score",
        "Pipeline.fit",
        "Pipeline.score",
        "StandardScaler.fit_transform",
        "PCA.fit_transform",
        "KMeans.fit_transform",
        "KMeans.fit_predict",
        "DBSCAN.fit_predict",
    ]


@pytest.mark.parametrize("backend", ["sequential", "threading", "loky"])
def test_what_a_library_fits_inside_is_not_heard(heard: list[str], backend: str) -> None:
    jobs = 1 if backend == "sequential" else 2
    with joblib.parallel_config(backend=backend, n_jobs=jobs):
        tree = DecisionTreeClassifier()
        grid = GridSearchCV(tree, {"max_depth": [1, 2]}, cv=2).fit(X, y)
        cross_val_score(tree, X, y, cv=2)
        RandomForestClassifier(4).fit(X, y)
        VotingClassifier([("a", tree), ("b", tree)]).fit(X, y)
    grid.best_estimator_.score(X, y)
    assert heard == [
        "GridSearchCV.fit",
        "RandomForestClassifier.fit",
        "VotingClassifier.fit",
        "DecisionTreeClassifier.score",
    ]


def test_the_users_own_threads_are_heard(heard: list[str]) -> None:
    barrier = threading.Barrier(2)

    class Waits(ClassifierMixin, BaseEstimator):
        def fit(self, X: Any, y: Any) -> Waits:
            barrier.wait(20)
            return self

    class Waits2(Waits):
        pass

    models = [Waits(), Waits2()]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda model: model.fit(X, y), models))
    joblib.Parallel(2, backend="threading")(joblib.delayed(m.fit)(X, y) for m in models)
    assert sorted(heard) == ["Waits.fit"] * 2 + ["Waits2.fit"] * 2


def test_a_fit_that_raises(heard: list[str]) -> None:
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        LinearRegression().fit(X, y[:3])
    LinearRegression().fit(X, y)
    assert heard == ["LinearRegression.fit", "failed", "LinearRegression.fit"]


def test_classes_defined_later_are_heard(heard: list[str]) -> None:
    class Mine(ClassifierMixin, BaseEstimator):
        """Fits another inside."""

        def __init__(self, depth: int = 1) -> None:
            self.depth = depth

        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Mine:
            """Fit."""
            self.tree_ = DecisionTreeClassifier(max_depth=self.depth).fit(X, y, sample_weight)
            self.classes_ = self.tree_.classes_
            return self

        def predict(self, X: Any) -> Any:
            return self.tree_.predict(X)

    class Child(Mine):
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Child:
            super().fit(X, y, sample_weight)
            return self

    class Scale(TransformerMixin, BaseEstimator):
        def fit_transform(self, X: Any, y: Any = None) -> Any:
            return X

    Child(2).fit(X, y).score(X, y)
    Scale().fit_transform(X)
    assert heard == ["Child.fit", "Child.score", "Scale.fit_transform"]
    assert str(inspect.signature(Child().fit)) == str(inspect.signature(Child.fit)).replace(
        "self, ", ""
    )
    assert Mine().fit.__doc__ == "Fit."
    assert inspect.isfunction(Mine.fit)
    assert callable(Mine().set_fit_request)
    assert clone(Child(3)).depth == 3


def test_methods_are_what_they_were(heard: list[str]) -> None:
    model = LogisticRegression()
    assert inspect.ismethod(model.fit)
    assert list(inspect.signature(model.fit).parameters) == ["X", "y", "sample_weight"]
    assert inspect.getsource(model.fit).lstrip().startswith("@_fit_context")
    assert model.fit.__name__ == "fit"
    assert model.fit.__self__ is model
    assert not hasattr(Pipeline([("a", StandardScaler())]), "score")
    assert hasattr(make_pipeline(LogisticRegression()), "score")
    with pytest.raises(AttributeError, match="has no attribute 'fit_predict'"):
        make_pipeline(LogisticRegression()).fit_predict  # noqa: B018
    again = pickle.loads(pickle.dumps(model.fit))(X, y)
    assert isinstance(again, LogisticRegression)


LOAD_WITHOUT_US = """
import sys
sys.modules["mlops_jupyter"] = None
import pickle
model, fit = pickle.load(open(sys.argv[1], "rb"))
kind = type(type(model).__dict__["fit"])
print(model.predict([[5.1, 3.5, 1.4, 0.2]])[0], type(fit.__self__).__name__, kind)
"""


def test_nothing_of_ours_travels(heard: list[str], tmp_path: Path) -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(
        "from sklearn.base import BaseEstimator, ClassifierMixin\n"
        "class Mine(ClassifierMixin, BaseEstimator):\n"
        "    def fit(self, X, y):\n        self.classes_ = [7]\n        return self\n"
        "    def predict(self, X):\n        return [7] * len(X)\n",
        space,
    )
    main = sys.modules["__main__"]
    try:
        main.Mine = space["Mine"]  # type: ignore[attr-defined]
        model = space["Mine"]().fit(X, y)
        with open(tmp_path / "m.pkl", "wb") as file:
            cloudpickle.dump((model, model.fit), file)
    finally:
        del main.Mine  # type: ignore[attr-defined]
    done = subprocess.run(
        [sys.executable, "-c", LOAD_WITHOUT_US, str(tmp_path / "m.pkl")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split(None, 2) == ["7", "Mine", "<class 'function'>\n"]
    assert heard == ["Mine.fit"]


def test_calls_in_parallel_threads_do_not_disturb_each_other(heard: list[str]) -> None:
    barrier = threading.Barrier(2)

    class Waits(ClassifierMixin, BaseEstimator):
        def fit(self, X: Any, y: Any) -> Waits:
            barrier.wait(20)
            LogisticRegression(max_iter=5).fit(X, y)
            return self

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: Waits().fit(X, y), range(2)))
    assert heard == ["Waits.fit"] * 2


class OwnScore(ClassifierMixin, BaseEstimator):
    def score(self, X: Any, y: Any) -> float:
        return 0.5


@pytest.mark.parametrize(
    ("estimator", "name", "term", "model"),
    [
        (LogisticRegression(), "LogisticRegression", "accuracy", True),
        (Ridge(), "Ridge", "r2", True),
        (PoissonRegressor(), "PoissonRegressor", "d2", True),
        (KMeans(), "KMeans", "score", True),
        (OwnScore(), "OwnScore", "score", True),
        (make_pipeline(StandardScaler(), Ridge()), "Ridge", "r2", True),
        (make_pipeline(StandardScaler(), PCA()), "PCA", "score", False),
        (StandardScaler(), "StandardScaler", "score", False),
        (GridSearchCV(LogisticRegression(), {}), "GridSearchCV", "accuracy", True),
        (GridSearchCV(Ridge(), {}, scoring="max_error"), "GridSearchCV", "max_error", True),
        (
            GridSearchCV(Ridge(), {}, scoring=["r2", "max_error"], refit="r2"),
            "GridSearchCV",
            "r2",
            True,
        ),
        (HistGradientBoostingClassifier(), "HistGradientBoostingClassifier", "accuracy", True),
        (LogisticRegressionCV(scoring="f1"), "LogisticRegressionCV", "f1", True),
        (RidgeCV(scoring="max_error"), "RidgeCV", "r2", True),
        (StackingClassifier([("a", LogisticRegression())]), "StackingClassifier", "accuracy", True),
    ],
)
def test_what_an_estimator_is(estimator: Any, name: str, term: str, model: bool) -> None:
    assert estimators.run_name(estimator) == name
    assert estimators.score_name(estimator) == term
    assert estimators.is_model(estimator) == model


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("lbfgs", "lbfgs"),
        (None, "None"),
        (0.1, "0.1"),
        (numpy.float64(0.1), "0.1"),
        (LogisticRegression(C=3), "LogisticRegression"),
        (
            [("scale", StandardScaler()), ("model", Ridge())],
            "[('scale', StandardScaler), ('model', Ridge)]",
        ),
        ({"C": [1, 2]}, "{'C': [1, 2]}"),
        (numpy.mean, "mean"),
        (object(), "<object object>"),
        (list(range(1000)), "[" + ", ".join(map(str, range(20))) + ", ...]"),
        ("x" * 600, "x" * 497 + "..."),
    ],
)
def test_parameters_as_text(value: Any, shown: str) -> None:
    assert estimators.text(value) == shown


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
@pytest.mark.filterwarnings("ignore")
def test_the_term_is_what_score_computes(kind: str) -> None:
    """For every estimator of scikit-learn that fits plain data with its defaults."""
    data, label = load_iris(return_X_y=True)
    figures = {
        "accuracy": accuracy_score,
        "r2": r2_score,
        "d2": lambda truth, found: None,  # deviances differ by family; only the name is looked at
    }
    looked = 0
    for name, cls in all_estimators(type_filter=kind):
        try:
            estimator = cls().fit(data, label)
            value = estimator.score(data, label)
        except (TypeError, ValueError, NotImplementedError, AttributeError, IndexError):
            continue  # it needs an inner estimator, another target, or cannot score
        term = estimators.score_name(estimator)
        expected = figures[term](label, estimator.predict(data))
        assert expected is None or value == pytest.approx(expected), (name, term)
        looked += 1
    assert looked > 25
