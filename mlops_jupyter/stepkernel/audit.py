"""What user code does outside of the process's memory, as Python's audit events tell it.

An audit hook can never be taken away again, so there is one for the whole process; it does nothing
unless a step is being observed.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any
from urllib.parse import unquote, urlsplit

from ..origin import importing, installed, users
from .files import Files, Signature, signature
from .inotify import Seen
from .noise import Noise
from .variables import counts, hash_of_variable, install

_READERS = ("linecache.py", "tokenize.py", "inspect.py", "pkgutil.py", "zipimport.py")
_LISTERS = ("os.py", "glob.py", "pathlib.py", "shutil.py", "fnmatch.py", "_local.py", "types.py")
_WORKERS = frozenset({"multiprocessing", "loky", "joblib", "concurrent"})
_MANY = 1000
_TOUCHES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Record:
    """One step: its files, the variables it read, and reasons why it must not be cached.

    Parameters
    ----------
    files:
        Takes what happens to files.
    noise:
        Says which files do not matter.
    relieve:
        Called now and then while much is going on; gives what the watch on the folder saw so far.

    Attributes
    ----------
    explained:
        Files that Python itself read.
    loaded:
        Those of them that are sources of modules, as they were then.
    variables:
        Environment variable that user code read, before the step set it, to its value's hash.
    """

    def __init__(self, files: Files, noise: Noise, relieve: Callable[[], Seen]) -> None:
        self.files = files
        self.uncertain: dict[str, None] = {}
        self.explained: set[str] = set()
        self.loaded: dict[str, Signature | None] = {}
        self.variables: dict[str, str] = {}
        self._own_variables: set[str] = set()
        self._events = 0
        self._relieve = relieve
        self._noise = noise
        self._folders: dict[str, str] = {}

    def take(self, event: str, args: tuple[Any, ...], frame: FrameType) -> None:
        """Note one audit event that ``frame`` caused."""
        self._events += 1
        if not self._events % _MANY:
            self._relieve()
        _HANDLERS[event](self, args, frame)

    def doubt(self, reason: str) -> None:
        """The step must not be cached, for this reason."""
        self.uncertain[reason] = None

    def path(self, given: Any, frame: FrameType | None, *, follow: bool = True) -> str | None:
        """The absolute path that was given, or ``None`` if it does not matter."""
        if given is None:
            given = "."
        if isinstance(given, int):
            return None
        path = os.path.abspath(os.fsdecode(given))
        if self._noise.covers(path):
            return None
        folder, name = os.path.split(path)
        real = self._folders.get(folder)
        if real is None:
            real = self._folders[folder] = os.path.realpath(folder)
        path = os.path.join(real, name)
        if follow and os.path.islink(path):
            path = os.path.realpath(path)
        if self._noise.covers(path):
            return None
        if frame is not None and not self._noise.inside(path) and _aside(frame):
            return None
        return path

    def open(self, args: tuple[Any, ...], frame: FrameType) -> None:
        """``open(path, mode, flags)``; ``os.open`` gives no mode."""
        given, mode, flags = args
        file = frame.f_code.co_filename
        if isinstance(given, int):
            return
        if file.startswith("<frozen importlib"):
            path = self.path(given, None)
            if path is not None:
                self.explained.add(path)
                self.loaded[path] = signature(path)
            return
        flags = flags if isinstance(flags, int) else 0
        writes = bool(flags & _TOUCHES) or (isinstance(mode, str) and not set(mode) <= set("rbtU"))
        path = self.path(given, frame)
        if path is None or os.path.isdir(path):
            return
        if not writes:
            relative = mode is None and file.endswith("shutil.py")  # to a folder we do not know
            if _internal(frame):
                self.explained.add(path)
            elif not relative:
                self.files.read(path)
        elif flags & os.O_EXCL:
            self.files.create(path)
        else:
            self.files.write(path, keeps=not flags & os.O_TRUNC)

    def list(self, args: tuple[Any, ...], frame: FrameType) -> None:
        """``os.listdir`` and ``os.scandir``."""
        internal = frame.f_code.co_filename.startswith("<frozen importlib") or _internal(frame)
        if internal or _aside(frame):
            return
        path = self.path(args[0], frame)
        if path is not None:
            self.files.list(path, self._relieve().written)

    def remove(self, args: tuple[Any, ...], frame: FrameType) -> None:
        """``os.remove`` and ``os.rmdir``."""
        self._at(args[0], args[1], frame, self.files.remove)

    def _at(self, given: Any, folder: int, frame: FrameType, note: Callable[[str], None]) -> None:
        if folder == -1:
            path = self.path(given, frame, follow=False)
            if path is not None:
                note(path)

    def make_folder(self, args: tuple[Any, ...], frame: FrameType) -> None:
        """``os.mkdir``."""
        self._at(args[0], args[2], frame, self.files.write)

    def rename(self, args: tuple[Any, ...], frame: FrameType) -> None:
        """``os.rename`` and ``os.replace``."""
        if tuple(args[2:4]) != (-1, -1):
            return
        source = self.path(args[0], frame, follow=False)
        target = self.path(args[1], frame, follow=False)
        if source is not None and target is not None:
            self.files.rename(source, target)
        elif target is not None:
            self.files.write(target)
        elif source is not None:
            self.files.remove(source)

    def link(self, args: tuple[Any, ...], frame: FrameType) -> None:
        """``os.link`` and ``os.symlink``."""
        self._at(args[1], args[-1], frame, self.files.create)

    def truncate(self, args: tuple[Any, ...], frame: FrameType) -> None:
        """``os.truncate``."""
        path = self.path(args[0], frame)
        if path is not None:
            self.files.write(path, keeps=True)

    def remove_tree(self, args: tuple[Any, ...], frame: FrameType) -> None:
        """``shutil.rmtree``."""
        path = self.path(args[0], frame, follow=False)
        if path is not None:
            self.files.remove_tree(path)

    def database(self, args: tuple[Any, ...], frame: FrameType) -> None:
        """``sqlite3.connect``: what is in the file may be read and changed at any time."""
        name = os.fsdecode(args[0])
        if name.startswith("file:"):
            parts = urlsplit(name)
            if "mode=memory" in parts.query:
                return
            name = unquote(parts.path)
        if name in ("", ":memory:"):
            return
        path = self.path(name, frame)
        if path is not None:
            self.files.write(path, keeps=True)

    def process(self, args: tuple[Any, ...], frame: FrameType) -> None:
        """A child process, unless a library starts it while it is imported or as its worker."""
        if not _aside(frame) and not _worker(frame):
            self.doubt(f"child process: {_program(args)}")

    def network(self, args: tuple[Any, ...], frame: FrameType) -> None:
        """A connection or a question to a name server."""
        first = args[0]
        if _tracking(frame):
            return
        if not isinstance(first, str | bytes) and first is not None:
            address = args[1]
            if not isinstance(address, tuple):  # AF_UNIX
                return
            first = address[0]
        host = first.decode("ascii", "replace") if isinstance(first, bytes) else first
        self.doubt(f"network: {host or 'localhost'}")

    def url(self, args: tuple[Any, ...], frame: FrameType) -> None:
        """``urllib.request.urlopen`` and the like."""
        parts = urlsplit(str(args[0]))
        if parts.scheme != "file" and not _tracking(frame):
            self.doubt(f"network: {parts.hostname}")

    def variable(self, args: tuple[Any, ...], frame: FrameType) -> None:
        """A variable of the environment is being set or taken away."""
        self._own_variables.add(os.fsdecode(args[0]))

    def asked(self, name: str) -> None:
        """User code asks for a variable of the environment."""
        if name not in self.variables and name not in self._own_variables and counts(name):
            self.variables[name] = hash_of_variable(name)


def _aside(frame: FrameType) -> bool:
    """Whether a library does it while it is imported, or MLflow while it logs."""
    return importing(frame) or _tracking(frame)


def _tracking(frame: FrameType | None) -> bool:
    """Whether MLflow does it: what a step logs is kept with its trace (and one that asks MLflow
    for something is never taken from a cache)."""
    if "mlflow" not in sys.modules:
        return False
    while frame is not None and not users(frame):
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] == "mlflow":
            return True
        frame = frame.f_back
    return False


def _internal(frame: FrameType | None) -> bool:
    """Whether Python itself looks for sources and packages, on nobody's behalf."""
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith("<frozen importlib") or file.endswith(_READERS):
            return True
        if f"{os.sep}importlib{os.sep}" in file or f"{os.sep}importlib_metadata{os.sep}" in file:
            return True
        if not file.endswith(_LISTERS) or not installed(file):
            return False
        frame = frame.f_back
    return False


