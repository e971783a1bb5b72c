"""PyTorch's default generators: the processor's, and those of CUDA devices in use."""

from __future__ import annotations

import sys
from typing import Any

from .base import Ambient


class TorchRandom(Ambient):
    """Generator states as bytes."""

    name = "torch-random"
    module = "torch"
    reads_change = True

    def start(self) -> Any:
        """A new generator's state: PyTorch's default seed is a constant."""
        torch = sys.modules[self.module]
        return torch.Generator().get_state().numpy().tobytes(), ()

    def capture(self) -> Any:
        """The processor's state, and one for each CUDA device once CUDA is in use."""
        torch = sys.modules[self.module]
        devices: tuple[bytes, ...] = ()
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            devices = tuple(s.numpy().tobytes() for s in torch.cuda.get_rng_state_all())
        return torch.get_rng_state().numpy().tobytes(), devices

    def restore(self, value: Any) -> None:
        """Continue there."""
        torch: Any = sys.modules[self.module]

        def tensor(state: bytes) -> Any:
            return torch.frombuffer(bytearray(state), dtype=torch.uint8)

        here, devices = value
        torch.set_rng_state(tensor(here))
        if devices:
            torch.cuda.set_rng_state_all([tensor(state) for state in devices])
