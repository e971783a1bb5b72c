"""A folder of files that are whole or not there, whoever is killed and however many write.

::

    blobs/ab/<key>     content; the key is its BLAKE3 digest, so a blob never changes
    traces/...         notes: small, named; their first line is the digest of the rest
    incoming/<random>  being written, locked by the living process that writes it
    leases/<random>    locked by a living process that wants nothing removed it uses from now on
    trash/...          being removed

A blob is *sealed*: the fraction of a second in its time of modification is computed from its key
and size, so that a later change of the file is seen without reading it. What is used is touched,
and what was touched is not discarded, even if both happen at the same moment.
"""

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from pickle import PickleBuffer
from typing import TYPE_CHECKING

from blake3 import blake3

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

try:
    import fcntl
except ImportError:  # Windows refuses to remove an open file, which serves the same end
    fcntl = None  # type: ignore[assignment]

_CHUNK = 16 << 20
_LANDING = 60.0  # seconds; a file is unlocked before it gets its name


@dataclass(frozen=True)
class Entry:
    """A file of a store: its name, size in bytes, and last use in seconds since 1970."""

    name: str
    size: int
    used: float


def hash_of(data: ReadableBuffer) -> str:
    """The key of ``data``: its BLAKE3 digest, 64 hexadecimal digits.

    Raises
    ------
    BufferError
        If the buffer is not contiguous.
    """
    view = PickleBuffer(data).raw()
    return blake3(view, max_threads=_threads(view.nbytes)).hexdigest()


def hash_file(path: str | os.PathLike[str]) -> str:
    """The key of a file's content.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    return copy(path, None)


def copy(source: str | os.PathLike[str], file: io.FileIO | None) -> str:
    """Append the content of the file ``source`` to ``file``; the key of what was read.

    Raises
    ------
    OSError
        If one cannot be read or the other not be written.
    """
    with open(source, "rb", buffering=0) as reader:
        size = os.fstat(reader.fileno()).st_size
        space = memoryview(bytearray(min(_CHUNK, max(size, 1 << 12))))
        hasher = blake3(max_threads=_threads(size))
        while count := reader.readinto(space):
            hasher.update(space[:count])
            if file:
                write(file, space[:count])
    return hasher.hexdigest()


def write(file: io.FileIO, data: memoryview | bytes) -> None:
    """Append all of ``data`` to ``file``.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def blob(key: str) -> str:
    """The name of the file with the content ``key``."""
    return f"blobs/{key[:2]}/{key}"


