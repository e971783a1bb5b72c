"""All that one run holds: reading it, and adding to it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..errors import InvalidInput, NotFound
from .border import border
from .logged import Content, Data, Logged, Point
from .runs import Runs

#: The tag that names what an earlier run has and this one could not be given.
OMITTED = "mlops.not_copied"
_NOTE = "mlflow.note.content"
_SYSTEM = ("mlflow.", "mlops.")
_METRICS, _TEXTS = 1000, 100  # in one batch, at most
T = TypeVar("T")


@dataclass(frozen=True)
class Artifact:
    """A file among a run's artifacts: its size, and when it was last changed (ns since 1970; 0: the
    store does not say)."""

    size: int
    changed: int


@dataclass(frozen=True)
class Held:
    """What a run holds at a moment; ``files`` are its artifacts."""

    logged: Logged
    files: dict[str, Artifact]
    omitted: list[str]


class Contents:
    """What one run holds. MLflow's errors come as ours.

    Parameters
    ----------
    tracking:
        The store that has the run.
    content:
        Where artifacts are kept.
    """

    def __init__(self, tracking: Runs, run_id: str, content: Content) -> None:
        self._tracking = tracking
        self._run_id = run_id
        self._content = content

    @property
    def _client(self) -> Any:
        return self._tracking._client

    def read(self) -> Held:
        """All but the system's tags."""
        with border():
            run = self._client.get_run(self._run_id)
            points = [
                (point.key, point.value, point.timestamp, point.step)
                for key in run.data.metrics
                for point in self._client.get_metric_history(self._run_id, key)
            ]
            files = self.files()
        tags = run.data.tags
        made = run.outputs.model_outputs if run.outputs else ()
        inputs = run.inputs
        logged = Logged(
            parameters=dict(run.data.params),
            metrics=points,
            tags={k: v for k, v in tags.items() if k == _NOTE or not k.startswith(_SYSTEM)},
            models=[(model.model_id, model.step) for model in made],
            used=[model.model_id for model in (inputs.model_inputs if inputs else ())],
            data=[_data(item) for item in (inputs.dataset_inputs if inputs else ())],
        )
        return Held(logged, files, list(filter(None, tags.get(OMITTED, "").split(", "))))

    def files(self) -> dict[str, Artifact]:
        """The run's artifacts by path."""
        with border():
            if (folder := self._folder()) is None:
                return dict(self._listed(None))
        found = {}
        for place, _, names in os.walk(folder):
            for path in (Path(place, name) for name in names):
                with contextlib.suppress(FileNotFoundError):  # removed since
                    about = path.stat()
                    name = path.relative_to(folder).as_posix()
                    found[name] = Artifact(about.st_size, about.st_mtime_ns)
        return found

    def keep(self, path: str) -> str:
        """Keep an artifact's content; its key.

        Raises
        ------
        OSError
            If that is not possible.
        """
        with border():
            if (folder := self._folder()) is not None:
                return self._content.put_file(folder / path)
            with tempfile.TemporaryDirectory() as place:
                got = self._client.download_artifacts(self._run_id, path, place)
                return self._content.put_file(Path(got))

    def made(self, model_id: str) -> int:
        """When a model was made (ms since 1970; 0: it is gone)."""
        with contextlib.suppress(NotFound), border():
            return int(self._client.get_logged_model(model_id).creation_timestamp)
        return 0

    # --- adding -------------------------------------------------------------------------------

    def add_points(self, points: Sequence[Point]) -> None:
        """Log points of metrics."""
        from mlflow.entities import Metric

        with border():
            for batch in _batches([Metric(*point) for point in points], _METRICS):
                self._client.log_batch(self._run_id, metrics=batch)

    def add_parameters(self, parameters: Mapping[str, str]) -> None:
        """Log parameters. One that has another value by now keeps it."""
        from mlflow.entities import Param

        for batch in _batches([Param(k, v) for k, v in parameters.items()], _TEXTS):
            try:
                with border():
                    self._client.log_batch(self._run_id, params=batch)
            except InvalidInput:
                for one in batch:
                    with contextlib.suppress(InvalidInput), border():
                        self._client.log_param(self._run_id, one.key, one.value)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags."""
        from mlflow.entities import RunTag

        with border():
            for batch in _batches([RunTag(k, v) for k, v in tags.items()], _TEXTS):
                self._client.log_batch(self._run_id, tags=batch)

    def add_files(self, files: Mapping[str, str]) -> list[str]:
        """Store artifacts (path to key of the content); those whose content is gone."""
        gone = []
        if files:
            with tempfile.TemporaryDirectory() as place, border():
                for path, key in files.items():
                    try:
                        self._content.take(key, Path(place, path))
                    except NotFound:
                        gone.append(path)
                self._client.log_artifacts(self._run_id, place)
        return gone

    def add_links(
        self, models: Sequence[tuple[str, int]], used: Sequence[str], data: Sequence[Data]
    ) -> None:
        """Say which models the run made and used, and which data sets."""
        from mlflow.entities import (
            Dataset,
            DatasetInput,
            InputTag,
            LoggedModelInput,
            LoggedModelOutput,
        )

        sets = []
        for item in data:
            fields = asdict(item)
            tags = [InputTag(key, value) for key, value in fields.pop("tags").items()]
            sets.append(DatasetInput(Dataset(**fields), tags))
        with border():
            if models:
                self._client.log_outputs(self._run_id, [LoggedModelOutput(*m) for m in models])
            if used or sets:
                inputs = [LoggedModelInput(model) for model in used]
                self._client.log_inputs(self._run_id, sets, inputs)

    # ------------------------------------------------------------------------------------------

    def _folder(self) -> Path | None:
        """The folder of artifacts, if this machine has it."""
        from mlflow.utils import file_utils, uri

        place = self._client.get_run(self._run_id).info.artifact_uri
        if not uri.is_local_uri(place, is_tracking_or_registry_uri=False):  # type: ignore[no-untyped-call]
            return None
        return Path(file_utils.local_file_uri_to_path(place))  # type: ignore[no-untyped-call]

    def _listed(self, folder: str | None) -> Iterator[tuple[str, Artifact]]:
        for item in self._client.list_artifacts(self._run_id, folder):
            if item.is_dir:
                yield from self._listed(item.path)
            else:
                yield item.path, Artifact(item.file_size or 0, 0)


def _data(item: Any) -> Data:
    about = item.dataset
    tags = {tag.key: tag.value for tag in item.tags}
    return Data(
        about.name,
        about.digest,
        about.source_type,
        about.source,
        about.schema,
        about.profile,
        tags,
    )


def _batches(items: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
