"""What happens to files below a folder, as Linux tells it (see inotify(7)).

For native code, whose reads and writes raise no audit events. Linux does not say which process it
was.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from .noise import HIDDEN

ACCESS, MODIFY, CLOSE_WRITE, CLOSE_NOWRITE, OPEN = 0x1, 0x2, 0x8, 0x10, 0x20
MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x40, 0x80, 0x100, 0x200
_OVERFLOW, _IGNORED, _FOLDER = 0x4000, 0x8000, 0x40000000
_ONLY_FOLDERS = 0x01000000
_FILES = MODIFY | CLOSE_WRITE | CLOSE_NOWRITE | OPEN | ACCESS
_NAMES = MOVED_FROM | MOVED_TO | CREATE | DELETE
_CHANGES = MODIFY | CLOSE_WRITE | _NAMES
_EVENT = struct.Struct("iIII")
_BUFFER = 1 << 18

#: Folders and entries beyond which a folder is not watched whole.
MOST_FOLDERS, MOST_ENTRIES = 2000, 100_000
_UNWATCHED = HIDDEN | {"node_modules", "venv", "env", "site-packages"}


@dataclass
class Seen:
    """What happened to the files of a folder.

    Attributes
    ----------
    read:
        Files that were opened for reading, or read, before they were changed.
    written:
        What was made, changed or taken away, and whether it was there before.
    lost:
        Whether there was more than could be told.
    """

    read: set[str] = field(default_factory=set)
    written: dict[str, bool] = field(default_factory=dict)
    lost: bool = False


class Inotify:
    """Watches a folder with all folders below it, also new ones; not hidden ones.

    Parameters
    ----------
    folder:
        An absolute path.
    covers:
        Says of a path whether it does not matter.

    Raises
    ------
    OSError
        If the system has no inotify, or no more of it.
    """

    def __init__(self, folder: str, covers: Callable[[str], bool]) -> None:
        if not sys.platform.startswith("linux"):
            raise OSError(errno.ENOSYS, "inotify is Linux's")
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self._covers = covers
        self._folders: dict[int, str] = {}
        self._entries = 0
        self._opened: dict[str, bool] = {}
        self._seen = Seen()
        self._written: frozenset[str] = frozenset()
        self._watch(folder)

    def start(self, written: Collection[str] = ()) -> None:
        """What happened until now does not count; of files that somebody still has open who wrote
        to them (``written``) that they are closed does not count either."""
        self.drain()
        self._seen, self._opened, self._written = Seen(), {}, frozenset(written)

    def stop(self) -> Seen:
        """What happened since :meth:`start`."""
        self.drain()
        seen, self._seen = self._seen, Seen()
        for path in self._opened:  # and neither closed nor changed: it is being read
            if path not in seen.written:
                seen.read.add(path)
        return seen

    def close(self) -> None:
        """Watch no more."""
        os.close(self._fd)

    def drain(self) -> Seen:
        """All so far. To be called now and then: the system keeps some thousand events only."""
        while True:
            try:
                data = os.read(self._fd, _BUFFER)
            except BlockingIOError:
                return self._seen
            position = 0
            while position < len(data):
                watch, mask, _, length = _EVENT.unpack_from(data, position)
                position += _EVENT.size
                name = data[position : position + length].rstrip(b"\0")
                position += length
                self._take(watch, mask, os.fsdecode(name))

    def _take(self, watch: int, mask: int, name: str) -> None:
        if mask & _OVERFLOW:
            self._seen.lost = True
        elif mask & _IGNORED:
            self._folders.pop(watch, None)
        elif name and watch in self._folders:
            path = os.path.join(self._folders[watch], name)
            if not self._covers(path):
                (self._take_folder if mask & _FOLDER else self._take_file)(path, mask)

    def _take_file(self, path: str, mask: int) -> None:
        written = self._seen.written
        if mask & CLOSE_WRITE and path in self._written and path not in written:
            return
        if mask & _CHANGES:
            written.setdefault(path, not mask & CREATE)
        elif mask & OPEN:
            self._opened.setdefault(path, True)
        elif path not in written:
            self._seen.read.add(path)

    def _take_folder(self, path: str, mask: int) -> None:
        if not mask & _NAMES:
            return
        self._seen.written.setdefault(path, not mask & CREATE)
        if mask & (CREATE | MOVED_TO):
            for found in self._watch(path):  # it may have been filled before it was watched
                self._seen.written.setdefault(found, False)
        elif mask & MOVED_FROM:
            below = path + os.sep
            for watch, folder in list(self._folders.items()):
                if folder == path or folder.startswith(below):
                    self._libc.inotify_rm_watch(self._fd, watch)
                    self._folders.pop(watch)

    def _watch(self, folder: str) -> list[str]:
        """Watch ``folder`` and those below it, nearest first; gives all that is in them."""
        found, waiting = [], [folder]
        for place in waiting:
            if len(self._folders) >= MOST_FOLDERS or self._entries > MOST_ENTRIES:
                break
            watch = self._libc.inotify_add_watch(
                self._fd, os.fsencode(place), _FILES | _NAMES | _ONLY_FOLDERS
            )
            if watch < 0:
                continue  # gone again, not ours to read, or no watches left
            self._folders[watch] = place
            try:
                entries = list(os.scandir(place))
            except OSError:
                continue
            self._entries += len(entries)
            for entry in entries:
                if self._covers(entry.path):
                    continue
                found.append(entry.path)
                hidden = entry.name.startswith(".") or entry.name in _UNWATCHED
                if not hidden and entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
        return found
