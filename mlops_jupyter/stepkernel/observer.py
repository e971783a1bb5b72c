"""What a step has to do with files and the rest of the world."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from ..blobs import Blobs
from .audit import Record, listen
from .files import Files, Hashes, Signature, Written, hash_of_names, same, settled, signature
from .inotify import Inotify, Seen
from .modules import Modules
from .noise import Noise
from .scan import Scan

__all__ = ["Observed", "Observer", "hash_of_listing"]

#: Bytes above which a written file is not stored.
LARGEST = 1 << 30


@dataclass(frozen=True)
class Observed:
    """What one step had to do with the world outside of its variables; paths are absolute.

    Attributes
    ----------
    read:
        File to the hash of what was read, before this step changed it; ``""``: it was looked for
        and not there.
    written:
        File to the key of its content after the step. ``""``: taken away; ``"-"``: not stored (too
        big, or no regular file); ``"dir"``: a folder that was made; ``"link:TARGET"``: a symbolic
        link.
    listed:
        Folder to the hash of the names in it (see :func:`hash_of_listing`), before this step
        changed them.
    environment:
        Variable that user code read to the keyed hash of its value; ``""``: not set.
    modules:
        File of each of the project's modules that is loaded to the hash of what was loaded.
    imports:
        All installed packages imported so far by anybody: their top-level names, sorted.
    uncertain:
        Reasons why the step must not be cached.
    watched:
        Those of ``read`` and ``written`` that only the watch on the folder told: native code did
        it, or another process at the same time.
    """

    read: dict[str, str] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)
    listed: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)
    imports: list[str] = field(default_factory=list)
    uncertain: list[str] = field(default_factory=list)
    watched: list[str] = field(default_factory=list)


def hash_of_listing(folder: str | os.PathLike[str]) -> str:
    """The hash of the names in ``folder``, as in :attr:`Observed.listed`; ``""`` without one."""
    try:
        return hash_of_names(set(os.listdir(folder)))
    except OSError:
        return ""


class Observer:
    """Observes one kernel, step by step.

    Parameters
    ----------
    folder:
        The notebook's folder; what native code does to files is only seen below it.
    blobs:
        Where the content of written files goes.
    ignore:
        Files and folders that do not matter.
    """

    def __init__(self, folder: Path, blobs: Blobs, ignore: Collection[Path]) -> None:
        place = os.path.realpath(folder)
        self._blobs = blobs
        self._noise = Noise(place, ignore)
        self._hashes = Hashes()
        self._modules = Modules(self._hashes)
        self._modules.look(Files(self._hashes), {})
        self._open: dict[str, Signature | None] = {}
        self._record: Record | None = None
        self._watch: Inotify | Scan
        try:
            self._watch = Inotify(place, self._unwatched)
        except OSError:
            self._watch = Scan(place, self._unwatched)

    def _unwatched(self, path: str) -> bool:
        # Jupyter and the runner read and write notebooks, native code does not.
        return path.endswith(".ipynb") or self._noise.covers(path)

    def start(self) -> None:
        """A step begins."""
        self._watch.start(self._open)
        self._open = {path: signature(path) for path in self._open}
        self._record = Record(Files(self._hashes), self._noise, self._watch.drain)
        listen(self._record)

    def stop(self) -> Observed:
        """The step has ended: what it did. Without a :meth:`start`: nothing."""
        listen(None)
        record, self._record = self._record, None
        if record is None:
            return Observed()
        files = record.files
        for path, before in self._open.items():
            if path not in files.written and not same(signature(path), before):
                files.written[path] = Written(before, True)
        watched = self._explain(record, self._watch.stop())
        self._modules.look(files, record.loaded)
        written = {path: self._stored(path, files) for path in files.written}
        self._open = dict.fromkeys(still_open({*files.written, *self._open}))
        read = files.contents()
        changes = {path: key for path, key in written.items() if key is not None}
        return Observed(
            read=read,
            written=changes,
            listed=files.listed,
            environment=record.variables,
            modules=dict(self._modules.files),
            imports=sorted(self._modules.packages),
            uncertain=[*record.uncertain, *files.doubts],
            watched=sorted(watched & {*read, *changes}),
        )

    def _explain(self, record: Record, seen: Seen) -> set[str]:
        """Add to the record what no audit event told; gives those paths."""
        files = record.files
        if seen.lost:
            record.doubt("too many file events")
        written = {path: e for path, e in seen.written.items() if path not in files.written}
        for path, existed in written.items():
            if path in seen.read and path not in record.explained and path not in files.reads:
                files.doubts.append(f"changed while it was read: {path}")
            files.written[path] = Written(None, existed)
        read = seen.read - files.reads.keys() - files.written.keys() - record.explained
        for path in read:
            if signature(path) is not None:
                files.read(path)
        return read | written.keys()

    def _stored(self, path: str, files: Files) -> str | None:
        """The written path's entry; ``None`` if nothing happened to it after all."""
        before, found = files.written[path], signature(path)
        if os.path.islink(path):
            return f"link:{os.readlink(path)}"
        if not os.path.lexists(path):
            return "" if before.existed else None
        if os.path.isdir(path):
            return None if before.existed else "dir"
        if found is not None and found[0] <= LARGEST:
            if same(found, before.before) and settled(found):
                return None
            try:
                return self._blobs.put_file(Path(path))
            except OSError as error:
                files.doubts.append(f"could not be stored: {path}: {error.strerror or error}")
        return "-"


def still_open(paths: set[str]) -> set[str]:
    """Those of ``paths`` that this process has open or, as shared memory, mapped for writing.

    What is written to them later raises no audit event.
    """
    found: set[str] = set()
    if not paths or not os.path.isdir("/proc/self/fd"):
        return found
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/self/fd/{name}"))
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        for line in maps:
            parts = line.rstrip("\n").split(maxsplit=5)
            if len(parts) == 6 and parts[1].startswith("rw-s"):
                found.add(parts[5])
    return found & paths
