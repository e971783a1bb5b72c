"""Models: stored with a run, registered, given aliases, loaded."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InvalidInput, NotFound
from ..models import Model, ModelVersion
from .border import border, quoted, stamp
from .runs import Runs


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


class Tracking(Runs):
    """MLflow's tracking store and registry as one workspace uses them."""

    def log_model(self, run_id: str, model: Any, sample: Any) -> str:
        """Store a fitted scikit-learn ``model`` with the signature that ``sample`` (a few rows of
        its input) gives; returns MLflow's model id. Requirements are the distributions in use, so
        nothing is resolved over the network."""
        with border(), self._fluent() as mlflow, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            signature = None
            if sample is not None:
                signature = mlflow.models.infer_signature(sample, model.predict(sample))
            with self._active(mlflow, run_id):
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
    def _active(self, mlflow: Any, run_id: str) -> Iterator[None]:
        """Make ``run_id`` MLflow's active run and put its status back afterwards."""
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
        with border(), self._fluent() as mlflow, warnings.catch_warnings():
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
        with border():
            return [self._model(found.name) for found in self._client.search_registered_models()]

    def model(self, name: str) -> Model:
        """One registered model.

        Raises
        ------
        NotFound
            If there is none with that name.
        """
        try:
            with border():
                return self._model(name)
        except NotFound as error:
            raise NotFound(f"There is no model {name!r}.", hint="See: mlops models list") from error

    def _model(self, name: str) -> Model:
        registered = self._client.get_registered_model(name)
        aliases: dict[str, list[str]] = {}
        for alias, number in registered.aliases.items():
            aliases.setdefault(str(number), []).append(alias)
        found = self._client.search_model_versions(f"name = '{quoted(name)}'")
        versions = [
            ModelVersion(
                version=str(item.version),
                aliases=sorted(aliases.get(str(item.version), [])),
                run_id=item.run_id or None,
                status=item.status,
                created=stamp(item.creation_timestamp) or "",
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
            with border():
                return str(self._client.get_model_version_by_alias(name, alias).version)
        except (NotFound, InvalidInput):
            return None

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Point ``alias`` at ``version``."""
        with border():
            self._client.set_registered_model_alias(name, alias, version)
        self.workspace.announce("models", name, f"{alias} {version}")

    def load(self, name: str, version: str) -> LoadedModel:
        """Load a registered version into memory.

        Raises
        ------
        NotFound
            If there is no such version.
        """
        known = self.version(name, version)
        uri = f"models:/{name}/{version}"
        with border(), self._fluent() as mlflow, warnings.catch_warnings():
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


def _requirements() -> list[str]:
    """The distributions a scikit-learn model needs, pinned as installed."""
    from importlib.metadata import PackageNotFoundError, version

    pins = []
    for name in ("mlflow", "scikit-learn", "numpy", "pandas", "scipy", "cloudpickle"):
        with contextlib.suppress(PackageNotFoundError):
            pins.append(f"{name}=={version(name)}")
    return pins
