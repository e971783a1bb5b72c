"""What cells log to a run with MLflow themselves: found, kept, and logged to a later run.

A step that comes from a cache logs nothing, so what it had logged when it ran is kept with its
trace (:class:`Logged`). A :class:`Ledger` watches one run: it says what is new there when a step
has run, and logs what cached steps had. Runs that cells start besides the given one (nested ones,
too) are neither watched nor logged again, nor is what asynchronous logging writes after the last
step.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import NotFound
from ..models import from_dict
from ..workspace import os_errors
from .artifacts import collect, listing
from .border import border

if TYPE_CHECKING:
    from .runs import Runs

#: The tag that names what an earlier run has and a later one could not be given.
OMITTED = "mlops.not_copied"
#: Artifacts of more bytes are not kept.
LARGEST = 256 << 20
_SYSTEM = ("mlflow.", "mlops.")
_NOTE = "mlflow.note.content"
_METRICS, _TEXTS = 1000, 100  # in one batch, at most

#: Key, value, time (ms since 1970), step.
Point = tuple[str, float, int, int]


class Content(Protocol):
    """Where content is kept by its hash (:class:`~mlops_jupyter.blobs.Blobs`)."""

    def put(self, data: bytes) -> str:
        """Keep bytes; their key."""

    def put_file(self, path: Path) -> str:
        """Keep a file's content; its key."""

    def get(self, key: str) -> bytes:
        """The content."""

    def take(self, key: str, target: Path) -> None:
        """Write the content to a file."""


@dataclass(frozen=True)
class Data:
    """A data set that a run used, as MLflow knows it."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None
    profile: str | None
    tags: dict[str, str]


@dataclass(frozen=True)
class Logged:
    """What one step logged.

    Attributes
    ----------
    metrics:
        All points, not only the last ones.
    artifacts:
        Path among the run's artifacts to the key of its content.
    omitted:
        Artifacts whose content is not kept.
    models, used:
        Ids of the models that it made, with their step, and of those it loaded.
    """

    parameters: dict[str, str] = field(default_factory=dict)
    metrics: list[Point] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict)
    omitted: list[str] = field(default_factory=list)
    models: list[tuple[str, int]] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    data: list[Data] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any(vars(self).values())

    def encode(self) -> bytes:
        """As JSON, which may hold NaN and infinities."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def decode(cls, text: bytes) -> Logged:
        """What :meth:`encode` wrote."""
        return from_dict(cls, json.loads(text))


