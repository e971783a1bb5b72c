"""The journal: what one session did, appended as it happens, readable after any crash.

One file per session in ``.mlops/journals/``. Each line is one record::

    <CRC-32 of the JSON, 8 hex digits> <JSON object, ASCII, no line breaks>\\n

written with one ``write`` on a descriptor opened for appending. A record's ``t`` says what it is;
the first is ``session`` and carries the ``format``. What is too big for a line (a fitted model)
lies in the folder of the session's name beside the journal. The living kernel holds the lock
``session-<id>``: a journal whose lock is free is that of a session that ended, or died.
"""

from __future__ import annotations

import json
import os
import threading
import zlib
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .errors import Conflict, Unavailable
from .redaction import Redactor
from .workspace import Workspace, os_errors

FORMAT = 1
SUFFIX = ".journal"


def frame(record: dict[str, Any]) -> bytes:
    """``record`` as one line of a journal."""
    body = json.dumps(record, separators=(",", ":")).encode("ascii")
    return b"%08x %s\n" % (zlib.crc32(body), body)


def unframe(line: bytes) -> dict[str, Any] | None:
    """The record in one line (without its line break), or ``None`` if the line is damaged."""
    checksum, _, body = line.partition(b" ")
    try:
        if len(checksum) != 8 or int(checksum, 16) != zlib.crc32(body):
            return None
        record = json.loads(body)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


class Journal:
    """Writes the journal of a new session and holds its lock.

    Parameters
    ----------
    workspace:
        Where it is kept.

    Raises
    ------
    Unavailable
        If the workspace's folder cannot be written.
    """

    def __init__(self, workspace: Workspace) -> None:
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
        self.session = f"{stamp}-{os.urandom(4).hex()}"
        self._guard = threading.Lock()
        self._torn = False
        self._redactor = Redactor.from_environment()
        with os_errors("the journal in .mlops/journals/"):
            self._file = workspace.path("journals", self.session + SUFFIX)
            self._lock = workspace.lock(lock_name(self.session), timeout=0)
            self._lock.acquire()
            try:
                flags = os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_WRONLY
                self._handle: int | None = os.open(self._file, flags, 0o644)
            except OSError:
                self._lock.release()
                raise

    def append(self, kind: str, **fields: Any) -> None:
        """Append one record; ``fields`` are plain JSON values. Safe from any thread.

        Raises
        ------
        Unavailable
            If it cannot be written; the next record starts on a line of its own.
        """
        record = {"t": kind, **fields}
        line = frame(self._redactor.value(record) if self._redactor else record)
        with self._guard:
            if self._handle is None:
                return
            if self._torn:
                line = b"\n" + line
            self._torn = True
            with os_errors("the journal in .mlops/journals/"):
                written = os.write(self._handle, line)
            if written < len(line):
                raise Unavailable(
                    "Cannot write the journal in .mlops/journals/: the disk is full.",
                    hint="Free space.",
                )
            self._torn = False

    def side(self, name: str) -> Path:
        """Path of the side file ``name``, its folder created.

        Raises
        ------
        Unavailable
            If the folder cannot be created.
        """
        folder = self._file.with_suffix("")
        with os_errors("the journal in .mlops/journals/"):
            folder.mkdir(exist_ok=True)
        return folder / name

    def close(self) -> None:
        """Close the file and release the session's lock. Closing twice is harmless."""
        with self._guard:
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None
                self._lock.release()

    def abandon(self) -> None:
        """For a forked child: let go of the descriptor; the lock stays the parent's."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


def lock_name(session: str) -> str:
    """Name of the workspace lock that the living kernel of ``session`` holds."""
    return f"session-{session}"


def sessions(workspace: Workspace) -> list[str]:
    """All sessions that left a journal, oldest first."""
    return sorted(path.stem for path in (workspace.state / "journals").glob("*" + SUFFIX))


def path(workspace: Workspace, session: str) -> Path:
    """The journal of ``session``."""
    return workspace.state / "journals" / (session + SUFFIX)


def read(file: Path) -> tuple[list[dict[str, Any]], int]:
    """All whole records of a journal, and the offset in bytes at which the last one ends.

    A torn tail is left for later; a damaged line before it becomes the record
    ``{"t": "damaged"}``, so nothing is skipped in silence.

    Raises
    ------
    Conflict
        If a newer version of this package wrote the journal.
    """
    data = file.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    records = [unframe(line) or {"t": "damaged"} for line in whole.split(b"\n")[:-1] if line]
    if records and int(records[0].get("format", FORMAT)) > FORMAT:
        raise Conflict(
            f"Journal {file.name} has format {records[0]['format']}, this mlops_jupyter knows "
            f"{FORMAT}.",
            hint="Upgrade with: pip install -U mlops_jupyter",
        )
    return records, len(whole)
