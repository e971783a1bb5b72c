"""Comparing two executions of one notebook: displayed outputs, written files, final variables.

Left is the notebook run top to bottom, right the pipeline; of what differs the first thing is told
in one short line. Only what :mod:`~mlops_jupyter.pipelines.compare.volatile` names is ignored.
"""

from __future__ import annotations

from .files import FileDifference, compare_files, files_in
from .objects import snapshot
from .outputs import CellDifference, compare_outputs
from .walk import equal_namespaces, equal_values

__all__ = [
    "CellDifference",
    "FileDifference",
    "compare_files",
    "compare_outputs",
    "equal_namespaces",
    "equal_values",
    "files_in",
    "snapshot",
]
