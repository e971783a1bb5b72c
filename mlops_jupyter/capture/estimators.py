"""What an estimator is and is called, and its parameters as text. Nothing is imported: an estimator
can only be here if scikit-learn is."""

from __future__ import annotations

import re
import sys
from inspect import signature
from typing import Any

_TEXT_LIMIT = 500
_ITEM_LIMIT = 20
_TERMS = {
    "ClassifierMixin": "accuracy",
    "RegressorMixin": "r2",
    "_GeneralizedLinearRegressor": "d2",
}


def is_model(estimator: Any) -> bool:
    """Whether a fit of ``estimator`` makes a model: anything but a mere transformer."""
    base = sys.modules["sklearn.base"]
    return bool(
        base.is_classifier(estimator)
        or base.is_regressor(estimator)
        or hasattr(estimator, "predict")
        or not hasattr(estimator, "transform")
    )


def run_name(estimator: Any) -> str:
    """The class' name, for a Pipeline that of its last step."""
    steps = getattr(estimator, "steps", None)
    if isinstance(steps, list) and steps and type(estimator).__name__ == "Pipeline":
        last = steps[-1][1]
        return type(last if hasattr(last, "get_params") else estimator).__name__
    return type(estimator).__name__


def score_name(estimator: Any) -> str:
    """The field's term for what ``estimator.score`` returns, ``"score"`` if it is not known.

    A parameter ``scoring`` decides only where the class that defines ``score`` takes it (a search
    does; gradient boosting uses it for early stopping alone). ``"warn"`` is scikit-learn's mark of
    a default that will change; until then it means the estimator's usual score.
    """
    steps = getattr(estimator, "steps", None)
    if isinstance(steps, list) and steps and type(estimator).__name__ == "Pipeline":
        return score_name(steps[-1][1])
    definer = next((cls for cls in type(estimator).__mro__ if "score" in cls.__dict__), object)
    scoring = getattr(estimator, "scoring", None)
    if scoring not in (None, "warn") and "scoring" in signature(definer).parameters:
        refit = getattr(estimator, "refit", None)
        return next((name for name in (scoring, refit) if isinstance(name, str)), "score")
    inner = getattr(estimator, "estimator", None)
    base = sys.modules["sklearn.base"]
    term = "score"
    if definer.__name__ in _TERMS and definer.__module__.startswith("sklearn."):
        term = _TERMS[definer.__name__]
    elif definer.__module__.startswith("sklearn.") and inner is not None:
        term = score_name(inner)
    elif definer.__module__.startswith("sklearn.") and base.is_classifier(estimator):
        term = "accuracy"
    elif definer.__module__.startswith("sklearn.") and base.is_regressor(estimator):
        term = "r2"
    return term


def text(value: Any, depth: int = 0) -> str:
    """``value`` of a parameter as short, repeatable text: estimators and functions by name, no
    memory addresses, at most 500 characters."""
    if isinstance(value, str):
        shown = value if depth == 0 else repr(value)
    elif isinstance(value, list | tuple) and depth < 4:
        items = [text(item, depth + 1) for item in value[:_ITEM_LIMIT]]
        items += ["..."] if len(value) > _ITEM_LIMIT else []
        shown = ", ".join(items).join("[]" if isinstance(value, list) else "()")
    elif isinstance(value, dict) and depth < 4:
        pairs = list(value.items())[:_ITEM_LIMIT]
        items = [f"{text(key, depth + 1)}: {text(item, depth + 1)}" for key, item in pairs]
        shown = ", ".join([*items, *(["..."] if len(value) > _ITEM_LIMIT else [])]).join("{}")
    elif hasattr(value, "get_params"):
        shown = value.__name__ if isinstance(value, type) else type(value).__name__
    elif hasattr(value, "__qualname__"):
        shown = value.__qualname__
    elif hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        shown = repr(value.item())
    else:
        shown = re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
    return shown if len(shown) <= _TEXT_LIMIT else shown[: _TEXT_LIMIT - 3] + "..."