class Folder:
    """The store in one folder. Making one reads and writes nothing; methods raise OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def at(self, name: str) -> Path:
        """Where the file ``name`` is."""
        return self.path / name

    # --- writing ------------------------------------------------------------------------------

    @contextlib.contextmanager
    def temporary(self, place: str | Path = "incoming") -> Iterator[io.FileIO]:
        """A new file in the folder ``place``, open and locked; gone afterwards unless it landed."""
        file = _locked(self.path / place)
        try:
            yield file
        finally:
            try:
                file.close()
            finally:
                Path(file.name).unlink(missing_ok=True)

    def land(self, file: io.FileIO, name: str, key: str = "") -> None:
        """Close a written temporary file and give it its name, in place of what was there;
        ``key``: seal it as that blob."""
        size = file.tell()
        file.close()  # some file systems say only now that the disk is full
        if key:
            _seal(file.name, key, size)
        target = self.at(name)
        for _ in range(10):  # another process may remove the empty folder again
            try:
                os.replace(file.name, target)
                return
            except FileNotFoundError:
                target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(file.name, target)

    def touch(self, name: str, key: str = "") -> bool:
        """Say that a file (the blob ``key``) was used now; False: it is gone."""
        while (status := self._status(name)) is not None:
            with contextlib.suppress(FileNotFoundError):
                if key:
                    _seal(self.at(name), key, status.st_size)
                else:
                    os.utime(self.at(name))
                return True
        return False

    # --- reading ------------------------------------------------------------------------------

    def sound(self, key: str) -> bool:
        """Whether the blob is there and undamaged; it is read only if its seal is broken, and
        removed if it is damaged."""
        path = self.at(blob(key))
        if (status := self._status(blob(key))) is None:
            return False
        if status.st_mtime_ns % 10**9 == _fraction(key, status.st_size):
            return True
        try:
            good = hash_file(path) == key
        except FileNotFoundError:
            return self.sound(key)
        with contextlib.suppress(OSError):  # another user's, or not to be written
            if good:
                _seal(path, key, status.st_size, status.st_mtime)
            else:
                path.unlink()
        return good

    def entries(self, prefix: str) -> Iterator[Entry]:
        """The files in the folder ``prefix`` and below it."""
        folders = [prefix.rstrip("/")]
        while folders:
            name = folders.pop()
            with contextlib.suppress(FileNotFoundError), os.scandir(self.at(name)) as found:
                for item in found:
                    below = f"{name}/{item.name}"
                    if item.is_dir(follow_symlinks=False):
                        folders.append(below)
                        continue
                    with contextlib.suppress(FileNotFoundError):
                        status = item.stat(follow_symlinks=False)
                        yield Entry(below, status.st_size, status.st_mtime)

    # --- removing -----------------------------------------------------------------------------

    def remove(self, name: str) -> None:
        """Remove a file; it need not be there."""
        self.at(name).unlink(missing_ok=True)

    def discard(self, name: str, before: float) -> bool:
        """Remove a file unless it was used since ``before`` (seconds since 1970). Whoever misses it
        meanwhile takes it back."""
        grave = self.at(f"trash/{_flat(name)}{os.urandom(6).hex()}")
        grave.parent.mkdir(parents=True, exist_ok=True)
        try:
            if self.at(name).stat().st_mtime >= before:
                return False
            os.replace(self.at(name), grave)
        except FileNotFoundError:
            return False
        removed = self._bury(grave, name, before)
        if removed and not name.startswith("blobs/"):
            with contextlib.suppress(OSError):  # not empty
                self.at(name).parent.rmdir()
        return removed

    def discard_dead(self, before: float) -> list[Entry]:
        """Finish what killed processes were removing, unless it was used since ``before``; remove
        what they were writing, and return it."""
        for item in list(self.entries("trash")):
            name = item.name.removeprefix("trash/").rpartition("+")[0].replace("+", "/")
            self._bury(self.at(item.name), name, before)
        found = [item for item in self.entries("incoming") if item.used < time.time() - _LANDING]
        return [item for item in found if self._dead(item.name)]

    def oldest_lease(self) -> float | None:
        """When the oldest living holder of a lease took it."""
        leases = list(self.entries("leases"))
        return min((lease.used for lease in leases if not self._dead(lease.name)), default=None)

    def _dead(self, name: str) -> bool:
        """Remove a temporary file whose process does not live; False: it does."""
        path = self.at(name)
        try:
            with path.open("r+b") as file:
                if fcntl:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        except OSError:  # locked, landed or removed meanwhile, or another user's
            return not path.exists()
        return True

    def _status(self, name: str) -> os.stat_result | None:
        """The status of a file, taken back if it is being removed at this moment."""
        for _ in range(3):  # it may be put back between two looks
            try:
                return self.at(name).stat()
            except FileNotFoundError:
                self._rescue(name)
        return None

    def _rescue(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            for grave in os.listdir(self.at("trash")):
                if grave.startswith(_flat(name)):
                    self._restore(self.at(f"trash/{grave}"), name)

    def _restore(self, grave: Path, name: str) -> None:
        self.at(name).parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another was faster
            os.replace(grave, self.at(name))

    def _bury(self, grave: Path, name: str, before: float) -> bool:
        """Remove a file from the trash for good, or put it back if it was used since ``before``.

        A place in the trash is used once: who takes the file back has it.
        """
        with contextlib.suppress(FileNotFoundError):
            if grave.stat().st_mtime < before:
                grave.unlink()
                return True
        self._restore(grave, name)
        return False


def _flat(name: str) -> str:
    """How the name of a file in the trash begins; the names of files have no ``+``."""
    return name.replace("/", "+") + "+"


def _locked(folder: Path) -> io.FileIO:
    """A new file that the system unlocks when its process dies."""
    while True:
        path = folder / f".{os.urandom(12).hex()}"
        try:
            file = io.FileIO(path, "xb")
        except FileNotFoundError:
            folder.mkdir(parents=True, exist_ok=True)
            file = io.FileIO(path, "xb")
        if fcntl:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
            if not os.fstat(file.fileno()).st_nlink:  # taken for dead before it was locked
                file.close()
                continue
        return file


def _threads(size: int) -> int:
    return blake3.AUTO if size > _CHUNK else 1


def _fraction(key: str, size: int) -> int:
    """Nanoseconds, never 0; whole hundreds, because some file systems keep no more."""
    return 100 * (1 + (int(key[:12], 16) ^ size) % 9_999_999)


def _seal(path: str | os.PathLike[str], key: str, size: int, used: float | None = None) -> None:
    second = int(time.time()) + 1 if used is None else int(used)
    moment = second * 10**9 + _fraction(key, size)
    os.utime(path, ns=(moment, moment))
