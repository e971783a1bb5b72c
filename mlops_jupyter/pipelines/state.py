"""What the notebook's process would hold between two steps: names, ambient state, live things.

A :class:`State` is a value: applying a step's :class:`Delta` gives the next one. Names refer to
:class:`~mlops_jupyter.heap.Bundle` versions, so a state weighs little and many are kept.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..blobs import Blobs, hash_file
from ..heap import EVERYTHING, Bundle
from ..workspace import os_errors

LIVE = "live:"
FOLDER, LINK = "dir", "link:"  # what a written path may be, besides a blob


@dataclass(frozen=True)
class Delta:
    """What a step changed.

    Attributes
    ----------
    bundles, deleted:
        New versions of names, and names that are gone.
    ambient:
        Provider to the blob with its new value; ``""``: its value from the start.
    live:
        Provider to the reason why its new state cannot be stored.
    written:
        File (relative to the notebook's folder where it is inside) to the blob with its content;
        ``""``: deleted; folders and links as in
        :class:`~mlops_jupyter.stepkernel.observer.Observed`.
    modules:
        Local module files that are loaded after the step, to their hashes.
    imports:
        Modules that the step's import statements name.
    """

    bundles: tuple[Bundle, ...] = ()
    deleted: tuple[str, ...] = ()
    ambient: Mapping[str, str] = field(default_factory=dict)
    live: Mapping[str, str] = field(default_factory=dict)
    written: Mapping[str, str] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)
    imports: tuple[str, ...] = ()

    @property
    def names(self) -> set[str]:
        """Names and lineages of which it holds another version."""
        return {*self.deleted, *(name for bundle in self.bundles for name in bundle.names)}


@dataclass(frozen=True)
class State:
    """Everything that later steps may depend on.

    Attributes
    ----------
    names:
        Name or lineage to the bundle that holds it.
    ambient:
        Provider to the blob with its value, if it is not the one from the start.
    live:
        Provider to the token of its state, where that cannot be stored.
    makers:
        Token of a live bundle or ambient state to the steps that made it what it is, in order.
    files:
        File to the content it has, of those that steps wrote (as ``Delta.written``).
    modules, imports:
        As in :class:`Delta`, of all steps.
    surroundings:
        Labels of the steps that changed the process where nothing carries it elsewhere, in order.
    """

    names: Mapping[str, Bundle] = field(default_factory=dict)
    ambient: Mapping[str, str] = field(default_factory=dict)
    live: Mapping[str, str] = field(default_factory=dict)
    makers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)
    imports: tuple[str, ...] = ()
    surroundings: tuple[str, ...] = ()

    def after(self, step: int, delta: Delta, label: str, *, keeps: bool = False) -> State:
        """The state when ``step`` changed ``delta``, and its surroundings if it ``keeps`` them."""
        names = dict(self.names)
        makers = dict(self.makers)
        for name in delta.deleted:
            names.pop(name, None)
        for bundle in delta.bundles:
            if not bundle.stored:
                before = (names[name].token for name in bundle.names if name in names)
                earlier = {maker for token in before for maker in self.makers.get(token, ())}
                makers[bundle.token] = tuple(sorted({*earlier, step}))
        for bundle in delta.bundles:
            names.update(dict.fromkeys(bundle.names, bundle))
        for lineage in self._left(delta):
            del names[lineage]
        ambient, live = {**self.ambient}, {**self.live}
        for provider, key in delta.ambient.items():
            live.pop(provider, None)
            ambient[provider] = key
            if not key:
                del ambient[provider]
        for provider in delta.live:
            ambient.pop(provider, None)
            token = f"{LIVE}{label}:{provider}"
            makers[token] = tuple(sorted({*self.makers.get(live.get(provider, ""), ()), step}))
            live[provider] = token
        return replace(
            self,
            names=names,
            ambient=ambient,
            live=live,
            makers=makers,
            files={**self.files, **delta.written} if delta.written else self.files,
            modules={**self.modules, **delta.modules} if delta.modules else self.modules,
            imports=(*self.imports, *(m for m in delta.imports if m not in self.imports)),
            surroundings=(*self.surroundings, label) if keeps else self.surroundings,
        )

    def torn(self, delta: Delta) -> bool:
        """Whether a change binds some names of a bundle anew and says nothing of the others, so
        that it was not seen that they shared a value. Code that nothing refers to any more does
        not count: the function that shared it was defined anew."""
        return bool(self._untold(delta) - self._left(delta))

    def _untold(self, delta: Delta) -> set[str]:
        """What shared a bundle with a name that a change binds anew, and is not in the change."""
        changed = delta.names
        together = (self.names[name].names for name in changed & self.names.keys())
        return {name for names in together for name in names} - changed

    def _left(self, delta: Delta) -> set[str]:
        """Lineages among them to which nothing else refers."""
        found = {name for name in self._untold(delta) if "#" in name}
        if not found:
            return found
        changed = delta.names
        others = [self.names[name] for name in self.names.keys() - changed - found]
        return found.difference(*(bundle.refs for bundle in [*others, *delta.bundles]))

    def token(self, name: str) -> str:
        """The version of a name or lineage; ``""`` if it is not bound."""
        bundle = self.names.get(name)
        return bundle.token if bundle is not None else ""

    def reach(self, reads: Collection[str] | None) -> dict[str, str]:
        """Names and lineages that code may reach from the names it reads (``None``: all), with
        their versions (``""``: not bound): what they share bundles with, the code they refer to,
        and the globals that this code reads."""
        pending = list(self.names if reads is None else reads)
        found: dict[str, str] = {}
        while pending:
            name = pending.pop()
            if name in found:
                continue
            if name == EVERYTHING:
                found[name] = ""
                pending += self.names
                continue
            bundle = self.names.get(name)
            if bundle is None:
                found[name] = ""
                continue
            found.update(dict.fromkeys(bundle.names, bundle.token))
            pending += [*bundle.refs, *bundle.globals]
        return found

    def bundles(self, names: Iterable[str]) -> list[Bundle]:
        """The bundles that hold ``names``, each once."""
        found = (self.names[name] for name in names if name in self.names)
        return list({bundle.names: bundle for bundle in found}.values())


def put_back(
    blobs: Blobs, folder: Path, files: Mapping[str, str], paths: Collection[str]
) -> dict[str, str]:
    """Give the files ``paths`` that cached steps wrote the content they have in ``files`` (see
    :attr:`State.files`); what was there before, of those that changed.

    Raises
    ------
    NotFound
        If a content is not in the cache any more.
    Unavailable
        If a file cannot be written.
    """
    due = sorted(set(paths) & files.keys())
    before: dict[str, str] = {}
    for path in [*(p for p in reversed(due) if not files[p]), *(p for p in due if files[p])]:
        file, content = folder / path, files[path]
        with os_errors(f"the file {file.name}"):
            if not _is(file, content):
                before[path] = _found(blobs, file)
                _make(blobs, file, content)
    return before


def is_key(content: str) -> bool:
    """Whether what a written path became is a blob, not a folder or a link (see ``Observed``)."""
    return bool(content) and content not in ("-", FOLDER) and not content.startswith(LINK)


def _is(file: Path, content: str) -> bool:
    """Whether a path has that content."""
    if not content:
        return not os.path.lexists(file)
    if content.startswith(LINK):
        return file.is_symlink() and os.readlink(file) == content[len(LINK) :]
    return file.is_dir() if content == FOLDER else file.is_file() and hash_file(file) == content


def _found(blobs: Blobs, file: Path) -> str:
    """What is at a path."""
    if file.is_symlink():
        return LINK + os.readlink(file)
    if file.is_dir():
        return FOLDER
    return blobs.put_file(file) if file.is_file() else ""


def _make(blobs: Blobs, file: Path, content: str) -> None:
    """Make it what ``content`` says."""
    if not content and file.is_dir() and not file.is_symlink():
        with contextlib.suppress(OSError):  # somebody else put something into it
            file.rmdir()
    elif not content:
        file.unlink(missing_ok=True)
    elif content == FOLDER:
        file.mkdir(parents=True, exist_ok=True)
    elif content.startswith(LINK):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.symlink_to(content[len(LINK) :])
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        blobs.take(content, file)
