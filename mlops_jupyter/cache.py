"""The cache of pipelines: where it is, what is in it, and making it smaller.

A *trace*, the note ``traces/<code key>/<id>.json``, says what an execution of a step read and gave.
Its list ``blobs`` names the content it needs; content that no trace needs can go. What a run may be
about to use is spared: what was put or used within a grace period, and since the start of the
oldest pipeline that still runs (:meth:`Blobs.lease`).
"""

from __future__ import annotations

import json
import math
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock

from .blobs import GRACE, Blobs, Entry
from .errors import InvalidInput
from .models import CacheEntry, CacheSummary
from .workspace import Workspace, os_errors

_TRACES = "traces/"
_LOCK = "prune.lock"
_AGES = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SIZES = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


def open_cache(workspace: Workspace, url: str | None = None) -> Blobs:
    """The workspace's cache: at ``url``, else where the setting ``cache`` says (folders are
    relative to the workspace), else ``.mlops/cache``.

    Raises
    ------
    InvalidInput
        If the URL's protocol is unknown or it makes no sense.
    MissingDependency
        If the package for the protocol is not installed.
    Unavailable
        If the store cannot be reached, or ``.mlops/`` not be written.
    """
    if not (url or workspace.config.cache):
        workspace.ensure()
    return _find(workspace, url)


def show(workspace: Workspace, url: str | None = None) -> CacheSummary:
    """What is in the cache.

    Raises
    ------
    Unavailable
        If it cannot be read.
    """
    blobs = _find(workspace, url)
    with os_errors("the cache"):
        return _summary(workspace, blobs, _Content(blobs))


def prune(
    workspace: Workspace,
    *,
    older_than: float | None = None,
    max_size: int | None = None,
    grace: float = GRACE,
    dry_run: bool = False,
    url: str | None = None,
) -> CacheSummary:
    """Remove what was not used for ``older_than`` seconds; then, beginning with what was not used
    for longest, as much as leaves ``max_size`` bytes; and always what no trace needs.

    Nothing used within the last ``grace`` seconds, or since a pipeline began that still runs, is
    removed. Any number may prune while any number of pipelines run.

    Raises
    ------
    Unavailable
        If the cache cannot be read or written.
    """
    now = time.time()
    limits = _Limits(
        old=-math.inf if older_than is None else now - older_than,
        size=math.inf if max_size is None else max_size,
        before=now - grace,
    )
    return _remove(workspace, url, limits, dry_run)


def clear(workspace: Workspace, url: str | None = None) -> CacheSummary:
    """Remove everything but what running pipelines used since they began.

    Raises
    ------
    Unavailable
        If the cache cannot be read or written.
    """
    return _remove(workspace, url, _Limits(old=math.inf, size=0, before=math.inf), dry_run=False)


def parse_age(text: str, what: str = "The age") -> float:
    """Seconds of an age like ``90s``, ``15m``, ``12h``, ``30d`` or ``2w``.

    Raises
    ------
    InvalidInput
        If it is not one.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([smhdw])", text.strip().lower())
    if not found:
        raise InvalidInput(f"{what} {text!r} is not an age.", hint="Use one like 12h, 30d or 2w.")
    return float(found[1]) * _AGES[found[2]]


def parse_size(text: str, what: str = "The size") -> int:
    """Bytes of a size like ``500MB``, ``10GB`` or ``1.5GiB``.

    Raises
    ------
    InvalidInput
        If it is not one.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgtp]?)(i?)b?", text.strip().lower())
    if not found or (found[3] and not found[2]):
        raise InvalidInput(f"{what} {text!r} is not a size.", hint="Use one like 500MB or 10GB.")
    return int(float(found[1]) * (1024 if found[3] else 1000) ** _SIZES[found[2]])


# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Limits:
    """What may stay: what was used since ``old``, up to ``size`` bytes; what was used since
    ``before`` must stay."""

    old: float
    size: float
    before: float


@dataclass(frozen=True)
class _Trace:
    file: Entry
    entry: CacheEntry
    needs: frozenset[str]


