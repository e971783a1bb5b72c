"""Who logged what to a pipeline's run.

A step that comes from a cache logs nothing, so what it had logged when it ran is kept with its
trace, and logged again for it. Runs that cells start besides the pipeline's (nested ones, too) are
neither watched nor logged again; nor is what asynchronous logging writes after the last step.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import NotFound
from ..workspace import os_errors
from .contents import OMITTED, Artifact, Contents, Held
from .logged import Content, Logged, Noted, Point, identity
from .runs import Runs

#: Artifacts of more bytes are not kept.
LARGEST = 256 << 20
_DOUBT = "what it logged with MLflow cannot be told from what other steps did"
_LONGEST = 5000  # characters of a tag


class Ledger:
    """Watches one run: says what is new there when a step has run, and logs what cached steps had.

    What is new goes to the step that is looked at. With one worker that is exact; with several,
    what steps log at the same time goes to the one that comes first in the notebook. MLflow does
    not say when a parameter or tag is set to the value that it has: the first step has it then.
    One thread at a time uses it.

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
        self, tracking: Runs, run_id: str, content: Content, redact: Callable[[str], str] = str
    ) -> None:
        self._contents = Contents(tracking, run_id, content)
        self._content = content
        self._redact = redact
        self._known = _Known()
        self._steps: dict[int, Logged] = {}  # what committed steps logged
        self._cached: dict[int, str] = {}  # what is still to be logged for them
        self._late: dict[int, str] = {}  # the same, for those that log again themselves
        self._copied: dict[int, str] = {}
        self._going: set[int] = set()
        self._before: dict[int, list[int]] = {}
        self._doubtful: set[int] = set()

    def begin(self) -> None:
        """What the run holds now is no step's."""
        self._known.add(self._contents.read())

    def begins(self, step: int, before: Sequence[int]) -> None:
        """A step begins to run, maybe not for the first time. In a fresh kernel the steps
        ``before`` run again first, and log again themselves."""
        if step in self._going:
            self._give_up(step)
        for earlier in before:
            if (key := self._cached.pop(earlier, None)) is not None:
                self._late[earlier] = key
        self._log_cached()
        self._going.add(step)
        self._before[step] = list(before)

    def look(self, step: int, began: int) -> Noted:
        """Take what is new in the run for what a step logged that ran, and keep it.

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
        held = self._contents.read()
        again = [self._steps[n] for n in self._before.pop(step, ()) if n in self._steps]
        found = self._kept(self._known.news(held), held.files)
        if again:
            found = self._without(found, held.files, again, began)
        keys = [self._content.put(found.encode()), *found.artifacts.values()] if found else []
        self._known.add(held)
        self._steps[step] = found
        self._going.discard(step)
        return Noted(keys, _DOUBT if step in self._doubtful else "")

    def cached(self, step: int, key: str) -> None:
        """A step came from the cache, with what is kept under ``key``. It is logged at the next
        :meth:`flush`: until then it may turn out that the step has to run."""
        if self._copied.get(step) != key:
            self._cached[step] = key

    def repaired(self, step: int) -> None:
        """A step's result does not count; it will run again."""
        self._cached.pop(step, None)
        self._late.pop(step, None)
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
        for step, key in sorted(self._late.items()):
            self._steps[step] = self.write(key, again=True)
            self._copied[step] = self._late.pop(step)
        self._log_cached()

    def write(self, key: str, *, again: bool = False) -> Logged:
        """Log what is kept under ``key``, which may be done already, and return it. ``again``: the
        step ran again and has logged most of it, with other times and ids.

        Raises
        ------
        Unavailable
            If MLflow's store or the disk is not usable.
        """
        logged, contents = self._get(key), self._contents
        points = self._known.after(logged.metrics)
        held = contents.read()
        there = {identity(point) for point in held.logged.metrics}
        news = self._known.news(held) if again else Logged()
        figures = Counter(map(_figure, news.metrics))
        missing = [point for point in points if identity(point) not in there]
        contents.add_points(_others(missing, figures))
        contents.add_parameters(
            {k: v for k, v in logged.parameters.items() if k not in held.logged.parameters}
        )
        tags = self._free(logged.tags, held.logged.tags, self._known.tags)
        files = self._free(logged.artifacts, held.files, self._known.files)
        with os_errors("artifacts"):
            omitted = [*logged.omitted, *contents.add_files(files)]
        if omitted:
            tags[OMITTED] = ", ".join(dict.fromkeys([*held.omitted, *omitted]))[:_LONGEST]
        contents.set_tags(tags)
        contents.add_links(
            [m for m in logged.models if m not in held.logged.models and not news.models],
            [model for model in logged.used if model not in held.logged.used],
            [item for item in logged.data if item not in held.logged.data],
        )
        now = contents.files() if files else {}
        here = {path: now[path] for path in files if path in now}
        self._known.add(Held(replace(logged, metrics=points), here, []))
        return logged

    # ------------------------------------------------------------------------------------------

    def _get(self, key: str) -> Logged:
        try:
            return Logged.decode(self._content.get(key))
        except NotFound:
            return Logged(omitted=["what a step logged"])

    def _free(
        self, given: Mapping[str, str], there: Mapping[str, Any], known: Mapping[str, Any]
    ) -> dict[str, str]:
        """Those that no step has set meanwhile that is still going: it comes later in the
        notebook."""
        if not self._going:
            return dict(given)
        return {k: v for k, v in given.items() if there.get(k) in (None, known.get(k))}

    def _give_up(self, step: int) -> None:
        """An attempt does not count. While other steps go on, what it logged cannot be told from
        what they did."""
        self._going.discard(step)
        self._before.pop(step, None)
        if self._going:
            self._doubtful.add(step)
        else:
            self._known.add(self._contents.read(), texts=False)

    def _log_cached(self) -> None:
        for step, key in sorted(self._cached.items()):
            self._steps[step] = self.write(key)
            self._copied[step] = self._cached.pop(step)

    def _kept(self, found: Logged, files: Mapping[str, Artifact]) -> Logged:
        """With the artifacts' content kept, and without secrets."""
        small = [path for path in found.artifacts if files[path].size <= LARGEST]
        return replace(
            found,
            parameters={k: self._redact(v) for k, v in found.parameters.items()},
            tags={k: self._redact(v) for k, v in found.tags.items()},
            artifacts={path: self._contents.keep(path) for path in small},
            omitted=sorted(found.artifacts.keys() - set(small)),
        )

    def _without(
        self, found: Logged, files: Mapping[str, Artifact], again: list[Logged], began: int
    ) -> Logged:
        """Without what steps logged that ran again before this one."""
        parameters = {item for one in again for item in one.parameters.items()}
        tags = {item for one in again for item in one.tags.items()}
        artifacts = {item for one in again for item in one.artifacts.items()}
        omitted = {path for one in again for path in one.omitted}
        early = {path for path in files if files[path].changed < began * 1_000_000}
        models = any(one.models for one in again)
        twice = Counter(_figure(point) for one in again for point in one.metrics)
        metrics = _others([point for point in found.metrics if point[2] < began], twice)
        metrics += [point for point in found.metrics if point[2] >= began]
        return replace(
            found,
            parameters=dict(found.parameters.items() - parameters),
            metrics=metrics,
            tags=dict(found.tags.items() - tags),
            artifacts={
                path: key
                for path, key in found.artifacts.items()
                if path not in early or (path, key) not in artifacts
            },
            omitted=[path for path in found.omitted if path not in early & omitted],
            models=[m for m in found.models if not models or self._contents.made(m[0]) >= began],
        )


