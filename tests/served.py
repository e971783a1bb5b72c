"""A workspace with real registered models, for the tests of serving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mlops_jupyter._mlflow import Tracking
from mlops_jupyter.workspace import Workspace

DATA = load_breast_cancer(as_frame=True)
X: pd.DataFrame = DATA.data.iloc[:, :10]
Y: pd.Series = DATA.target


def register(workspace: Workspace, name: str, model: Any, sample: Any) -> str:
    """Log and register a fitted model; returns its version."""
    tracking = Tracking(workspace)
    run_id = tracking.start_run(name, kind="model")
    tracking.log_model(run_id, model, sample)
    tracking.end_run(run_id)
    return tracking.register(name, run_id).version


def fitted(regularisation: float = 1.0, *, flip: bool = False) -> Any:
    """A classifier of the ten mean columns; ``flip`` swaps its labels."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=regularisation))
    return model.fit(X, 1 - Y if flip else Y)


def mixed_frame() -> pd.DataFrame:
    """All types of columns; ``age`` has missing values."""
    rows = np.arange(80)
    return pd.DataFrame(
        {
            "city": np.where(rows % 3 == 0, "Bern", "Köln"),
            "age": np.where(rows % 7 == 0, np.nan, rows / 2.0),
            "visits": rows % 11,
            "small": (rows % 5).astype("int32"),
            "ratio": (rows / 80).astype("float32"),
            "member": rows % 2 == 0,
        }
    )


def make(root: Path) -> Workspace:
    """``cancer`` has versions 1 (@champion) and 2 (labels swapped); ``mixed`` has columns of many
    types; ``bare`` was fitted on an array; ``unsigned`` has no signature."""
    workspace = Workspace(root)
    for flip in (False, True):
        register(workspace, "cancer", fitted(flip=flip), X.head())
    Tracking(workspace).set_alias("cancer", "champion", "1")
    frame = mixed_frame()
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["city"]), remainder="passthrough"
    )
    target = np.where(frame["visits"] > 5, "often", "rarely")
    model = make_pipeline(encoder, HistGradientBoostingClassifier(max_iter=5))
    register(workspace, "mixed", model.fit(frame, target), frame.head(20))
    bare = LogisticRegression(max_iter=10_000).fit(X.to_numpy()[:, :3], Y)
    register(workspace, "bare", bare, X.to_numpy()[:5, :3])
    register(workspace, "unsigned", bare, None)
    return workspace
