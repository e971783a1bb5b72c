"""Content by its hash, and small named notes, under one URL: what caches are made of.

A folder is used directly (:mod:`.folder` says how it looks). With any other fsspec URL, a folder of
this machine holds copies of what was read and written.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from pickle import PickleBuffer
from typing import TYPE_CHECKING

from blake3 import blake3

from .errors import InvalidInput, NotFound
from .folder import Entry, Folder, blob, copy, hash_file, hash_of, write

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from ._fsspec import Remote

__all__ = ["GRACE", "Blobs", "Entry", "hash_file", "hash_of"]

#: Seconds for which content that no note needs yet is left alone.
GRACE = 3600.0
_WORD = "[A-Za-z0-9_-][A-Za-z0-9._-]*"
_NOTE = rf"(?!(?:blobs|incoming|leases|trash)/){_WORD}(?:/{_WORD})+"
_DIGEST = 65
_ATTEMPTS = 3  # a damaged copy is fetched anew; a file may be out of sight for a moment


class Blobs:
    """Content by its hash, and small named notes, under one URL (a folder or any fsspec URL).

    Safe for any number of threads and processes; making one reads and writes nothing. All methods
    raise OSError when this machine's disk fails (full: ``errno.ENOSPC``) and :class:`Unavailable`
    when the remote store does; neither leaves anything half under its name.

    Parameters
    ----------
    url:
        A folder, or a URL that fsspec knows.
    local:
        The folder for copies when the URL is remote. Default: one in the user's cache.

    Raises
    ------
    InvalidInput
        If the URL's protocol is unknown.
    MissingDependency
        If the package for the protocol is not installed.
    """

    def __init__(self, url: str | os.PathLike[str], local: Path | None = None) -> None:
        self.url = os.fspath(url)
        protocol, _, path = self.url.rpartition("://")
        self._remote: Remote | None = None
        if protocol not in ("", "file", "local"):
            from ._fsspec import Remote

            self._remote = Remote(self.url)
            path = os.fspath(local or _copies(self.url))
        self._local = Folder(Path(path).expanduser().absolute())

    def __repr__(self) -> str:
        return f"Blobs({self.shown!r})"

    @property
    def folder(self) -> Path:
        """The folder of this machine: the store itself, or the copies of a remote one."""
        return self._local.path

    @property
    def shown(self) -> str:
        """The URL without what may be secret."""
        return self._remote.shown if self._remote else self.url

    # --- content ------------------------------------------------------------------------------

    def put(self, data: ReadableBuffer) -> str:
        """Keep ``data`` (any contiguous buffer) and return its key; what is there is not written
        again.

        Raises
        ------
        BufferError
            If the buffer is not contiguous.
        """
        view = PickleBuffer(data).raw()
        key = hash_of(view)
        if not self._refresh(key):
            with self._local.temporary() as file:
                write(file, view)
                self._local.land(file, blob(key), key)
        return self._share(key)

    def put_file(self, path: str | os.PathLike[str]) -> str:
        """Keep the content of a file, of any size, and return its key."""
        key = hash_file(path)
        if not self._refresh(key):
            with self._local.temporary() as file:
                key = copy(path, file)  # the file may have changed since
                self._local.land(file, blob(key), key)
        return self._share(key)

    def has(self, key: str) -> bool:
        """Whether that content is there, as far as can be told without reading it again."""
        if not _is_key(key):
            return False
        return self._local.sound(key) or bool(self._remote and self._remote.has(blob(key)))

    def get(self, key: str) -> bytes:
        """The content, checked against its key.

        Raises
        ------
        NotFound
            If it is missing or damaged; what is damaged is removed.
        """
        for _ in range(_ATTEMPTS):
            try:
                data = self.path(key).read_bytes()
            except FileNotFoundError:  # removed since
                continue
            if hash_of(data) == key:
                return data
            self._local.remove(blob(key))
        raise _missing(key)

    def path(self, key: str) -> Path:
        """A file of this machine with that content, to be read or mapped, never to be written.

        Raises
        ------
        NotFound
            If it is missing or damaged; what is damaged is removed.
        """
        if not _is_key(key):
            raise _missing(key)
        if not self._local.sound(key):
            self._fetch(key)
        return self._local.at(blob(key))

    def take(self, key: str, target: str | os.PathLike[str], mode: int | None = None) -> None:
        """Write that content to the file ``target``, whole or not at all; its folder is made.

        A link at ``target`` is followed. ``mode``: permissions, else those of a new file.

        Raises
        ------
        NotFound
            If the content is missing or damaged; what is damaged is removed.
        """
        for _ in range(_ATTEMPTS):
            source = self.path(key)
            place = Path(os.path.realpath(target))
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                if self._take(source, key, place, mode, "incoming"):
                    return
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                if self._take(source, key, place, mode, place.parent):  # it is on another disk
                    return
        raise _missing(key)

    # --- notes --------------------------------------------------------------------------------

    def write_note(self, name: str, data: bytes) -> None:
        """Keep ``data`` under ``name`` (like ``traces/<hex>/<hex>.json``), in place of what was
        there, whole or not at all."""
        _check(name)
        whole = hash_of(data).encode() + b"\n" + data
        if self._remote:
            self._remote.write(name, whole)
            return
        with self._local.temporary() as file:
            write(file, whole)
            self._local.land(file, name)

    def notes(self, prefix: str) -> dict[str, bytes]:
        """All whole notes in the folder ``prefix`` (``traces/`` or ``traces/<hex>/``) and below it,
        by name."""
        raw = {}
        if self._remote:
            raw = self._remote.read_all(prefix)
        else:
            for entry in self._local.entries(prefix):
                with contextlib.suppress(FileNotFoundError):  # removed since
                    raw[entry.name] = self._local.at(entry.name).read_bytes()
        return {
            name: whole[_DIGEST:]
            for name, whole in sorted(raw.items())
            if whole[:_DIGEST] == hash_of(whole[_DIGEST:]).encode() + b"\n"
        }

    def touch_note(self, name: str) -> bool:
        """Say that a note was used now, so that pruning spares it and what it needs; False: it is
        gone."""
        _check(name)
        return self._remote.touch(name, GRACE / 2) if self._remote else self._local.touch(name)

    def remove_note(self, name: str) -> None:
        """Remove a note; it need not be there."""
        _check(name)
        (self._remote or self._local).remove(name)

    # --- what there is, and removing it -------------------------------------------------------

    @contextlib.contextmanager
    def lease(self) -> Iterator[None]:
        """While this lasts, pruning on this machine (or of this folder) spares all that is put or
        touched from now on, however long it lasts; it ends with the process, too."""
        with self._local.temporary("leases"):
            yield

    def oldest_lease(self) -> float | None:
        """When the oldest lease began that still holds (seconds since 1970)."""
        return self._local.oldest_lease()

    def entries(self, prefix: str) -> Iterator[Entry]:
        """The files in the folder ``prefix`` (``blobs/``, ``traces/``) and below it."""
        return (self._remote or self._local).entries(prefix)

    def copies(self) -> Iterator[Entry]:
        """The content of a remote store that is also on this machine."""
        return self._local.entries("blobs/") if self._remote else iter(())

    def discard(self, name: str, before: float) -> bool:
        """Remove the file ``name`` unless it was used since ``before`` (seconds since 1970), be it
        at this moment. True: it was removed."""
        return (self._remote or self._local).discard(name, before)

    def discard_copy(self, name: str, before: float) -> bool:
        """The same for this machine's copy."""
        return self._local.discard(name, before)

    def discard_dead(self, before: float) -> list[Entry]:
        """Remove what killed processes left behind and nobody used since ``before``; those of them
        that were being written are returned."""
        removed = self._local.discard_dead(before)
        return removed + (self._remote.discard_dead(before) if self._remote else [])

    # ------------------------------------------------------------------------------------------

    def _refresh(self, key: str) -> bool:
        """Touch the content, so that pruning spares it. False: it has to be written."""
        try:
            return self._local.sound(key) and self._local.touch(blob(key), key)
        except PermissionError:  # another user's: ours takes its place
            return False

    def _share(self, key: str) -> str:
        if self._remote:
            self._remote.upload(self._local.at(blob(key)), blob(key), GRACE / 2)
        return key

    def _fetch(self, key: str) -> None:
        """Copy content from the remote store to this machine."""
        if not self._remote:
            raise _missing(key)
        hasher = blake3()
        with self._local.temporary() as file:
            try:
                for chunk in self._remote.chunks(blob(key)):
                    hasher.update(chunk)
                    write(file, chunk)
            except FileNotFoundError as error:
                raise _missing(key) from error
            if hasher.hexdigest() != key:
                self._remote.remove(blob(key))
                raise _missing(key)
            self._local.land(file, blob(key), key)

    def _take(
        self, source: Path, key: str, target: Path, mode: int | None, folder: str | Path
    ) -> bool:
        """Copy by way of a file in ``folder``. False: the content was damaged or is gone."""
        with self._local.temporary(folder) as file:
            try:
                found = copy(source, file)
            except FileNotFoundError:
                return False
            file.close()
            if found != key:
                self._local.remove(blob(key))
                return False
            if mode is not None:
                os.chmod(file.name, mode)
            os.replace(file.name, target)
        return True


def _is_key(text: str) -> bool:
    return len(text) == 64 and not text.strip("0123456789abcdef")


def _missing(key: str) -> NotFound:
    return NotFound(f"The cache has no content {key[:12]!r}.", hint="Run again without it.")


def _check(name: str) -> None:
    if not re.fullmatch(_NOTE, name):
        raise InvalidInput(f"{name!r} cannot name a note.", hint="Use a name like traces/a/b.json.")


def _copies(url: str) -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home) / "mlops_jupyter" / hash_of(url.encode())[:16]