class _Known:
    """What a run holds of which it is known whose it is."""

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}
        self.files: dict[str, Artifact] = {}
        self._parameters: set[str] = set()
        self._points: set[tuple[str, str, int, int]] = set()
        self._last: dict[tuple[str, int], int] = {}  # key and step to the time of the last point
        self._models: set[tuple[str, int]] = set()
        self._used: set[str] = set()
        self._data: set[tuple[str, str]] = set()

    def news(self, held: Held) -> Logged:
        """What else the run holds; artifacts without a key."""
        now = held.logged
        return Logged(
            parameters={k: v for k, v in now.parameters.items() if k not in self._parameters},
            metrics=[point for point in now.metrics if identity(point) not in self._points],
            tags={k: v for k, v in now.tags.items() if self.tags.get(k) != v},
            artifacts={
                path: "" for path, file in held.files.items() if self.files.get(path) != file
            },
            models=[model for model in now.models if model not in self._models],
            used=[model for model in now.used if model not in self._used],
            data=[item for item in now.data if (item.name, item.digest) not in self._data],
        )

    def add(self, held: Held, *, texts: bool = True) -> None:
        """Know more; without ``texts`` not of what shows no second time when it is logged again."""
        now = held.logged
        for point in now.metrics:
            self._points.add(identity(point))
            place = point[0], point[3]
            self._last[place] = max(point[2], self._last.get(place, 0))
        self.files |= held.files
        self._models.update(now.models)
        if texts:
            self._parameters.update(now.parameters)
            self.tags |= now.tags
            self._used.update(now.used)
            self._data.update((item.name, item.digest) for item in now.data)

    def forget(self, logged: Logged) -> None:
        """A step will log its parameters, tags and inputs again, which shows no second time."""
        self._parameters -= logged.parameters.keys()
        for key in logged.tags:
            self.tags.pop(key, None)
        self._used.difference_update(logged.used)
        self._data.difference_update((item.name, item.digest) for item in logged.data)

    def after(self, points: Sequence[Point]) -> list[Point]:
        """The points, but where an earlier step of the notebook logged later to the same metric and
        step, after it, however little: MLflow shows the last one as the metric's value."""
        moments: dict[tuple[str, int], set[int]] = defaultdict(set)
        for key, _, moment, step in points:
            moments[key, step].add(moment)
        moved = {
            (*place, moment): self._last[place] + number
            for place, found in moments.items()
            if min(found) < self._last.get(place, 0)
            for number, moment in enumerate(sorted(found), 1)
        }
        return [(k, v, moved.get((k, step, moment), moment), step) for k, v, moment, step in points]


def _others(points: Sequence[Point], figures: Counter[tuple[str, str, int]]) -> list[Point]:
    """The points but for one for each of ``figures``."""
    left, found = Counter(figures), []
    for point in points:
        if left[_figure(point)]:
            left[_figure(point)] -= 1
        else:
            found.append(point)
    return found


def _figure(point: Point) -> tuple[str, str, int]:
    key, value, _, step = identity(point)
    return key, value, step
