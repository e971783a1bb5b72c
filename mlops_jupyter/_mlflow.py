"""MLflow's tracking store and registry, behind one border. Only this module imports mlflow, and
only when something is asked of it.

Runs carry these tags of ours: ``mlops.kind`` (model, pipeline, step, run), ``mlops.key`` (what the
journal calls the run; makes delivery idempotent), ``mlops.notebook`` (relative to the workspace).
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import Conflict, InvalidInput, MissingDependency, MLOpsError, NotFound, Unavailable
from .models import Model, ModelVersion, Run
from .workspace import Workspace

if TYPE_CHECKING:
    from mlflow import MlflowClient

_PARENT = "mlflow.parentRunId"


@dataclass(frozen=True)
class Field:
    """One input column of a model: its name (``None`` for a bare tensor), MLflow type, whether it
    must be there."""

    name: str | None
    type: str
    required: bool


@dataclass(frozen=True)
class LoadedModel:
    """A model version in memory.

    ``predict`` takes a ``(rows, columns)`` pandas DataFrame and returns what the model returns;
    ``native`` is the flavour's own object where MLflow can give it, else ``None``; ``method`` is
    which of its methods ``predict`` calls. A bare ``(rows, n)`` tensor is ``n`` nameless inputs.
    """

    name: str
    version: str
    run_id: str | None
    inputs: list[Field]
    predict: Any
    native: Any
    method: str = "predict"


def _stamp(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    moment = datetime.fromtimestamp(milliseconds / 1000, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _milliseconds(stamp: str | None) -> int | None:
    if stamp is None:
        return None
    return int(datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp() * 1000)


@contextlib.contextmanager
def _border() -> Iterator[None]:
    """Map MLflow's errors, and those of what it stands on, to ours."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except MLOpsError:
        raise
    except MlflowException as error:
        line = str(error).strip().splitlines()[0][:300]
        kinds: dict[str, type[MLOpsError]] = {
            "RESOURCE_DOES_NOT_EXIST": NotFound,
            "RESOURCE_ALREADY_EXISTS": Conflict,
            "INVALID_PARAMETER_VALUE": InvalidInput,
            "BAD_REQUEST": InvalidInput,
        }
        kind = kinds.get(error.error_code, Unavailable)
        raise kind(line, hint="Check the name, or the tracking server.") from error
    except (RequestException, SQLAlchemyError, ConnectionError) as error:
        line = str(error).strip().splitlines()[0][:200]
        raise Unavailable(
            f"MLflow's store is not reachable: {line}", hint="Check tracking_uri and the server."
        ) from error


