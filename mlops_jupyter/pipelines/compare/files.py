"""Comparing the files that two executions of one notebook left."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import volatile
from .pictures import differing_bytes, same_picture
from .texts import first_in_text

# Ours, Jupyter's and Python's own files in a project: not what a notebook wrote.
_NOT_WRITTEN = frozenset({".mlops", "executed", ".ipynb_checkpoints", "__pycache__", ".git"})


@dataclass(frozen=True)
class FileDifference:
    """A file that was written differently. ``name`` is relative to the folder compared."""

    name: str
    first_difference: str


def files_in(folder: Path) -> dict[str, Path]:
    """The files and empty folders in ``folder`` by relative name, those of folders ending in
    ``/``, without what Jupyter, Python and this package keep there."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name in _NOT_WRITTEN:
            continue
        if path.is_dir() and not path.is_symlink():
            inside = files_in(path)
            found |= {f"{path.name}/{name}": item for name, item in inside.items()}
            if not inside:
                found[f"{path.name}/"] = path
        else:
            found[path.name] = path
    return found


def compare_files(
    left: Mapping[str, Path | bytes],
    right: Mapping[str, Path | bytes],
    folders: tuple[str, str] = ("", ""),
) -> list[FileDifference]:
    """The files that only one side has, or whose content differs.

    Pictures are compared by pixels, zip archives (so ``.npz`` and ``.xlsx``) by their members and
    gzip files unpacked; text without what is volatile; anything else byte by byte.

    Parameters
    ----------
    left, right:
        Files (or their content) by name, as :func:`files_in` gives them.
    folders:
        As for :func:`compare_outputs`.
    """
    found = []
    for name in sorted({*left, *right}):
        if name not in left or name not in right:
            first = "the file is " + ("missing" if name in left else "extra")
        else:
            first = _content(_bytes_of(left[name]), _bytes_of(right[name]), folders) or ""
        if first:
            found.append(FileDifference(name, first))
    return found


def _bytes_of(file: Path | bytes) -> bytes:
    if isinstance(file, bytes):
        return file
    if file.is_symlink() and not file.exists():
        return str(file.readlink()).encode()
    return b"" if file.is_dir() else file.read_bytes()


def _content(a: bytes, b: bytes, folders: tuple[str, str]) -> str | None:
    if a == b:
        return None
    try:
        if a[:2] == b[:2] == b"\x1f\x8b":
            return _content(gzip.decompress(a), gzip.decompress(b), folders)
        if all(zipfile.is_zipfile(io.BytesIO(data)) for data in (a, b)):
            inside = compare_files(_members(a), _members(b), folders)
            return f"{inside[0].name} in it: {inside[0].first_difference}" if inside else None
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return differing_bytes(a, b)  # not what its first bytes say, or behind a password
    if a[:4] == b[:4] == b"\x89PNG" or a[:3] == b[:3] == b"\xff\xd8\xff":
        return same_picture(a, b)
    return _text(a, b, folders)


def _text(a: bytes, b: bytes, folders: tuple[str, str]) -> str | None:
    try:
        left, right = a.decode(), b.decode()
    except UnicodeDecodeError:
        return differing_bytes(a, b)
    rules = volatile.markup if left.lstrip()[:1] == "<" else volatile.plain
    return first_in_text(rules(left, folders[0]), rules(right, folders[1])) or None


def _members(data: bytes) -> dict[str, Path | bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {item.filename: archive.read(item) for item in archive.infolist()}