class _Content:
    """What is in the cache at one moment."""

    def __init__(self, blobs: Blobs) -> None:
        files = list(blobs.entries(_TRACES))
        notes = blobs.notes(_TRACES)
        self.traces = [_trace(file, notes[file.name]) for file in files if file.name in notes]
        self.damaged = [file for file in files if file.name not in notes]
        self.blobs = {_key(file): file for file in blobs.entries("blobs/")}
        self.needed = Counter(key for trace in self.traces for key in trace.needs)
        self.size = _size(files) + _size(self.blobs.values())

    def unneeded(self, before: float) -> list[Entry]:
        """Blobs that no trace needs and nobody used since ``before``."""
        return [
            file
            for key, file in self.blobs.items()
            if key not in self.needed and file.used < before
        ]

    def surplus(self, limits: _Limits) -> tuple[list[_Trace], int]:
        """Traces beyond the limits, and the bytes that removing them and what nothing else needs
        would free."""
        needed = Counter(self.needed)
        surplus, freed = [], _size(self.unneeded(limits.before))
        for trace in sorted(self.traces, key=lambda trace: trace.file.used):
            if trace.file.used >= limits.before:
                break
            if trace.file.used >= limits.old and self.size - freed <= limits.size:
                break
            surplus.append(trace)
            freed += trace.file.size
            needed.subtract(trace.needs)
            freed += _size(
                self.blobs[key]
                for key in trace.needs & self.blobs.keys()
                if not needed[key] and self.blobs[key].used < limits.before
            )
        return surplus, freed


def _remove(workspace: Workspace, url: str | None, limits: _Limits, dry_run: bool) -> CacheSummary:
    blobs = _find(workspace, url)
    with os_errors("the cache"):
        lease = blobs.oldest_lease()
        before = min(limits.before, math.inf if lease is None else lease)
        limits = replace(limits, before=before)
        if dry_run:
            content = _Content(blobs)
            surplus, freed = content.surplus(limits)
            removed = [trace.entry for trace in surplus]
        else:
            with FileLock(blobs.folder / _LOCK) if blobs.folder.is_dir() else nullcontext():
                removed, freed = _discard(blobs, limits)
            content = _Content(blobs)
        return _summary(workspace, blobs, content, removed, freed, dry_run)


def _discard(blobs: Blobs, limits: _Limits) -> tuple[list[CacheEntry], int]:
    """Remove traces beyond the limits, then what the others do not need."""
    content, before = _Content(blobs), limits.before
    surplus = content.surplus(limits)[0]
    traces = [trace for trace in surplus if blobs.discard(trace.file.name, before)]
    gone = [trace.file for trace in traces]
    gone += [file for file in content.damaged if blobs.discard(file.name, before)]
    rest = _Content(blobs)  # traces that were used or written meanwhile count
    gone += [file for file in rest.unneeded(before) if blobs.discard(file.name, before)]
    for file in blobs.copies():
        unneeded = _key(file) not in rest.needed and file.used < before
        if unneeded and blobs.discard_copy(file.name, before):
            gone.append(file)
    gone += blobs.discard_dead(before)
    return [trace.entry for trace in _newest_first(traces)], _size(gone)


def _summary(
    workspace: Workspace,
    blobs: Blobs,
    content: _Content,
    removed: Sequence[CacheEntry] = (),
    freed: int | None = None,
    dry_run: bool = False,
) -> CacheSummary:
    url = blobs.shown
    if Path(url).is_relative_to(workspace.root):
        url = workspace.relative(url)
    entries = [trace.entry for trace in _newest_first(content.traces)]
    return CacheSummary(url, entries, content.size, list(removed), freed, dry_run)


def _find(workspace: Workspace, url: str | None) -> Blobs:
    place = url or workspace.config.cache
    if not place:
        return Blobs(workspace.state / "cache")
    return Blobs(place if "://" in place else workspace.root / Path(place).expanduser())


def _trace(file: Entry, note: bytes) -> _Trace:
    """A trace as its note says; one that cannot be read needs nothing."""
    try:
        body = json.loads(note[note.index(b"{") :])  # a seal may stand before it
        entry = CacheEntry(
            id=Path(file.name).stem,
            step=str(body.get("step", "")),
            notebook=str(body.get("notebook", "")),
            created=str(body.get("created", "")),
            used=_moment(file.used),
            seconds=float(body.get("seconds", 0.0)),
            size=int(body.get("size", 0)),
        )
        return _Trace(file, entry, frozenset(map(str, body.get("blobs", ()))))
    except (ValueError, TypeError):
        entry = CacheEntry(Path(file.name).stem, "", "", "", _moment(file.used), 0.0, file.size)
        return _Trace(file, entry, frozenset())


def _newest_first(traces: Iterable[_Trace]) -> list[_Trace]:
    return sorted(traces, key=lambda trace: (trace.entry.created, trace.file.used), reverse=True)


def _moment(seconds: float) -> str:
    stamp = datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")


def _key(file: Entry) -> str:
    return file.name.rpartition("/")[2]


def _size(files: Iterable[Entry]) -> int:
    return sum(file.size for file in files)
