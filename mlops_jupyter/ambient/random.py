"""The generator behind the functions of :mod:`random`."""

from __future__ import annotations

import random
from typing import Any

from .base import Ambient

_WORDS = 624
_FURTHEST = 64  # blocks of words beyond which numbers are not followed


class Random(Ambient):
    """Where the sequence is; ``None`` as long as nobody seeded it.

    Numbers drawn from a generator that was not seeded are as random in any other kernel; importing
    some libraries draws one.
    """

    name = "random"
    reads_change = True

    def __init__(self) -> None:
        self._follow()

    def _follow(self) -> None:
        self._seeded = False
        self._behind = random.Random()
        self._behind.setstate(random.getstate())
        self._words = random.getstate()[1][:-1]

    def capture(self) -> Any:
        """Version, words and the spare normal deviate, as ``random.getstate`` gives them."""
        state = random.getstate()
        if not self._seeded:
            self._seeded = not self._reaches(state[1][:-1])
        return state if self._seeded else None

    def _reaches(self, words: tuple[int, ...]) -> bool:
        """Whether drawing from the generator as it was leads to these words."""
        for _ in range(_FURTHEST):
            if self._words == words:
                return True
            self._behind.getrandbits(_WORDS * 32)
            self._words = self._behind.getstate()[1][:-1]
        return False

    def restore(self, value: Any) -> None:
        """Continue there; for ``None`` seed from the operating system."""
        if value is not None:
            random.setstate(value)
            self._seeded = True
        elif self._seeded:
            random.seed()
            self._follow()
