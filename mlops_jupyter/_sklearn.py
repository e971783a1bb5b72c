"""scikit-learn's scorers, behind one border."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from .errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd


def measure(model: Any, metric: str, data: pd.DataFrame, target: str, columns: list[str]) -> float:
    """The figure that scikit-learn's scorer ``metric`` gives for ``model`` on labelled ``data``.

    Parameters
    ----------
    model:
        A fitted scikit-learn estimator.
    metric:
        A scorer's name, e.g. ``accuracy`` or ``neg_mean_absolute_error``; higher is better.
    data:
        ``(rows, columns)`` with the label in column ``target``.
    columns:
        The model's input columns, in its order.

    Raises
    ------
    InvalidInput
        If the scorer is unknown, a column is missing, or the model cannot be scored with it.
    """
    from sklearn.metrics import get_scorer

    missing = [column for column in [*columns, target] if column not in data.columns]
    if missing:
        raise InvalidInput(
            f"The evaluation data has no column {missing[0]!r}.", hint="Check data and target."
        )
    if not len(data):
        raise InvalidInput("The evaluation data has no rows.", hint="Give labelled rows.")
    try:
        scorer = get_scorer(metric)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(scorer(model, data[columns], data[target]))
    except (ValueError, TypeError, AttributeError) as error:
        line = str(error).strip().splitlines()[0][:200]
        raise InvalidInput(
            f"{metric!r} cannot be computed: {line}", hint="Choose another metric for the gate."
        ) from error
