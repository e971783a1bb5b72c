"""Traces: what a step read and what it changed, so that it need not run when nothing did.

A trace is found by the step's code and holds if everything the step read is as it was: values,
ambient state, files, folders, variables of the environment, versions of distributions, local
modules (a *verifying trace* in the sense of Mokhov, Mitchell and Peyton Jones, "Build systems à la
carte", 2018). Traces are notes beside the blobs they name. Those in a folder are sealed with the
user's key, because what they name is unpickled; a cache at a URL is trusted as its owner is.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from .. import trust
from ..blobs import Blobs, hash_file, hash_of
from ..heap import Bundle
from ..models import Step, from_dict
from ..notebook import tags
from .source import RAISES, parse
from .state import Delta, State
from .steps import INJECTED

FORMAT = 4
_SHOWS_SOURCE = re.compile(
    r"\b(getsource\w*|findsource|getcomments|linecache|traceback|exc_info)\b|\?\?|%tb\b"
)
_RACY_NS = 2_000_000_000


@dataclass(frozen=True)
class FileSeen:
    """A file as a step read it: the hash of its content (``""``: it was not there), its size and
    the time of its last change (0: not known to be settled)."""

    hash: str
    size: int = 0
    changed_ns: int = 0


@dataclass(frozen=True)
class Trace:
    """One execution of a step.

    Attributes
    ----------
    reads:
        Name or lineage to its version, all that the step may have reached; with ``everything``,
        all there were.
    ambient:
        Provider to the version that the step saw; those in ``unread`` it did not read.
    count:
        The first cell's execution count, if the outputs tell it.
    surroundings, within:
        How it changed its surroundings, empty if it did not; and those it ran in
        (``State.surroundings``).
    uncertain:
        Why it must not stand for another execution, empty if it may.
    logged:
        Key of what it logged with MLflow, empty if that is nothing.
    """

    code: str
    label: str
    notebook: str
    step: str
    created: str
    run: str
    seconds: float
    reads: dict[str, str]
    everything: bool
    ambient: dict[str, str]
    unread: list[str]
    files: dict[str, FileSeen]
    listed: dict[str, str]
    environment: dict[str, str]
    distributions: dict[str, str]
    modules: dict[str, str]
    count: int | None
    surroundings: str
    within: list[str]
    uncertain: list[str]
    delta: Delta
    outputs: str
    logged: str = ""
    blobs: list[str] = field(default_factory=list)
    size: int = 0


def encode(trace: Trace) -> bytes:
    """The trace as a sealed note."""
    body = json.dumps(asdict(trace), sort_keys=True).encode()
    return trust.seal_of(body).encode() + b"\n" + body


def decode(note: bytes, *, sealed: bool) -> Trace | None:
    """The trace of a note; ``None`` if the seal is not this user's and must be, or it is damaged
    or of another format."""
    seal, _, body = note.partition(b"\n")
    if sealed and not trust.seal_holds(body, seal.decode("ascii", "replace")):
        return None
    try:
        data = json.loads(body)
        delta = data["delta"]
        delta["bundles"] = tuple(from_dict(Bundle, item) for item in delta["bundles"])
        delta["deleted"], delta["imports"] = tuple(delta["deleted"]), tuple(delta["imports"])
        data["delta"] = Delta(**delta)
        data["files"] = {path: FileSeen(**seen) for path, seen in data["files"].items()}
        return Trace(**data)
    except (ValueError, TypeError, KeyError):
        return None


def _last(notebook: str, step: str) -> str:
    """Where the code key is noted that a step had when it last ran."""
    return f"steps/{hash_of(repr((notebook, step)).encode())[:40]}/"


def counts(steps: list[Step]) -> list[int]:
    """The execution count of each step's first cell."""
    found, count = [], 1
    for step in steps:
        found.append(count)
        count += len(step.cells)
    return found


