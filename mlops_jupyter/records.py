"""What a deployment was asked and what it answered, kept in append-only segments.

``.mlops/records/<deployment>/<number>.log`` holds one line per predicted row::

    <CRC-32 of the JSON as 8 hex digits> <JSON of the Record>\\n

A request's lines are written with one system call before its answer is sent, so whatever a client
has seen is on record even if the server is killed in the next instant. A torn line (the disk
filled, the process died) fails its checksum and is left out; every whole line is read. A server
that starts opens a new segment, so nothing is ever appended to a torn line. Readers need no lock.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import Unavailable
from .models import Scalar, from_dict
from .workspace import Workspace, os_errors

_SEGMENT_BYTES = 16 * 1024 * 1024
_SEGMENT = re.compile(r"(\d{8})\.log")
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


@dataclass(frozen=True)
class Record:
    """One predicted row.

    ``request_id`` is the client's or the server's id; the rows of a batch are ``<id>/0``,
    ``<id>/1`` and so on. ``output`` is a list where the model gives several values a row.
    ``latency_ms`` is the request's, from its receipt to the end of the prediction.
    """

    request_id: str
    time: str
    version: str
    inputs: dict[str, Scalar]
    output: Any
    latency_ms: float


class Writer:
    """Appends to a deployment's records; one writer per deployment, many threads.

    Parameters
    ----------
    deployment:
        Whose records; its folder is made if it is not there.
    segment_bytes:
        A segment that has grown to this size is followed by a new one.

    Raises
    ------
    Unavailable
        If the folder cannot be written.
    """

    def __init__(
        self, workspace: Workspace, deployment: str, *, segment_bytes: int = _SEGMENT_BYTES
    ) -> None:
        self._folder = workspace.path("records", deployment)
        self._limit = segment_bytes
        self._mutex = threading.Lock()
        self._number = max((int(path.stem) for path in _segments(self._folder)), default=0)
        self._file = -1
        self._size = 0
        with os_errors("the records"):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._open_next()

    def _open_next(self) -> None:
        path = self._folder / f"{self._number + 1:08d}.log"
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        self.close()
        self._file, self._size, self._number = file, 0, self._number + 1

    def append(
        self,
        request_id: str,
        time: str,
        version: str,
        names: Sequence[str],
        rows: Sequence[Sequence[Any]],
        outputs: Sequence[Any],
        latency_ms: float,
    ) -> None:
        """Write one request's rows; when this returns, a kill of the process cannot lose them.

        Parameters
        ----------
        names, rows, outputs:
            Column names; ``(rows, columns)`` values; one output per row. JSON-ready and finite.

        Raises
        ------
        Unavailable
            If they cannot be written; then none of them is on record.
        """
        single = len(rows) == 1
        lines = []
        for number, (row, output) in enumerate(zip(rows, outputs, strict=True)):
            text = _encode(
                {
                    "request_id": request_id if single else f"{request_id}/{number}",
                    "time": time,
                    "version": version,
                    "inputs": dict(zip(names, row, strict=True)),
                    "output": output,
                    "latency_ms": latency_ms,
                }
            ).encode()
            lines.append(b"%08x %s\n" % (zlib.crc32(text), text))
        data = b"".join(lines)
        with self._mutex, os_errors("the records"):
            if self._size >= self._limit:
                self._open_next()
            written = os.write(self._file, data)
            if written != len(data):
                os.ftruncate(self._file, self._size)
                raise Unavailable("Cannot write the records: the disk is full.")
            self._size += written

    def close(self) -> None:
        """Close the open segment."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def read(
    workspace: Workspace, deployment: str, *, last: int | None = None, since: str | None = None
) -> list[Record]:
    """The deployment's records, oldest first; can be called while its server writes.

    Parameters
    ----------
    last:
        Only the newest ``last`` rows.
    since:
        Only rows recorded at this time (ISO 8601, UTC, as in ``Record.time``) or later.
    """
    found: list[Record] = []
    for path in reversed(_segments(workspace.state / "records" / deployment)):
        rows = [from_dict(Record, json.loads(text)) for text in _whole_lines(path)]
        kept = rows if since is None else [row for row in rows if row.time >= since]
        found = kept + found
        if (last is not None and len(found) >= last) or len(kept) < len(rows):
            break
    return found if last is None else found[len(found) - min(last, len(found)) :]


def count(workspace: Workspace, deployment: str) -> int:
    """How many rows are on record."""
    folder = workspace.state / "records" / deployment
    return sum(1 for path in _segments(folder) for _ in _whole_lines(path))


def _segments(folder: Path) -> list[Path]:
    """The folder's segments, oldest first."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(path for path in folder.iterdir() if _SEGMENT.fullmatch(path.name))
    return []


def _whole_lines(path: Path) -> Iterator[bytes]:
    """The JSON of every line whose checksum is right."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Unavailable(f"The records cannot be read: {error.strerror}.") from error
    for line in data.split(b"\n"):
        checksum, _, text = line.partition(b" ")
        if len(checksum) == 8 and checksum == b"%08x" % zlib.crc32(text):
            yield text
