"""Options of pandas."""

from __future__ import annotations

import sys
from typing import Any

from .base import Ambient
from .codec import encode

_CONFIG = "pandas._config.config"


class Pandas(Ambient):
    """Options that differ from their defaults."""

    name = "pandas"
    module = "pandas"

    def __init__(self) -> None:
        self._defaults: dict[str, bytes] = {}

    def start(self) -> Any:
        """All at their defaults."""
        return ()

    def capture(self) -> Any:
        """Names and values, sorted."""
        return tuple(sorted(self._changed().items()))

    def _changed(self) -> dict[str, Any]:
        config: Any = sys.modules[_CONFIG]
        values = _flat(config._global_config)
        changed = {}
        for name, option in config._registered_options.items():
            value, default = values.get(name), option.defval
            if value is not default and not _equal(value, default):
                changed[name] = value
        return changed

    def restore(self, value: Any) -> None:
        """Set these; all others back to their defaults."""
        pandas: Any = sys.modules["pandas"]
        wanted = dict(value)
        for name in self._changed():
            if name not in wanted:
                pandas.reset_option(f"^{name}$")
        for name, setting in wanted.items():
            pandas.set_option(name, setting)


def _flat(options: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in options.items():
        if isinstance(value, dict):
            found.update(_flat(value, f"{prefix}{key}."))
        else:
            found[prefix + key] = value
    return found


def _equal(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    return (
        bool(one == other) if isinstance(one, str | int | float) else encode(one) == encode(other)
    )
