"""scikit-learn's configuration."""

from __future__ import annotations

import sys
from typing import Any

from .base import Ambient


class Sklearn(Ambient):
    """``sklearn.set_config``, for the thread that runs the cells."""

    name = "sklearn"
    module = "sklearn"

    def start(self) -> Any:
        """What a new thread has."""
        return dict(sys.modules["sklearn._config"]._global_config)

    def capture(self) -> Any:
        """All settings."""
        return sys.modules["sklearn"].get_config()

    def restore(self, value: Any) -> None:
        """Set them."""
        sys.modules["sklearn"].set_config(**value)
