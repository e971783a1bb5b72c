"""Imported modules: the project's own by their files, packages by their names."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Mapping
from types import ModuleType

from ..origin import installed
from .files import MISSING, Files, Hashes, Signature, same, signature

_HEADER = struct.Struct("<4sIII")  # magic number, flags, seconds, bytes (PEP 552)


class Modules:
    """What is imported, looked at after each step.

    Attributes
    ----------
    files:
        File of each of the project's modules to the hash of what was loaded.
    packages:
        Top-level names of everything else outside of the standard library.
    """

    def __init__(self, hashes: Hashes) -> None:
        self._hashes = hashes
        self._known: dict[str, int] = {}
        self._unknown: set[str] = set()
        self.files: dict[str, str] = {}
        self.packages: set[str] = set()

    def look(self, files: Files, loaded: Mapping[str, Signature | None]) -> None:
        """Take in what was imported since, and ``loaded`` source files as they were then."""
        for name, module in list(sys.modules.items()):
            if self._known.get(name) != id(module):
                self._known[name] = id(module)
                self._meet(name, module, files, loaded)
        for path in loaded.keys() & (self.files.keys() | self._unknown):
            self._load(path, None, files, loaded)
        files.doubts += [f"changed after it was imported: {path}" for path in sorted(self._unknown)]

    def _meet(
        self, name: str, module: ModuleType, files: Files, loaded: Mapping[str, Signature | None]
    ) -> None:
        file = getattr(module, "__file__", None)
        top = name.partition(".")[0]
        if not isinstance(file, str) or installed(file):
            if top not in sys.stdlib_module_names and not top.startswith("__"):
                self.packages.add(top)
        elif name != "__main__":
            cached = getattr(getattr(module, "__spec__", None), "cached", None)
            self._load(os.path.realpath(file), cached, files, loaded)

    def _load(
        self,
        path: str,
        cached: str | None,
        files: Files,
        loaded: Mapping[str, Signature | None],
    ) -> None:
        found = signature(path)
        if found is not None and (
            path not in files.written or same(loaded.get(path), found) or _made_from(cached, found)
        ):
            self.files[path] = self._hashes.of(path, found)
            self._unknown.discard(path)
            return
        before = files.reads.get(path, MISSING)
        if isinstance(before, str) and before:
            self.files[path] = before
        else:
            self.files.pop(path, None)
            self._unknown.add(path)


def _made_from(cached: str | None, source: Signature | None) -> bool:
    """Whether the bytecode file ``cached`` is that of the present source."""
    if cached is None or source is None:
        return False
    try:
        with open(cached, "rb") as stream:
            _, flags, seconds, size = _HEADER.unpack(stream.read(_HEADER.size))
    except (OSError, struct.error):
        return False
    plain = flags == 0
    return plain and (seconds, size) == (source[1] // 10**9 & 0xFFFFFFFF, source[0] & 0xFFFFFFFF)
