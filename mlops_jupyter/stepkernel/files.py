"""What one step did to files, as far as it is told, and their contents."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ..blobs import hash_file, hash_of
from .noise import HIDDEN

#: Size, time of modification and of change in nanoseconds, inode, device.
Signature: TypeAlias = tuple[int, int, int, int, int]
_TICK = 50_000_000  # ns: two writes within one tick of the clock leave the same times
MISSING = ""


def signature(path: str) -> Signature | None:
    """What identifies the present content of a regular file; ``None`` if there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev


def same(one: Signature | None, other: Signature | None) -> bool:
    """Whether both are of the same content; links and rights may have changed."""
    if one is None or other is None:
        return one is other
    return (*one[:2], *one[3:]) == (*other[:2], *other[3:])


def settled(found: Signature) -> bool:
    """Whether a later change of the file is sure to give another signature."""
    return time.time_ns() - max(found[1], found[2]) > _TICK


class Hashes:
    """Hashes of files, computed once for each state of a file."""

    def __init__(self) -> None:
        self._known: dict[Signature, str] = {}

    def of(self, path: str, found: Signature) -> str:
        """The hash of the content of ``path``, whose signature is ``found``.

        Raises
        ------
        OSError
            If it cannot be read.
        """
        known = self._known.get(found)
        if known is None:
            sure = settled(found)
            known = hash_file(path)
            if sure:
                self._known[found] = known
        return known


@dataclass
class Written:
    """A path that the step changed: what was there before."""

    before: Signature | None
    existed: bool


class Files:
    """Reads, writes and listings of one step, in the order in which they are told.

    Attributes
    ----------
    reads:
        File to its signature when it was first read, or to the hash of its content then (``""``: it
        was not there). What the step wrote itself does not count.
    written:
        Everything that was made, changed or taken away.
    listed:
        Folder to the hash of the names in it, before this step changed it.
    doubts:
        Why what was read cannot be known.
    """

    def __init__(self, hashes: Hashes) -> None:
        self._hashes = hashes
        self.reads: dict[str, Signature | str] = {}
        self.written: dict[str, Written] = {}
        self.listed: dict[str, str] = {}
        self.doubts: list[str] = []

    def read(self, path: str) -> None:
        """``path`` is about to be opened for reading."""
        if path in self.reads or path in self.written:
            return
        found = signature(path)
        if found is not None:
            self.reads[path] = found
        elif not os.path.lexists(path):
            self.reads[path] = MISSING

    def write(self, path: str, *, keeps: bool = False) -> None:
        """``path`` is about to be written; ``keeps``: what is in it matters for the result."""
        if path in self.written:
            return
        found, existed = signature(path), os.path.lexists(path)
        known = self.reads.get(path)
        if known is None and keeps:
            self.reads[path] = MISSING if found is None else self._hash(path, found)
        elif isinstance(known, tuple):
            self.reads[path] = self._hash(path, known)
        self.written[path] = Written(found, existed)

    def create(self, path: str) -> None:
        """``path`` is about to be made, which fails if it is there."""
        if path not in self.reads and path not in self.written and not os.path.lexists(path):
            self.reads[path] = MISSING
        self.write(path)

    def remove(self, path: str) -> None:
        """``path`` is about to be taken away."""
        if not os.path.lexists(path):
            self.read(path)
        self.write(path)

    def rename(self, source: str, target: str) -> None:
        """``source`` is about to become ``target``; each may be a file or a folder."""
        for path in list(_below(source)):
            self.write(path, keeps=path not in self.written and signature(path) is not None)
            self.write(target + path[len(source) :])

    def remove_tree(self, folder: str) -> None:
        """``folder`` and all below it are about to be taken away."""
        for path in list(_below(folder)):
            self.write(path)

    def list(self, folder: str, seen: Mapping[str, bool]) -> None:
        """``folder`` is about to be listed; ``seen``: what else was changed, and was there."""
        if folder not in self.listed:
            with contextlib.suppress(OSError):
                names = set(os.listdir(folder))
                existed = {**seen, **{path: w.existed for path, w in self.written.items()}}
                for path, there in existed.items():
                    head, name = os.path.split(path)
                    if head == folder:
                        (names.add if there else names.discard)(name)
                self.listed[folder] = hash_of_names(names)

    def _hash(self, path: str, found: Signature) -> str | Signature:
        """The hash of what was read; the signature if that is gone."""
        now = signature(path)
        if now is not None and same(now, found):
            with contextlib.suppress(OSError):
                return self._hashes.of(path, now)
        return found

    def contents(self) -> dict[str, str]:
        """File to hash of what was read (``""``: it was not there); fills :attr:`doubts`."""
        result: dict[str, str] = {}
        for path, known in self.reads.items():
            found = self._hash(path, known) if isinstance(known, tuple) else known
            if isinstance(found, str):
                result[path] = found
            else:
                self.doubts.append(f"changed while it was read: {path}")
        return result


def _below(path: str) -> Iterator[str]:
    yield path
    if os.path.isdir(path) and not os.path.islink(path):
        for folder, folders, files in os.walk(path):
            for name in (*folders, *files):
                yield os.path.join(folder, name)


def hash_of_names(names: set[str]) -> str:
    """The hash of a folder's listing: the names in it, but for caches and our own."""
    return hash_of("\0".join(sorted(names - HIDDEN)).encode("utf-8", "surrogateescape"))
