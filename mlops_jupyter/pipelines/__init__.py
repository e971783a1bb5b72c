"""Notebooks as pipelines: steps, analysis, engine, runs.

:func:`show` explains a notebook as steps, :func:`run` runs it, :func:`history` lists its runs. The
engine is papermill's (``papermill in.ipynb out.ipynb --engine mlops``) and is imported, with
papermill itself, only when a notebook runs.
"""

from __future__ import annotations

from .runner import EXECUTED, history, output_name, run, show

__all__ = ["EXECUTED", "history", "output_name", "run", "show"]
