"""The border to fsspec: a store of files under a URL that is not a folder of this machine.

Its errors, and those of the packages behind it, become ours here. The store of a fresh upload is
safe from readers: object stores show a file when it is whole, elsewhere it is moved into its place.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .errors import InvalidInput, MissingDependency, MLOpsError, Unavailable
from .folder import Entry

#: Protocols under which a file appears whole or not at all.
_WHOLE = {"abfs", "adl", "az", "gcs", "gs", "memory", "oss", "s3", "s3a"}
_CHUNK = 16 << 20
_TIMES = ("LastModified", "last_modified", "updated", "mtime", "modified", "created")


class Remote:
    """Files by name under a URL.

    All methods raise :class:`Unavailable` when the store does not answer or refuses.

    Parameters
    ----------
    url:
        What fsspec knows. Nothing is contacted before it is needed.

    Raises
    ------
    InvalidInput
        If there is no such protocol, or the URL makes no sense to it.
    MissingDependency
        If the protocol's package is not installed.
    """

    def __init__(self, url: str) -> None:
        self.shown = _without_secrets(url)
        self._fs, self._root = _open(url, self.shown)
        protocols = self._fs.protocol
        names = {protocols} if isinstance(protocols, str) else set(protocols)
        self._whole = bool(names & _WHOLE)

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return self._used(name) is not None

    def chunks(self, name: str) -> Iterator[bytes]:
        """A file's content, piece by piece.

        Raises
        ------
        FileNotFoundError
            If there is none.
        """
        with self._border(), self._fs.open(self._path(name), "rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def read_all(self, prefix: str) -> dict[str, bytes]:
        """The content of all files in the folder ``prefix`` and below it, by name."""
        names = {self._path(entry.name): entry.name for entry in self.entries(prefix)}
        with self._border():
            found = self._fs.cat(list(names), on_error="return") if names else {}
        for content in found.values():
            if isinstance(content, Exception) and not isinstance(content, FileNotFoundError):
                with self._border():
                    raise content
        return {names[path]: found[path] for path in names if isinstance(found.get(path), bytes)}

    def write(self, name: str, data: bytes) -> None:
        """Write a file in place of what was there."""
        with self._arriving(name) as path:
            self._fs.pipe_file(path, data)

    def upload(self, source: Path, name: str, fresh: float) -> None:
        """Copy a file of this machine there, unless it was ``fresh`` seconds ago or less."""
        used = self._used(name)
        if used is None or used < time.time() - fresh:
            with self._arriving(name) as path:
                self._fs.put_file(os.fspath(source), path)

    def touch(self, name: str, fresh: float) -> bool:
        """Say that a file was used now, unless it was ``fresh`` seconds ago or less; False: there
        is none."""
        used = self._used(name)
        if used is not None and used < time.time() - fresh:
            try:
                with self._border():
                    data = self._fs.cat_file(self._path(name))
            except FileNotFoundError:
                return False
            self.write(name, data)
        return used is not None

    def remove(self, name: str) -> None:
        """Remove a file; it need not be there."""
        with contextlib.suppress(FileNotFoundError), self._border():
            self._fs.rm_file(self._path(name))

    def discard(self, name: str, before: float) -> bool:
        """Remove a file unless it was used since ``before`` (seconds since 1970)."""
        used = self._used(name)
        if used is None or used >= before:
            return False
        self.remove(name)
        return True

    def entries(self, prefix: str) -> Iterator[Entry]:
        """The files in the folder ``prefix`` and below it."""
        with contextlib.suppress(FileNotFoundError), self._border():
            self._fs.invalidate_cache()
            options = {"on_error": _raise} if _walks(self._fs) else {}
            found = self._fs.find(self._path(prefix.rstrip("/")), detail=True, **options)
            for path, info in found.items():
                name = path[len(self._root) :].lstrip("/")
                yield Entry(name, int(info.get("size") or 0), self._time(path, info))

    def discard_dead(self, before: float) -> list[Entry]:
        """Remove unfinished uploads from before ``before``, and return them."""
        return [e for e in list(self.entries("incoming/")) if self.discard(e.name, before)]

    # ------------------------------------------------------------------------------------------

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _used(self, name: str) -> float | None:
        path = self._path(name)
        try:
            with self._border():
                self._fs.invalidate_cache()
                return self._time(path, self._fs.info(path))
        except FileNotFoundError:
            return None

    def _time(self, path: str, info: dict[str, Any]) -> float:
        moment = next((info[key] for key in _TIMES if info.get(key)), None)
        if moment is None:
            moment = self._fs.modified(path)
        if isinstance(moment, str):
            moment = datetime.fromisoformat(moment.replace("Z", "+00:00"))
        if isinstance(moment, datetime):
            return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
        return float(moment)

    @contextlib.contextmanager
    def _arriving(self, name: str) -> Iterator[str]:
        """Where to write the file ``name`` so that nobody sees a half."""
        path = self._path(name)
        with self._border():
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            if self._whole:
                yield path
                return
            coming = self._path(f"incoming/{os.urandom(12).hex()}")
            self._fs.makedirs(coming.rpartition("/")[0], exist_ok=True)
            yield coming
            self._fs.mv(coming, path)

    @contextlib.contextmanager
    def _border(self) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, MLOpsError):
            raise
        except Exception as error:  # each file system's package raises its own
            raise _unavailable(self.shown, error) from error


def _open(url: str, shown: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs
    from fsspec.registry import known_implementations

    protocol = re.split("::|://", url, maxsplit=1)[0]
    try:
        fs, path = url_to_fs(url)
    except ImportError as error:
        known = known_implementations.get(protocol, {})
        problem = MissingDependency(f"A cache at {shown}", "", "the package for it")
        problem.hint = f"{known.get('err', error)}.".replace("..", ".")
        raise problem from error
    except ValueError as error:
        if "not known" in str(error):
            raise InvalidInput(
                f"The cache's URL {shown} has the unknown protocol {protocol!r}.",
                hint="Use a folder, or a URL like s3://bucket/team.",
            ) from error
        raise InvalidInput(f"The cache's URL {shown} is not right: {_line(error)}.") from error
    except Exception as error:  # each file system's package raises its own
        raise _unavailable(shown, error) from error
    return fs, path.rstrip("/")


def _walks(fs: Any) -> bool:
    """Whether it finds files by fsspec's own walk, which ignores errors unless told otherwise."""
    from fsspec.asyn import AsyncFileSystem
    from fsspec.spec import AbstractFileSystem

    if isinstance(fs, AsyncFileSystem):
        return type(fs)._find is AsyncFileSystem._find
    return type(fs).find is AbstractFileSystem.find


def _raise(error: Exception) -> None:
    if not isinstance(error, FileNotFoundError):  # a folder that was removed meanwhile is empty
        raise error


def _unavailable(shown: str, error: Exception) -> Unavailable:
    return Unavailable(
        f"The cache at {shown} cannot be used: {_line(error)}.",
        hint="Check its URL, your credentials and the network.",
    )


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _without_secrets(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//", url).partition("?")[0]
