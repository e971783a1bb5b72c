"""Blobs as memory: mapped, so that only what is touched is read, and writes stay private."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path


class Mapped(mmap.mmap):
    """A blob's memory; its file never changes."""


class Frozen(Mapped):
    """Memory that cannot be written at all."""


def map_file(path: Path, readonly: bool) -> memoryview:
    """The content of a file as memory.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with open(path, "rb") as file:
        if readonly:
            return memoryview(Frozen(file.fileno(), 0, access=mmap.ACCESS_READ))
        return memoryview(Mapped(file.fileno(), 0, access=mmap.ACCESS_COPY))


def address(memory: memoryview) -> tuple[int, int] | None:
    """Where memory lies, and how long it is, if the notebook uses numpy."""
    np = sys.modules.get("numpy")
    if np is None:
        return None
    return np.frombuffer(memory, "u1").__array_interface__["data"][0], memory.nbytes