class Tracking:
    """MLflow as one workspace uses it.

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
        with _border(), self.workspace.lock("mlflow"):
            self._choose(mlflow)
            client = mlflow.MlflowClient(self.uri)
            client.search_experiments(max_results=1)  # creates the tables, once
        return client

    def _choose(self, mlflow: Any) -> None:
        """Point MLflow's fluent functions at this workspace. MLflow also writes the URI into the
        environment, where it would decide for every other workspace and every child process."""
        before = os.environ.get("MLFLOW_TRACKING_URI")
        mlflow.set_tracking_uri(self.uri)
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
        with _border(), self.workspace.lock("mlflow"):
            found = client.get_experiment_by_name(name)
            return found.experiment_id if found else client.create_experiment(name, location)

    # --- runs ---------------------------------------------------------------------------------

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
        with _border():
            run = self._client.create_run(
                self._experiment_id, _milliseconds(started), all_tags, name
            )
        self.workspace.announce("runs", run.info.run_id, "created")
        return str(run.info.run_id)

    def run_by_key(self, key: str) -> str | None:
        """Id of the run whose journal key is ``key``, if there is one."""
        with _border():
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
        with _border():
            self._client.log_batch(
                run_id,
                metrics=[Metric(_name(k), float(v), moment, 0) for k, v in (metrics or {}).items()],
                params=[Param(_name(k), str(v)[:6000]) for k, v in (parameters or {}).items()],
                tags=[RunTag(k, v) for k, v in (tags or {}).items()],
            )
        self.workspace.announce("runs", run_id, "logged")

    def log_text(self, run_id: str, text: str, path: str) -> None:
        """Store ``text`` as the run's artifact ``path``."""
        with _border():
            self._client.log_text(run_id, text, path)

    def text(self, run_id: str, path: str) -> str | None:
        """The run's text artifact ``path``, or ``None``."""
        import mlflow

        with _border():
            folder, _, _ = path.rpartition("/")
            if path not in {
                item.path for item in self._client.list_artifacts(run_id, folder or None)
            }:
                return None
            return mlflow.artifacts.load_text(f"runs:/{run_id}/{path}")

    def log_file(self, run_id: str, file: Path, folder: str | None = None) -> None:
        """Store a copy of ``file`` among the run's artifacts."""
        with _border():
            self._client.log_artifact(run_id, str(file), folder)

    def end_run(self, run_id: str, status: str = "FINISHED", ended: str | None = None) -> None:
        """Close a run as FINISHED, FAILED or KILLED."""
        with _border():
            self._client.set_terminated(run_id, status, _milliseconds(ended))
        self.workspace.announce("runs", run_id, status.lower())

    def runs(self, *, limit: int = 200, parent_id: str | None = None, kind: str = "") -> list[Run]:
        """Runs of the experiment, newest first; ``parent_id`` and ``kind`` narrow."""
        clauses = [f"tags.`{_PARENT}` = '{parent_id}'"] if parent_id else []
        clauses += [f"tags.`mlops.kind` = '{kind}'"] if kind else []
        with _border():
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
            with _border():
                return self._run(self._client.get_run(run_id))
        except (NotFound, InvalidInput) as error:
            raise NotFound(f"There is no run {run_id!r}.", hint="See: mlops runs list") from error

    def tags(self, run_id: str) -> dict[str, str]:
        """All tags of one run."""
        with _border():
            return dict(self._client.get_run(run_id).data.tags)

    def _run(self, run: Any) -> Run:
        tags = run.data.tags
        return Run(
            run_id=run.info.run_id,
            name=run.info.run_name or "",
            experiment=self.workspace.config.experiment or self.workspace.root.name,
            status=run.info.status,
            started=_stamp(run.info.start_time) or "",
            ended=_stamp(run.info.end_time),
            parameters=dict(run.data.params),
            metrics=dict(run.data.metrics),
            notebook=tags.get("mlops.notebook"),
            kind=tags.get("mlops.kind", "run"),
            parent_id=tags.get(_PARENT),
        )

    # --- models -------------------------------------------------------------------------------

    def log_model(self, run_id: str, model: Any, sample: Any) -> str:
        """Store a fitted scikit-learn ``model`` with the signature that ``sample`` (a few rows of
        its input) gives; returns MLflow's model id. Requirements are the distributions in use, so
        nothing is resolved over the network."""
        import mlflow

        with _border(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            signature = None
            if sample is not None:
                signature = mlflow.models.infer_signature(sample, model.predict(sample))
            with self._active(run_id):
                info = mlflow.sklearn.log_model(
                    model,
                    name="model",
                    signature=signature,
                    pip_requirements=_requirements(),
                    serialization_format="cloudpickle",
                )
            self._forget_place(info.artifact_path, info.model_id)
        return str(info.model_id)

    @contextlib.contextmanager
    def _active(self, run_id: str) -> Iterator[None]:
        """Make ``run_id`` MLflow's active run and put its status back afterwards."""
        import mlflow

        before = self._client.get_run(run_id).info
        with mlflow.start_run(run_id=run_id):
            yield
        if before.status == "RUNNING":
            self._client.update_run(run_id, status="RUNNING")
        else:
            self._client.set_terminated(run_id, before.status, before.end_time)

    def _forget_place(self, location: str, model_id: str) -> None:
        """MLflow writes the folder's absolute path into ``MLmodel``; shareable files hold none."""
        file = Path(location.removeprefix("file://")) / "MLmodel"
        if file.is_file():
            text = file.read_text(encoding="utf-8")
            text = re.sub(
                r"(?m)^artifact_path: .*(?:\n  .*)*$", f"artifact_path: models:/{model_id}", text
            )
            file.write_text(text, encoding="utf-8")

    def register(self, name: str, run_id: str) -> ModelVersion:
        """Register the run's model as the next version of ``name``.

        Raises
        ------
        InvalidInput
            If the run has no model.
        """
        import mlflow

        with _border(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outputs = self._client.get_run(run_id).outputs
            if outputs is None or not outputs.model_outputs:
                raise InvalidInput(
                    f"Run {run_id} has no model.",
                    hint="Choose a run in which an estimator was fitted.",
                )
            uri = f"models:/{outputs.model_outputs[-1].model_id}"
            with self.workspace.lock("mlflow"), contextlib.redirect_stderr(io.StringIO()):
                made = mlflow.register_model(uri, name)
        self.workspace.announce("models", name, f"version {made.version}")
        return self.version(name, str(made.version))

    def models(self) -> list[Model]:
        """All registered models by name, each with its versions, newest first."""
        with _border():
            return [self._model(found.name) for found in self._client.search_registered_models()]

    def model(self, name: str) -> Model:
        """One registered model.

        Raises
        ------
        NotFound
            If there is none with that name.
        """
        try:
            with _border():
                return self._model(name)
        except NotFound as error:
            raise NotFound(f"There is no model {name!r}.", hint="See: mlops models list") from error

    def _model(self, name: str) -> Model:
        registered = self._client.get_registered_model(name)
        aliases: dict[str, list[str]] = {}
        for alias, number in registered.aliases.items():
            aliases.setdefault(str(number), []).append(alias)
        found = self._client.search_model_versions(f"name = '{_quoted(name)}'")
        versions = [
            ModelVersion(
                version=str(item.version),
                aliases=sorted(aliases.get(str(item.version), [])),
                run_id=item.run_id or None,
                status=item.status,
                created=_stamp(item.creation_timestamp) or "",
                metrics=dict(self._client.get_run(item.run_id).data.metrics) if item.run_id else {},
            )
            for item in sorted(found, key=lambda item: -int(item.version))
        ]
        champion = registered.aliases.get("champion")
        return Model(name, versions, str(champion) if champion is not None else None)

    def version(self, name: str, version: str) -> ModelVersion:
        """One version by its number.

        Raises
        ------
        NotFound
            If there is no such model or version.
        """
        for found in self.model(name).versions:
            if found.version == version:
                return found
        raise NotFound(
            f"Model {name!r} has no version {version!r}.", hint=f"See: mlops models show {name}"
        )

    def alias(self, name: str, alias: str) -> str | None:
        """The version number an alias points to, or ``None``; one query, cheap to repeat."""
        try:
            with _border():
                return str(self._client.get_model_version_by_alias(name, alias).version)
        except (NotFound, InvalidInput):
            return None

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Point ``alias`` at ``version``."""
        with _border():
            self._client.set_registered_model_alias(name, alias, version)
        self.workspace.announce("models", name, f"{alias} {version}")

    def load(self, name: str, version: str) -> LoadedModel:
        """Load a registered version into memory.

        Raises
        ------
        NotFound
            If there is no such version.
        """
        import mlflow

        known = self.version(name, version)
        uri = f"models:/{name}/{version}"
        with _border(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = mlflow.pyfunc.load_model(uri)
            native = None
            if "sklearn" in loaded.metadata.flavors:
                native = loaded.get_raw_model()
        schema = loaded.metadata.get_input_schema()
        method = loaded.metadata.flavors["python_function"].get("predict_fn", "predict")
        return LoadedModel(
            name, version, known.run_id, _fields(schema), loaded.predict, native, method
        )


def _fields(schema: Any) -> list[Field]:
    """The inputs of an MLflow signature; none where there is no signature that has columns."""
    if schema is None:
        return []
    if not schema.is_tensor_spec():
        return [
            Field(
                getattr(item, "name", None),
                getattr(item.type, "name", str(item.type)),
                item.required,
            )
            for item in schema.inputs
        ]
    shape = schema.inputs[0].shape
    if len(schema.inputs) != 1 or len(shape) != 2 or shape[1] < 1:
        return []
    names = {
        "float64": "double",
        "float32": "float",
        "int64": "long",
        "int32": "integer",
        "bool": "boolean",
    }
    kind = schema.inputs[0].type.name
    return [Field(None, names.get(kind, kind), True)] * int(shape[1])


def _name(name: str) -> str:
    """``name`` with the characters that MLflow refuses replaced."""
    return re.sub(r"[^\w\-. /]", "_", name)[:250]


def _quoted(name: str) -> str:
    return name.replace("'", "\\'")


def _requirements() -> list[str]:
    """The distributions a scikit-learn model needs, pinned as installed."""
    from importlib.metadata import PackageNotFoundError, version

    pins = []
    for name in ("mlflow", "scikit-learn", "numpy", "pandas", "scipy", "cloudpickle"):
        with contextlib.suppress(PackageNotFoundError):
            pins.append(f"{name}=={version(name)}")
    return pins
