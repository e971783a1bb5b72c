"""Runs in MLflow's tracking store.

Runs carry these tags of ours: ``mlops.kind`` (model, pipeline, step, run), ``mlops.key`` (what the
journal calls the run; makes delivery idempotent), ``mlops.notebook`` (relative to the workspace).
"""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..errors import InvalidInput, NotFound
from ..models import Run
from .border import border, clean_name, milliseconds, stamp
from .connection import Connection

_PARENT = "mlflow.parentRunId"


class Runs(Connection):
    """The runs of one workspace's experiment."""

    def start_run(
        self,
        name: str,
        *,
        kind: str = "run",
        parent_id: str | None = None,
        notebook: str | None = None,
        key: str | None = None,
        started: str | None = None,
        tags: dict[str, str] | None = None,
    ) -> str:
        """Create a run (status RUNNING) and return its id. With a ``key`` that an earlier run
        carries, that run's id is returned instead."""
        if key is not None and (known := self.run_by_key(key)):
            return known
        all_tags = {
            "mlops.kind": kind,
            **({_PARENT: parent_id} if parent_id else {}),
            **({"mlops.notebook": notebook} if notebook else {}),
            **({"mlops.key": key} if key else {}),
            **(tags or {}),
        }
        with border():
            run = self._client.create_run(
                self._experiment_id, milliseconds(started), all_tags, name
            )
        self.workspace.announce("runs", run.info.run_id, "created")
        return str(run.info.run_id)

    def variables(self, run_id: str) -> dict[str, str]:
        """What the environment of a process says so that its plain MLflow calls log to a run."""
        return {
            "MLFLOW_TRACKING_URI": self.uri,
            "MLFLOW_EXPERIMENT_ID": self._experiment_id,
            "MLFLOW_RUN_ID": run_id,
        }

    def run_by_key(self, key: str) -> str | None:
        """Id of the run whose journal key is ``key``, if there is one."""
        with border():
            found = self._client.search_runs(
                [self._experiment_id], f"tags.`mlops.key` = '{key}'", max_results=1
            )
        return found[0].info.run_id if found else None

    def log(
        self,
        run_id: str,
        *,
        parameters: dict[str, Any] | None = None,
        metrics: dict[str, float] | None = None,
        tags: dict[str, str] | None = None,
    ) -> None:
        """Log parameters (values cut at 6,000 characters), metrics and tags in one batch."""
        from mlflow.entities import Metric, Param, RunTag

        moment = int(datetime.now(timezone.utc).timestamp() * 1000)
        with border():
            self._client.log_batch(
                run_id,
                metrics=[
                    Metric(clean_name(k), float(v), moment, 0) for k, v in (metrics or {}).items()
                ],
                params=[Param(clean_name(k), str(v)[:6000]) for k, v in (parameters or {}).items()],
                tags=[RunTag(k, v) for k, v in (tags or {}).items()],
            )
        self.workspace.announce("runs", run_id, "logged")

    def log_text(self, run_id: str, text: str, path: str) -> None:
        """Store ``text`` as the run's artifact ``path``."""
        with border():
            self._client.log_text(run_id, text, path)

    def text(self, run_id: str, path: str) -> str | None:
        """The run's text artifact ``path``, or ``None``."""
        with border(), self._fluent() as mlflow:
            folder, _, _ = path.rpartition("/")
            if path not in {
                item.path for item in self._client.list_artifacts(run_id, folder or None)
            }:
                return None
            return str(mlflow.artifacts.load_text(f"runs:/{run_id}/{path}"))

    def log_file(self, run_id: str, file: Path, folder: str | None = None) -> None:
        """Store a copy of ``file`` among the run's artifacts."""
        with border():
            self._client.log_artifact(run_id, str(file), folder)

    def end_run(self, run_id: str, status: str = "FINISHED", ended: str | None = None) -> None:
        """Close a run as FINISHED, FAILED or KILLED."""
        with border():
            self._client.set_terminated(run_id, status, milliseconds(ended))
        self.workspace.announce("runs", run_id, status.lower())

    def runs(self, *, limit: int = 200, parent_id: str | None = None, kind: str = "") -> list[Run]:
        """Runs of the experiment, newest first; ``parent_id`` and ``kind`` narrow."""
        clauses = [f"tags.`{_PARENT}` = '{parent_id}'"] if parent_id else []
        clauses += [f"tags.`mlops.kind` = '{kind}'"] if kind else []
        with border():
            found = self._client.search_runs(
                [self._experiment_id], " and ".join(clauses), max_results=limit
            )
        return [self._run(run) for run in found]

    def run(self, run_id: str) -> Run:
        """One run.

        Raises
        ------
        NotFound
            If there is none with that id.
        """
        try:
            with border():
                return self._run(self._client.get_run(run_id))
        except (NotFound, InvalidInput) as error:
            raise NotFound(f"There is no run {run_id!r}.", hint="See: mlops runs list") from error

    def tags(self, run_id: str) -> dict[str, str]:
        """All tags of one run."""
        with border():
            return dict(self._client.get_run(run_id).data.tags)

    def _run(self, run: Any) -> Run:
        tags = run.data.tags
        return Run(
            run_id=run.info.run_id,
            name=run.info.run_name or "",
            experiment=self.workspace.config.experiment or self.workspace.root.name,
            status=run.info.status,
            started=stamp(run.info.start_time) or "",
            ended=stamp(run.info.end_time),
            parameters=dict(run.data.params),
            metrics=dict(run.data.metrics),
            notebook=tags.get("mlops.notebook"),
            kind=tags.get("mlops.kind", "run"),
            parent_id=tags.get(_PARENT),
        )
