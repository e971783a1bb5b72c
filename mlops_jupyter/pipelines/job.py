"""What is to run, and the names under which it is known."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from ..models import Scalar, to_json
from . import secrets
from .secrets import Secret


@dataclass(frozen=True)
class Job:
    """One run of a notebook.

    ``workspace``, ``notebook``, ``folder`` (the kernels') and ``output`` are absolute paths;
    ``output`` is ``None`` when papermill's caller keeps it elsewhere. The values of ``secrets`` are
    in the environment only.
    """

    id: str
    workspace: str
    notebook: str
    folder: str
    output: str | None
    parameters: dict[str, Any] = field(default_factory=dict)
    secrets: tuple[Secret, ...] = ()

    def shown(self) -> dict[str, Scalar]:
        """The parameters as records keep them: secrets masked."""
        shown = {name: _scalar(value) for name, value in self.parameters.items()}
        return {**shown, **secrets.masked(self.secrets)}

    def given(self) -> dict[str, str]:
        """What stands for the values in a cache key: secrets as keyed digests."""
        found = {name: repr(value) for name, value in self.parameters.items()}
        for secret in self.secrets:
            found[secret.name] = secrets.keyed_hash(os.environ.get(secret.variable, ""))
        return found


@dataclass(frozen=True)
class Options:
    """How an execution goes about it.

    Attributes
    ----------
    cache:
        URL of the blob store.
    use_cache:
        Whether steps may be taken from it; what runs is kept there either way.
    resumed:
        A run whose uncertain results count too.
    workers:
        How many steps may run at the same time.
    """

    cache: str
    use_cache: bool = True
    resumed: str | None = None
    workers: int = 1


def _scalar(value: Any) -> Scalar:
    return value if value is None or isinstance(value, str | int | float) else to_json(value)


def lock_name(id: str) -> str:
    """The lock that the runner of a pipeline run holds."""
    return f"pipeline-{id}"


def run_key(id: str) -> str:
    """What the pipeline run's parent run is called in MLflow's ``mlops.key`` tag."""
    return f"pipeline-{id}"
