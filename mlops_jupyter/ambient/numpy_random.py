"""NumPy's global generator, which ``np.random.seed`` seeds."""

from __future__ import annotations

import sys
from typing import Any

from .base import Ambient

_MERSENNE = "MT19937"
_WORDS = 624
_FURTHEST = 32  # blocks of words beyond which numbers are not followed


class NumpyRandom(Ambient):
    """Bit generator and state; ``None`` as long as nobody seeded it.

    Numbers drawn from a generator that was not seeded are as random in any other kernel.
    """

    name = "numpy-random"
    module = "numpy.random"
    reads_change = True

    def __init__(self) -> None:
        self._seeded = False
        self._behind: Any = None

    def start(self) -> None:
        """Seeded by the operating system."""

    def capture(self) -> Any:
        """The name of the bit generator and its state, arrays as bytes."""
        state = sys.modules[self.module].get_state(legacy=False)
        inner = state["state"]
        if state["bit_generator"] == _MERSENNE:
            if not self._seeded:
                self._seeded = not self._reaches(inner["key"])
            if not self._seeded:
                return None
            inner = {"key": inner["key"].tobytes(), "pos": int(inner["pos"])}
        return {**state, "state": inner}

    def _reaches(self, key: Any) -> bool:
        """Whether drawing from the generator as NumPy made it leads to this key."""
        numpy: Any = sys.modules["numpy"]
        if self._behind is None:
            # NumPy forgets the seed sequence when somebody seeds.
            sequence = getattr(numpy.random.mtrand._rand._bit_generator, "_seed_seq", None)
            if sequence is None:
                return False
            self._behind = numpy.random.MT19937(sequence)
        for _ in range(_FURTHEST):
            if numpy.array_equal(self._behind.state["state"]["key"], key):
                return True
            self._behind.random_raw(_WORDS, output=False)
        return False

    def restore(self, value: Any) -> None:
        """Continue there; for ``None`` seed from the operating system."""
        numpy: Any = sys.modules["numpy"]
        random = numpy.random
        name = _MERSENNE if value is None else value["bit_generator"]
        if random.get_state(legacy=False)["bit_generator"] != name:
            random.set_bit_generator(getattr(random, name)())
        if value is None:
            self._behind = random.MT19937()
            plain = random.RandomState(0).get_state(False)  # has no spare normal deviate
            random.set_state({**plain, **self._behind.state})
            self._seeded = False
            return
        self._seeded = True
        inner = value["state"]
        if name == _MERSENNE:
            inner = {**inner, "key": numpy.frombuffer(inner["key"], dtype=numpy.uint32)}
        random.set_state({**value, "state": inner})
