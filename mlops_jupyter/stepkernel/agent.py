"""The agent: makes the kernel what a step expects, and says what the step changed."""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..ambient import Surroundings, Unstorable
from ..blobs import Blobs, hash_of
from ..heap import Bundle, Heap
from ..models import from_dict, to_dict
from ..redaction import Redactor
from . import comms
from .observer import Observed, Observer
from .protocol import Finish, Finished, Prepare, Prepared

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


class Agent:
    """Works between the cells of one kernel.

    Parameters
    ----------
    shell:
        The kernel's shell; its namespace must be as it is before the first cell.
    cache:
        The blob store's URL.
    folder:
        The notebook's folder.
    """

    def __init__(self, shell: InteractiveShell, cache: str, folder: str) -> None:
        self._shell = shell
        self._blobs = Blobs(cache)
        redactor = Redactor.from_environment()
        refuse = redactor.bytes_contain if redactor else None
        self._heap = Heap(shell, self._blobs, refuse)
        self._surroundings = Surroundings()
        ignored = [Path(cache)] if "://" not in cache else []
        self._observer = Observer(Path(folder), self._blobs, ignored)
        self._ambient: dict[str, str] = {}  # as the runner knows it: provider to blob
        self._live: dict[str, str] = {}  # provider to token
        self._values: dict[str, bytes | Unstorable] = self._surroundings.capture()
        self._imported: set[str] = set()
        self._held: dict[str, Bundle] = {}

    def take(self, content: dict[str, Any]) -> Any:
        """Answer a request (see :mod:`~mlops_jupyter.stepkernel.protocol`).

        Raises
        ------
        MLOpsError
            If a stored value cannot be loaded.
        """
        if content["request"] == "Prepare":
            return to_dict(self.prepare(from_dict(Prepare, content)))
        return to_dict(self.finish(from_dict(Finish, content)))

    def prepare(self, request: Prepare) -> Prepared:
        """Make the namespace, the ambient state and the history what the request says."""
        with self._shell.builtin_trap:  # as in a cell: libraries look for it when they are imported
            return self._prepare(request)

    def _prepare(self, request: Prepare) -> Prepared:
        os.environ.pop("MLOPS_REPLAY", None)
        os.environ.update(request.environment)
        for count, source in request.cells:
            self._show(count, source)
        for name in request.imports:
            self._import(name)
        missing = [bundle.token for bundle in self._restore(request)]
        missing += [token for name, token in request.live.items() if self._live.get(name) != token]
        self._surround(request)
        self._shell.execution_count = request.count
        comms.begin(request.seed)
        self._heap.mark()
        self._observer.start()
        return Prepared(missing)

    def _restore(self, request: Prepare) -> list[Bundle]:
        """Bring in what the step needs and take away what is stale; the rest stays."""
        given = {name for bundle in request.bundles for name in bundle.names}
        gone = given | set(request.stale)
        kept = {id(held): held for held in self._held.values() if not gone & set(held.names)}
        wanted = [*kept.values(), *request.bundles]
        missing = self._heap.restore(wanted, request.lineages)
        self._held = {name: bundle for bundle in wanted for name in bundle.names}
        return missing

    def _show(self, count: int, source: str) -> None:
        """Let tracebacks and ``inspect`` find the source of a cell that ran elsewhere."""
        with contextlib.suppress(SyntaxError):
            code = self._shell.transform_cell(source)
            self._shell.compile.cache(code, count, raw_code=source)

    def _import(self, name: str) -> None:
        if name not in self._imported:
            self._imported.add(name)
            with contextlib.suppress(ImportError):  # the cell that imported it may have caught it
                importlib.import_module(name)

    def _surround(self, request: Prepare) -> None:
        wanted = {name: key for name, key in request.ambient.items() if name not in request.live}
        if wanted == self._ambient and request.live == self._live:
            return
        values = {name: self._blobs.get(key) for name, key in wanted.items()}
        self._live = {k: v for k, v in self._live.items() if request.live.get(k) == v}
        self._surroundings.restore(values, self._live)
        self._ambient = wanted
        self._values = self._surroundings.capture()

    def finish(self, request: Finish) -> Finished:
        """What the cells since :meth:`prepare` changed; stored values are in the blob store."""
        began = time.perf_counter()
        observed = self._observer.stop()
        touched = None if request.touched is None else set(request.touched)
        label = request.label if request.again else _precise(request, observed)
        changes = self._heap.collect(touched, label)
        for name in changes.deleted:
            self._held.pop(name, None)
        self._held.update((name, bundle) for bundle in changes.bundles for name in bundle.names)
        ambient, live = self._ambient_changes(label)
        return Finished(
            list(changes.bundles),
            list(changes.deleted),
            ambient,
            live,
            observed,
            label,
            list(changes.bound),
            time.perf_counter() - began,
        )

    def _ambient_changes(self, label: str) -> tuple[dict[str, str], dict[str, str]]:
        before, self._values = self._values, self._surroundings.capture()
        ambient: dict[str, str] = {}
        live: dict[str, str] = {}
        for name in {*before, *self._values}:
            value = self._values.get(name)
            if isinstance(value, Unstorable):
                known = before.get(name)
                if isinstance(known, Unstorable) and (str(known), known.version) == (
                    str(value),
                    value.version,
                ):
                    continue  # as far as can be told nothing changed it
                live[name] = str(value)
                self._live[name] = f"live:{label}:{name}"
                self._ambient.pop(name, None)
            elif value != before.get(name):
                self._live.pop(name, None)
                ambient[name] = self._blobs.put(value) if value is not None else ""
                if value is None:
                    self._ambient.pop(name, None)
                else:
                    self._ambient[name] = ambient[name]
        return ambient, live


def _precise(request: Finish, observed: Observed) -> str:
    """A label that also tells what was read from outside; no two are equal where nobody knows."""
    label = request.label
    unknown = secrets.token_hex(8) if observed.uncertain or request.unique else ""
    outside = [observed.read, observed.listed, observed.environment, unknown]
    if not any(outside):
        return label
    facts = [sorted(part.items()) if isinstance(part, dict) else part for part in outside]
    return hash_of(repr((label, facts)).encode())[:40]
