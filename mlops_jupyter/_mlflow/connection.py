"""One workspace's connection to MLflow."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import MissingDependency
from ..workspace import Workspace
from .border import border

if TYPE_CHECKING:
    from mlflow import MlflowClient

_fluent_lock = threading.RLock()


class Connection:
    """The client, the experiment, and MLflow's fluent functions, as one workspace uses them.

    Parameters
    ----------
    workspace:
        Its ``tracking_uri`` decides; by default SQLite and artifacts in ``.mlops/``.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    @cached_property
    def uri(self) -> str:
        """The tracking URI in force."""
        return (
            self.workspace.config.tracking_uri
            or f"sqlite:///{self.workspace.path('mlflow.db').as_posix()}"
        )

    @cached_property
    def _client(self) -> MlflowClient:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
        try:
            import mlflow
        except ModuleNotFoundError as error:
            raise MissingDependency("Tracking", "all", error.name or "mlflow") from error
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        with border(), self.workspace.lock("mlflow"):
            client = mlflow.MlflowClient(self.uri)
            client.search_experiments(max_results=1)  # creates the tables, once
        return client

    @contextlib.contextmanager
    def _fluent(self) -> Iterator[Any]:
        """MLflow's fluent functions, pointed at this workspace.

        They have one tracking URI per process, so one thread at a time may use them; MLflow also
        writes the URI into the environment, where it would decide for every other workspace and
        every child process.
        """
        _ = self._client
        import mlflow

        with _fluent_lock:
            before = os.environ.get("MLFLOW_TRACKING_URI")
            mlflow.set_tracking_uri(self.uri)
            try:
                yield mlflow
            finally:
                if before is None:
                    os.environ.pop("MLFLOW_TRACKING_URI", None)
                else:
                    os.environ["MLFLOW_TRACKING_URI"] = before

    @cached_property
    def _experiment_id(self) -> str:
        name = self.workspace.config.experiment or self.workspace.root.name or "default"
        local = not self.workspace.config.tracking_uri
        location = str(self.workspace.path("artifacts")) if local else None
        client = self._client
        with border(), self.workspace.lock("mlflow"):
            found = client.get_experiment_by_name(name)
            return found.experiment_id if found else client.create_experiment(name, location)