def _worker(frame: FrameType | None) -> bool:
    """Whether a library for parallel work starts one of its processes."""
    while frame is not None and not users(frame):
        module = str(frame.f_globals.get("__name__", ""))
        if not _WORKERS.isdisjoint(module.split(".")):
            return True
        frame = frame.f_back
    return False


def _program(args: tuple[Any, ...]) -> str:
    if not args:
        return "fork"
    command = args[1] if len(args) > 1 and isinstance(args[1], list | tuple) else args[0]
    if isinstance(command, list | tuple):
        shell = len(command) > 2 and os.fsdecode(command[1]) == "-c"
        command = command[2] if shell else command[0]
    words = os.fsdecode(command).split()
    return os.path.basename(words[0]) if words else "?"


_Handler = Callable[[Record, tuple[Any, ...], FrameType], None]
_HANDLERS: dict[str, _Handler] = {
    "open": Record.open,
    "os.listdir": Record.list,
    "os.scandir": Record.list,
    "os.remove": Record.remove,
    "os.rmdir": Record.remove,
    "os.mkdir": Record.make_folder,
    "os.rename": Record.rename,
    "os.link": Record.link,
    "os.symlink": Record.link,
    "os.truncate": Record.truncate,
    "shutil.rmtree": Record.remove_tree,
    "sqlite3.connect": Record.database,
    "subprocess.Popen": Record.process,
    "os.system": Record.process,
    "os.exec": Record.process,
    "os.posix_spawn": Record.process,
    "os.spawn": Record.process,
    "os.fork": Record.process,
    "os.forkpty": Record.process,
    "os.startfile": Record.process,
    "socket.connect": Record.network,
    "socket.sendto": Record.network,
    "socket.getaddrinfo": Record.network,
    "socket.gethostbyname": Record.network,
    "urllib.Request": Record.url,
    "os.putenv": Record.variable,
    "os.unsetenv": Record.variable,
}


class _Hook(threading.local):
    busy = False


_local = _Hook()
_current: Record | None = None
_ready = False


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event in _HANDLERS and _current is not None and not _local.busy:
        _take(_current, event, args, sys._getframe(1))


def _take(record: Record, event: str, args: tuple[Any, ...], frame: FrameType) -> None:
    _quietly(record, event, lambda: record.take(event, args, frame))


def _asked(name: str) -> None:
    record = _current
    if record is not None and not _local.busy:
        _quietly(record, name, lambda: record.asked(name))


def _quietly(record: Record, what: str, note: Callable[[], None]) -> None:
    _local.busy = True
    try:
        note()
    except Exception as error:  # noqa: BLE001  # nothing of ours may reach the user's code
        record.doubt(f"could not be observed: {what}: {type(error).__name__}")
    finally:
        _local.busy = False


def listen(record: Record | None) -> None:
    """From now on note what happens in ``record``; ``None``: nowhere."""
    global _current, _ready  # noqa: PLW0603  # one hook for the whole process
    if not _ready:
        _ready = True
        sys.addaudithook(_hook)
        install(_asked)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=lambda: listen(None))
    _current = record
