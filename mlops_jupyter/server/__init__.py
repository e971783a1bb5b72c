"""The Jupyter server extension: REST under ``/mlops/api/``, live events, the courier's standing.

``extension`` wires it, ``routes`` is the table of what there is, ``handlers`` speaks HTTP,
``requests`` checks what clients send, ``launch`` starts pipelines, ``relay`` watches the workspace.
"""

from __future__ import annotations

from .extension import MLOpsExtension

__all__ = ["MLOpsExtension", "_load_jupyter_server_extension"]

_load_jupyter_server_extension = MLOpsExtension._load_jupyter_server_extension