def code_keys(notebook: Any, steps: list[Step], kernel: str, given: Mapping[str, str]) -> list[str]:
    """A key of each step's code: of its AST, so that comments and blank lines do not count; of the
    text where it is not Python; of the values ``given`` where papermill injected parameters. Where
    sources may be shown, as in tracebacks, the text of all cells so far counts, with comments."""
    about = [FORMAT, kernel, sys.implementation.cache_tag]
    parts = [[notebook.cells[index] for index in step.cells] for step in steps]
    shown = [any(_SHOWS_SOURCE.search(cell.source) for cell in cells) for cells in parts]
    text, keys = "", []
    for number, cells in enumerate(parts):
        code: list[Any] = [about, [_code(cell, given) for cell in cells]]
        own = [cell.source for cell in cells]
        text = hash_of(repr([text, own]).encode())
        if any(shown[: number + 1]) or any(RAISES in tags(cell) for cell in cells):
            code.append(text)
        elif any(shown):
            code.append(own)  # what a later step is shown has to come from this very text
        keys.append(hash_of(json.dumps(code).encode())[:40])
    return keys


def _code(cell: Any, parameters: Mapping[str, str]) -> Any:
    if INJECTED in tags(cell):
        return sorted(parameters.items())
    source = cell.source
    if not source.lstrip().startswith("%%"):
        with contextlib.suppress(SyntaxError):
            source = ast.dump(parse(source))
    return [source, RAISES in tags(cell)]


class Traces:
    """The traces in one cache, seen from one notebook's folder.

    Parameters
    ----------
    blobs:
        The cache.
    folder:
        The notebook's folder, to which files are relative.
    """

    def __init__(self, blobs: Blobs, folder: Path, *, sealed: bool) -> None:
        self._blobs = blobs
        self._folder = folder
        self._sealed = sealed

    def write(self, trace: Trace) -> None:
        """Keep a trace.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        self._blobs.write_note(_note(trace), encode(trace))
        self._blobs.write_note(f"{_last(trace.notebook, trace.step)}code", trace.code.encode())

    def why_unknown(self, code: str, notebook: str, step: str) -> str:
        """Why there is no trace at all for a step's code."""
        last = self._blobs.notes(_last(notebook, step)).values()
        return "its code changed" if any(found.decode() != code for found in last) else ""

    def find(
        self, code: str, state: State, count: int, run: str | None
    ) -> tuple[Trace | None, str]:
        """The trace that holds for a step in ``state``, else ``None`` and why there is none.

        Parameters
        ----------
        code:
            The step's code key.
        count:
            The execution count of its first cell.
        run:
            A run being resumed: what it did counts even where it is uncertain.
        """
        notes = self._blobs.notes(f"traces/{code}/")
        found = [decode(note, sealed=self._sealed) for note in notes.values()]
        traces = sorted((trace for trace in found if trace), key=lambda t: t.created, reverse=True)
        why = ""
        for trace in traces:
            reason = next(self._reasons(trace, state, count, run), None)
            # pruning spares what is in use; what it took meanwhile is missed here
            if reason is None and self._blobs.touch_note(_note(trace)):
                if all(self._blobs.has(key) for key in trace.blobs):
                    return trace, ""
                reason = "its results were pruned"
            why = why or reason or "its results were pruned"
        return None, why

    def _reasons(self, trace: Trace, state: State, count: int, run: str | None) -> Iterator[str]:
        """Why a trace does not hold."""
        if trace.uncertain and (run is None or trace.run != run):
            yield f"not cached: {trace.uncertain[0]}"
        if trace.everything and state.names.keys() != {n for n, t in trace.reads.items() if t}:
            yield "it may read everything, and the names changed"
        for name, token in trace.reads.items():
            if state.token(name) != token:
                yield f"{name.partition('#')[0]} changed"
        ambient = ambient_of(state)
        for name in sorted({*ambient, *trace.ambient} - set(trace.unread)):
            if ambient.get(name, "") != trace.ambient.get(name, ""):
                yield f"{name} state changed"
        if tuple(trace.within) != state.surroundings:
            yield "its surroundings changed"
        if trace.count is not None and trace.count != count:
            yield "its cell numbers changed"
        for path in {*trace.modules, *state.modules}:
            if trace.modules.get(path) != state.modules.get(path):
                yield f"module {Path(path).stem} changed"
        yield from self._outside(trace, state)

    def _outside(self, trace: Trace, state: State) -> Iterator[str]:
        """What of the world outside of kernels is not what it was."""
        versions = installed()
        for name, version in trace.distributions.items():
            if versions.get(name) != version:
                yield f"{name} {version} became {versions.get(name, 'uninstalled')}"
        for path, digest in trace.listed.items():
            if _listing(self._folder / path) != digest:
                yield f"folder {path} changed"
        for name, digest in trace.environment.items():
            if variable(name) != digest:
                yield f"variable {name} changed"
        for path, seen in trace.files.items():
            if not self._same(path, seen, state):
                yield f"file {path} changed"
        if "-" in trace.delta.written.values():
            yield "a file that it writes is not stored"

    def _same(self, path: str, seen: FileSeen, state: State) -> bool:
        if (written := state.files.get(path)) is not None:
            return written == seen.hash
        file = self._folder / path
        try:
            about = file.stat()
        except OSError:
            return seen.hash == ""
        if seen.hash == "":
            return False
        if seen.changed_ns and (about.st_size, about.st_mtime_ns) == (seen.size, seen.changed_ns):
            return True
        try:
            return hash_file(file) == seen.hash
        except OSError:
            return False

    def seen(self, path: str, digest: str) -> FileSeen:
        """A file that was just read, as a trace keeps it. A change too near to now is not taken
        for settled: another within the clock's tick would not be noticed."""
        if not digest:
            return FileSeen("")
        try:
            about = (self._folder / path).stat()
        except OSError:
            return FileSeen(digest)
        settled = time.time_ns() - about.st_mtime_ns > _RACY_NS
        return FileSeen(digest, about.st_size, about.st_mtime_ns if settled else 0)


