"""The project folder and its ``.mlops/``: where everything is kept, safely.

::

    .mlops/
      version       the layout's version; a newer one is refused with a clear line
      mlflow.db     MLflow's store      artifacts/  MLflow's artifacts
      mlops.db      our own store       journals/   one file per session
      records/      predictions         labels/     labels that came later
      reports/      monitoring reports  logs/       of our processes
      locks/        held by living processes
      events.jsonl  what changed, for live views
    executed/       notebooks that pipelines ran, where JupyterLab can open them

Both folders ignore themselves in git. ``mlflow.db``, ``mlops.db``, ``logs/`` and ``locks/`` belong
to this machine; everything else holds no absolute path and no secret, so it may be shared.
"""

from __future__ import annotations

import contextlib
import errno
import getpass
import json
import os
import tempfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from . import config
from .errors import Conflict, InvalidInput, NotFound, Unavailable
from .models import Event, Noun, from_dict, now, to_json

LAYOUT_VERSION = 1
ENV = "MLOPS_WORKSPACE"
_FOLDERS = (
    "artifacts",
    "journals",
    "labels",
    "locks",
    "logs",
    "records",
    "reports",
)
_EVENTS_LIMIT = 1_000_000


@contextlib.contextmanager
def os_errors(what: str) -> Iterator[None]:
    """Map operating-system errors on our own files to one clear line.

    Raises
    ------
    Unavailable
        If a folder cannot be written or the disk is full.
    """
    try:
        yield
    except Timeout:  # a lock that is held is no fault of the disk's
        raise
    except OSError as error:
        reason = {
            errno.ENOSPC: "the disk is full",
            errno.EDQUOT: "the disk quota is used up",
            errno.EROFS: "the file system is read-only",
            errno.EACCES: "permission denied",
            errno.EPERM: "permission denied",
            errno.ENOTDIR: "part of the path is a file, not a folder",
        }.get(error.errno or 0, error.strerror or str(error))
        raise Unavailable(
            f"Cannot write {what}: {reason}.",
            hint="Make the folder writable, free space, or choose another folder.",
        ) from error


def write_atomic(path: Path, data: str | bytes) -> None:
    """Write ``data`` to ``path`` so that readers see the old file or the new one, never a half.

    Raises
    ------
    Unavailable
        If it cannot be written; the old file is untouched.
    """
    raw = data.encode() if isinstance(data, str) else data
    with os_errors(path.name):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(name).unlink()
            raise


