"""Changes of files below a folder, found by looking at it twice, where there is no inotify."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection

from .files import Signature, signature
from .inotify import MOST_ENTRIES, Seen


class Scan:
    """Finds what was made, changed or taken away below a folder; reads leave no trace.

    Parameters
    ----------
    folder:
        An absolute path.
    covers:
        Says of a path whether it does not matter.
    """

    def __init__(self, folder: str, covers: Callable[[str], bool]) -> None:
        self._folder = folder
        self._covers = covers
        self._before: dict[str, Signature] = {}
        self._whole = True

    def start(self, written: Collection[str] = ()) -> None:
        """What happened until now does not count. That a file is closed leaves no trace."""
        self._before = self._look()

    def drain(self) -> Seen:
        """Nothing is known before the end."""
        return Seen()

    def stop(self) -> Seen:
        """What happened since :meth:`start`."""
        before, now = self._before, self._look()
        changed = {p: p in before for p, found in now.items() if before.get(p) != found}
        gone = dict.fromkeys(before.keys() - now.keys(), True)
        return Seen(written={**changed, **gone}, lost=not self._whole)

    def _look(self) -> dict[str, Signature]:
        found: dict[str, Signature] = {}
        self._whole = True
        for folder, folders, files in os.walk(self._folder):
            folders[:] = [
                name
                for name in folders
                if not name.startswith(".") and not self._covers(os.path.join(folder, name))
            ]
            for name in files:
                path = os.path.join(folder, name)
                here = None if self._covers(path) else signature(path)
                if here is not None:
                    found[path] = here
            if len(found) > MOST_ENTRIES:
                self._whole = False
                break
        return found