def _note(trace: Trace) -> str:
    return f"traces/{trace.code}/{trace.label[:40]}.json"


def ambient_of(state: State) -> dict[str, str]:
    """Provider to the version of its state."""
    return {**state.ambient, **state.live}


def _listing(folder: Path) -> str:
    """The hash of a folder's listing, as the observer makes it."""
    from ..stepkernel.observer import hash_of_listing  # few steps list folders

    return hash_of_listing(folder)


def variable(name: str) -> str:
    """The keyed hash of a variable of the environment, as the observer makes it."""
    from ..stepkernel.variables import hash_of_variable  # few steps ask for variables

    return hash_of_variable(name)


@lru_cache(maxsize=1)
def installed() -> Mapping[str, str]:
    """Version by normalised name of the distributions that this interpreter sees, read from the
    names of their folders."""
    import site
    import sysconfig

    found: dict[str, str] = {}
    places = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    places += [*site.getsitepackages(), site.getusersitepackages()]
    for place in dict.fromkeys(places):
        try:
            entries = os.listdir(place)
        except OSError:
            continue
        for entry in entries:
            if entry.endswith(".dist-info"):
                name, _, version = entry[: -len(".dist-info")].partition("-")
                found.setdefault(name.lower().replace("-", "_"), version)
    return found


def distributions_of(modules: list[str]) -> dict[str, str]:
    """Distribution to version for top-level module names."""
    versions, packages = installed(), _packages()
    found = {}
    for module in modules:
        for distribution in packages.get(module, ()):
            name = distribution.lower().replace("-", "_").replace(".", "_")
            if name in versions:
                found[name] = versions[name]
    return found


@lru_cache(maxsize=1)
def _packages() -> Mapping[str, list[str]]:
    from importlib.metadata import packages_distributions

    return packages_distributions()
