"""The ids of widgets: those of a step are the same whenever it runs again on the same inputs.

A widget lives in one kernel. A later step that needs it in another has its step run again there; by
its id the widget made then is the one that is displayed.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import comm.base_comm

from ..blobs import hash_of


class _Ids:
    """Stands for the module ``uuid`` where new comms take their ids."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._count = 0

    def uuid4(self) -> UUID:
        """The next id."""
        self._count += 1
        return UUID(hash_of(f"{self._seed} {self._count}".encode())[:32])


def begin(seed: str) -> None:
    """From now on a step runs that ``seed`` names."""
    module: Any = comm.base_comm
    module.uuid = _Ids(seed)