class Ledger:
    """Who logged what to one run. One thread at a time uses it.

    Parameters
    ----------
    tracking:
        The store that has the run.
    content:
        Where things are kept.
    redact:
        Masks secrets in what is kept of parameters and tags.
    """

    def __init__(
        self, tracking: Runs, run_id: str, content: Content, redact: Any = lambda text: text
    ) -> None:
        self._client = tracking._client
        self._run_id = run_id
        self._content = content
        self._redact = redact
        self._known = _Known()
        self._steps: dict[int, Logged] = {}  # what committed steps logged
        self._cached: dict[int, str] = {}  # what is to be logged for cached steps
        self._copied: dict[int, str] = {}
        self._going: set[int] = set()
        self._before: dict[int, list[int]] = {}

    def begin(self) -> None:
        """What the run has now is no step's."""
        with border():
            self._known.add(self._now(), texts=True)

    def begins(self, step: int, before: Sequence[int]) -> None:
        """A step begins to run, maybe not for the first time; in a fresh kernel the steps
        ``before`` it run again first, and log again themselves."""
        if step in self._going:
            self._give_up(step)
        for earlier in before:
            if (key := self._cached.pop(earlier, None)) is not None:
                self._steps[earlier] = self._read(key)
        self.flush()
        self._going.add(step)
        self._before[step] = list(before)

    def look(self, step: int, began: int) -> list[str]:
        """Take what is new in the run for what a step logged that ran: the keys under which it is
        kept, the first for all of it; none if there is nothing.

        Parameters
        ----------
        began:
            When its first cell began (ms since 1970).

        Raises
        ------
        OSError
            If it cannot be kept.
        """
        self.flush()
        with border():
            now = self._now()
            again = [self._steps[n] for n in self._before.get(step, ()) if n in self._steps]
            found = self._without(self._known.news(now), again, began)
            kept, omitted = collect(
                self._client,
                self._run_id,
                self._content,
                {path: now.files[path] for path in found.artifacts},
                LARGEST,
            )
        if again:
            files = {item for one in again for item in one.artifacts.items()}
            kept = {
                path: key
                for path, key in kept.items()
                if (path, key) not in files or now.files[path].changed >= began
            }
        found = replace(found, artifacts=kept, omitted=omitted)
        keys = [self._content.put(found.encode()), *kept.values()] if found else []
        self._known.add(now, texts=True)
        self._steps[step] = found
        self._going.discard(step)
        return keys

    def cached(self, step: int, key: str) -> None:
        """A step came from the cache, with what is kept under ``key``; it is logged by the next
        :meth:`flush`."""
        if self._copied.get(step) != key:
            self._cached[step] = key

    def repaired(self, step: int) -> None:
        """A step's result does not count; it will run again."""
        self._cached.pop(step, None)
        if (logged := self._steps.pop(step, None)) is not None:
            self._known.forget(logged)
        if step in self._going:
            self._give_up(step)

    def flush(self) -> None:
        """Log what cached steps had.

        Raises
        ------
        Unavailable
            If MLflow's store or the disk is not usable.
        """
        for step, key in sorted(self._cached.items()):
            del self._cached[step]
            self._copied[step] = key
            self._steps[step] = self.write(key)

    def write(self, key: str) -> Logged:
        """Log what is kept under ``key``; what the run has already is left as it is.

        Raises
        ------
        Unavailable
            If MLflow's store or the disk is not usable.
        """
        logged = self._read(key)
        with border(), os_errors("artifacts"):
            points = self._known.in_order(logged.metrics)
            now = self._now(histories={point[0] for point in points})
            mine = _Mine(self._known, now, bool(self._going))
            omitted = [*logged.omitted, *self._files(logged.artifacts, mine)]
            tags = {k: v for k, v in logged.tags.items() if mine.tag(k)}
            if omitted:
                told = now.all_tags.get(OMITTED, "").split(", ")
                names = dict.fromkeys([*filter(None, told), *omitted])
                tags[OMITTED] = ", ".join(names)[:5000]
            self._points(point for point in points if _id(point) not in now.ids)
            self._texts(logged.parameters.items() - now.parameters.items(), now.parameters, tags)
            self._links(logged, now)
            files = listing(self._client, self._run_id) if logged.artifacts else {}
        self._known.add(replace(logged, metrics=points), texts=True)
        self._known.files |= {p: files[p] for p in logged.artifacts.keys() & files.keys()}
        return logged

    # ------------------------------------------------------------------------------------------

    def _read(self, key: str) -> Logged:
        if not key:
            return Logged()
        try:
            return Logged.decode(self._content.get(key))
        except NotFound:
            return Logged(omitted=["what a step logged"])

    def _give_up(self, step: int) -> None:
        """A step's attempt does not count. While others run, what it logged cannot be told from
        what they do. Parameters and tags will be logged again just so, which does not show."""
        self._going.discard(step)
        self._before.pop(step, None)
        if not self._going:
            with border():
                self._known.add(self._now(), texts=False)

    def _now(self, histories: Collection[str] | None = None) -> _Now:
        """What the run has; points of those metrics only, by default of all."""
        run = self._client.get_run(self._run_id)
        keys = [k for k in run.data.metrics if histories is None or k in histories]
        tags, outputs, inputs = dict(run.data.tags), run.outputs, run.inputs
        return _Now(
            parameters=dict(run.data.params),
            metrics=[
                (point.key, point.value, point.timestamp, point.step)
                for key in keys
                for point in self._client.get_metric_history(self._run_id, key)
            ],
            tags={k: v for k, v in tags.items() if k == _NOTE or not k.startswith(_SYSTEM)},
            models=[
                (m.model_id, m.step) for m in (outputs.model_outputs if outputs else None) or ()
            ],
            used=[m.model_id for m in (inputs.model_inputs if inputs else None) or ()],
            data=[_data(d) for d in (inputs.dataset_inputs if inputs else None) or ()],
            all_tags=tags,
            files=listing(self._client, self._run_id),
        )

    def _without(self, found: Logged, again: list[Logged], began: int) -> Logged:
        """What a step logged itself, where others ran again before it."""
        if not again:
            return self._clean(found)
        twice = Counter(_value(point) for one in again for point in one.metrics)
        metrics = []
        for point in found.metrics:
            if point[2] < began and twice[_value(point)]:
                twice[_value(point)] -= 1
            else:
                metrics.append(point)
        found = self._clean(found)
        made = any(one.models for one in again)
        return replace(
            found,
            metrics=metrics,
            models=[m for m in found.models if not made or self._made(m[0]) >= began],
            parameters=dict(_minus(found.parameters.items(), (o.parameters for o in again))),
            tags=dict(_minus(found.tags.items(), (o.tags for o in again))),
        )

    def _clean(self, found: Logged) -> Logged:
        return replace(
            found,
            parameters={k: self._redact(v) for k, v in found.parameters.items()},
            tags={k: self._redact(v) for k, v in found.tags.items()},
        )

    def _made(self, model_id: str) -> int:
        return int(self._client.get_logged_model(model_id).creation_timestamp)

    def _files(self, artifacts: dict[str, str], mine: _Mine) -> list[str]:
        """Store artifacts; those whose content is gone."""
        gone = []
        with tempfile.TemporaryDirectory() as folder:
            for path, key in artifacts.items():
                if not mine.file(path):
                    continue
                try:
                    self._content.take(key, Path(folder, path))
                except NotFound:
                    gone.append(path)
            self._client.log_artifacts(self._run_id, folder)
        return gone

    def _points(self, points: Iterable[Point]) -> None:
        from mlflow.entities import Metric

        for batch in _batches([Metric(*point) for point in points], _METRICS):
            self._client.log_batch(self._run_id, metrics=batch)

    def _texts(
        self, parameters: Iterable[tuple[str, str]], there: Collection[str], tags: dict[str, str]
    ) -> None:
        from mlflow.entities import RunTag

        for key, value in sorted(parameters):
            if key in there:  # with another value; it stays
                continue
            self._client.log_param(self._run_id, key, value)
        for batch in _batches([RunTag(k, v) for k, v in tags.items()], _TEXTS):
            self._client.log_batch(self._run_id, tags=batch)

    def _links(self, logged: Logged, now: _Now) -> None:
        from mlflow.entities import (
            Dataset,
            DatasetInput,
            InputTag,
            LoggedModelInput,
            LoggedModelOutput,
        )

        models = [LoggedModelOutput(*model) for model in logged.models if model not in now.models]
        if models:
            self._client.log_outputs(self._run_id, models)
        used = [LoggedModelInput(model) for model in logged.used if model not in now.used]
        data = []
        for item in logged.data:
            fields = asdict(item)
            tags = [InputTag(k, v) for k, v in fields.pop("tags").items()]
            data.append(DatasetInput(Dataset(**fields), tags))
        if used or data:
            self._client.log_inputs(self._run_id, data, used)