class Workspace:
    """One project folder. Cheap to make; nothing is read or written before it is needed.

    Parameters
    ----------
    root:
        The project's folder. Use :meth:`find` to look for it from a working directory.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).expanduser().absolute()
        self.state = self.root / ".mlops"

    def __repr__(self) -> str:
        return f"Workspace({str(self.root)!r})"

    @classmethod
    def find(cls, start: str | Path | None = None) -> Workspace:
        """The workspace around ``start`` (default: ``$MLOPS_WORKSPACE``, else the working folder).

        The nearest folder upwards that has ``.mlops/`` or ``mlops.toml``; if none has, ``start``
        itself becomes the workspace when something is first written.
        """
        if start is None and (given := os.environ.get(ENV)):
            return cls(given)
        here = Path(start or Path.cwd()).expanduser().absolute()
        for folder in (here, *here.parents):
            if (folder / ".mlops").is_dir() or (folder / config.FILE_NAME).is_file():
                return cls(folder)
        return cls(here)

    @cached_property
    def config(self) -> config.Config:
        """The settings in force (``mlops.toml`` and the environment)."""
        return config.load(self.root)

    def ensure(self) -> Workspace:
        """Create ``.mlops/`` if it is not there, and check its layout's version.

        Raises
        ------
        Unavailable
            If the folder cannot be written.
        Conflict
            If a newer version of this package made it.
        """
        version = self.state / "version"
        try:
            found = int(version.read_text())
        except FileNotFoundError:
            found = 0
        except (OSError, ValueError) as error:
            raise Unavailable(
                ".mlops/version cannot be read.", hint="Restore the file, or move .mlops/ away."
            ) from error
        if found > LAYOUT_VERSION:
            raise Conflict(
                f"This workspace has layout {found}, this mlops_jupyter knows {LAYOUT_VERSION}.",
                hint="Upgrade with: pip install -U mlops_jupyter",
            )
        if found < LAYOUT_VERSION:
            with os_errors(".mlops/ in the project folder"):
                for folder in _FOLDERS:
                    (self.state / folder).mkdir(parents=True, exist_ok=True)
                write_atomic(self.state / ".gitignore", "*\n")
                write_atomic(version, f"{LAYOUT_VERSION}\n")
        return self

    def path(self, *parts: str) -> Path:
        """A path inside ``.mlops/``; the workspace is created if it is not there yet."""
        return self.ensure().state.joinpath(*parts)

    def relative(self, path: str | Path) -> str:
        """``path`` as it may be written into shareable files: relative to the workspace, or, for a
        file elsewhere, its bare name."""
        absolute = Path(os.path.abspath(Path(path).expanduser()))
        try:
            return absolute.relative_to(self.root).as_posix()
        except ValueError:
            return absolute.name

    def resolve(self, path: str, what: str = "file") -> Path:
        """The existing file that a user or client names, relative to the working folder or to the
        workspace.

        Raises
        ------
        NotFound
            If there is no such file.
        """
        given = Path(path).expanduser()
        for candidate in (given, self.root / given):
            if candidate.is_file():
                return candidate.absolute()
        raise NotFound(f"There is no {what} {path!r}.", hint="Check the path.")

    def inside(self, path: str, what: str = "file") -> Path:
        """The path that an HTTP client names, refused if it leaves the workspace.

        Raises
        ------
        InvalidInput
            If it does.
        NotFound
            If there is no such file.
        """
        candidate = (self.root / path).resolve()
        if not candidate.is_relative_to(self.root.resolve()):
            raise InvalidInput(
                f"The {what} {path!r} is outside the workspace.", hint="Use a path inside it."
            )
        if not candidate.is_file():
            raise NotFound(f"There is no {what} {path!r}.", hint="Check the path.")
        return candidate

    # --- locks: who lives, who works ----------------------------------------------------------

    def lock(self, name: str, timeout: float = -1) -> FileLock:
        """A lock between processes, freed by the system when its holder dies. Use in ``with``;
        ``timeout`` in seconds, -1 waits as long as it takes."""
        return _Lock(self.path("locks", f"{name}.lock"), timeout=timeout, thread_local=False)

    def held(self, name: str) -> bool:
        """Whether a living process holds the lock ``name``."""
        path = self.state / "locks" / f"{name}.lock"
        if not path.exists():
            return False
        try:
            with FileLock(path, timeout=0, thread_local=False):
                return False
        except Timeout:
            return True

    # --- events: what changed -----------------------------------------------------------------

    def announce(self, noun: Noun, id: str, change: str) -> None:
        """Append to the event log that ``id`` changed, e.g. ``("runs", run_id, "created")``."""
        path = self.path("events.jsonl")
        line = to_json(Event(noun, id, change, now())) + "\n"
        with os_errors(".mlops/events.jsonl"), self.lock("events"), path.open("ab") as file:
            if file.tell() > _EVENTS_LIMIT:
                path.replace(path.with_suffix(".old"))
                with path.open("ab") as fresh:
                    fresh.write(line.encode())
            else:
                file.write(line.encode())

    def follow(self) -> EventTail:
        """A reader of the events announced from now on."""
        return EventTail(self.state / "events.jsonl")


class _Lock(FileLock):
    """A lock file that cannot be made is one clear line."""

    def acquire(self, *args: Any, **kwargs: Any) -> Any:
        """As :class:`filelock.FileLock` does; :class:`Unavailable` if the file cannot be made."""
        with os_errors(".mlops/locks/"):
            return super().acquire(*args, **kwargs)


class EventTail:
    """Reads new events; survives the log being rotated or not there yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode, self._offset = self._stat()

    def _stat(self) -> tuple[int, int]:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return 0, 0
        return status.st_ino, status.st_size

    def read(self) -> list[Event]:
        """The events announced since the last call (one ``stat`` if there are none)."""
        if self._stat() == (self._inode, self._offset):
            return []
        lines: list[bytes] = []
        with contextlib.suppress(FileNotFoundError), self._path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_ino != self._inode:
                lines += self._rest_of_rotated()
                self._inode, self._offset = status.st_ino, 0
            elif status.st_size < self._offset:
                self._offset = 0
            lines += self._whole_lines(file)
        events = []
        for line in lines:
            with contextlib.suppress(ValueError, TypeError):
                events.append(from_dict(Event, json.loads(line)))
        return events

    def _rest_of_rotated(self) -> list[bytes]:
        """What was appended to the file read so far before it was rotated away."""
        with (
            contextlib.suppress(FileNotFoundError),
            self._path.with_suffix(".old").open("rb") as file,
        ):
            if os.fstat(file.fileno()).st_ino == self._inode:
                return self._whole_lines(file)
        return []

    def _whole_lines(self, file: BinaryIO) -> list[bytes]:
        file.seek(self._offset)
        data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole.splitlines()


def actor() -> str:
    """Who acts, for the audit log: ``$MLOPS_ACTOR``, else the login name."""
    try:
        return os.environ.get("MLOPS_ACTOR") or getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
