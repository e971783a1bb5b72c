"""PyTorch's defaults: type, device, determinism, gradients, threads, printing."""

from __future__ import annotations

import sys
from typing import Any

from .base import Ambient


class TorchOptions(Ambient):
    """Settings that change what later code computes or shows."""

    name = "torch-options"
    module = "torch"

    def start(self) -> Any:
        """PyTorch's defaults; the number of threads is this machine's."""
        torch: Any = sys.modules["torch"]
        printing = dict(vars(type(torch._tensor_str.PRINT_OPTS)()))
        return {
            "dtype": torch.float32,
            "device": "cpu",
            "deterministic": (False, False),
            "cudnn": (False, False),
            "gradients": True,
            "anomalies": False,
            "threads": torch.get_num_threads(),
            "printing": printing,
        }

    def capture(self) -> Any:
        """All of them, by name."""
        torch: Any = sys.modules["torch"]
        return {
            "dtype": torch.get_default_dtype(),
            "device": str(torch.get_default_device()),
            "deterministic": (
                torch.are_deterministic_algorithms_enabled(),
                torch.is_deterministic_algorithms_warn_only_enabled(),
            ),
            "cudnn": (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark),
            "gradients": torch.is_grad_enabled(),
            "anomalies": torch.is_anomaly_enabled(),
            "threads": torch.get_num_threads(),
            "printing": dict(vars(torch._tensor_str.PRINT_OPTS)),
        }

    def restore(self, value: Any) -> None:
        """Set them."""
        torch: Any = sys.modules["torch"]
        now = self.capture()
        torch.set_default_dtype(value["dtype"])
        if now["device"] != value["device"]:
            torch.set_default_device(value["device"])
        enabled, warn_only = value["deterministic"]
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = value["cudnn"]
        torch.set_grad_enabled(value["gradients"])
        torch.autograd.set_detect_anomaly(value["anomalies"])
        if now["threads"] != value["threads"]:
            torch.set_num_threads(value["threads"])
        vars(torch._tensor_str.PRINT_OPTS).update(value["printing"])
