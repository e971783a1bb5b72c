"""All ambient state of one kernel."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Collection
from typing import Any

from .. import plugins
from ..errors import Unavailable
from .base import Ambient, Unstorable
from .codec import decode, encode


class Surroundings:
    """Captures and restores what all providers know; made before a kernel's first cell.

    A state is the value of each provider that is not at its start. Providers of modules that are
    not imported are at their start.
    """

    def __init__(self) -> None:
        providers = [plugins.load("ambient", name)() for name in plugins.names("ambient")]
        # What decides how modules are imported comes before what needs them imported.
        self._providers: list[Ambient] = sorted(providers, key=lambda p: (bool(p.module), p.name))
        self._starts: dict[str, Any] = {}
        self._encoded: dict[str, tuple[Any, bytes]] = {}
        for provider in self._providers:
            self._started(provider)

    def reads_change(self, name: str) -> bool:
        """Whether reading the state of the provider ``name`` changes it."""
        return any(p.reads_change for p in self._providers if p.name == name)

    def capture(self) -> dict[str, bytes | Unstorable]:
        """Provider name to the state's bytes, or to why it cannot be carried; nothing for those
        that are at their start."""
        state: dict[str, bytes | Unstorable] = {}
        for provider in self._providers:
            if self._started(provider):
                try:
                    found = self._bytes(provider)
                except Unstorable as reason:
                    state[provider.name] = reason
                else:
                    if found != self._starts[provider.name][1]:
                        state[provider.name] = found
        return state

    def restore(self, values: dict[str, bytes], kept: Collection[str] = ()) -> None:
        """Give the providers in ``values`` that state, and the others their start's; those in
        ``kept`` stay as they are.

        Raises
        ------
        Unavailable
            If this kernel cannot be brought to that state; another one can.
        """
        for provider in self._providers:
            if provider.name in kept:
                continue
            wanted = values.get(provider.name)
            try:
                if wanted is not None and provider.module:
                    importlib.import_module(provider.module)
                if self._started(provider):
                    self._restore(provider, wanted)
            except (Unstorable, ImportError, OSError) as reason:
                raise Unavailable(
                    f"The kernel cannot be given the {provider.name} of a step: {reason}.",
                    hint="Another kernel is needed.",
                ) from reason

    def _started(self, provider: Ambient) -> bool:
        """Whether the provider's module is there; then its start is known."""
        if provider.name in self._starts:
            return True
        if provider.module and provider.module not in sys.modules:
            return False
        value = provider.start()
        self._starts[provider.name] = value, encode(value)
        return True

    def _restore(self, provider: Ambient, wanted: bytes | None) -> None:
        start, plain = self._starts[provider.name]
        try:
            if self._bytes(provider) == (plain if wanted is None else wanted):
                return
        except Unstorable:
            pass  # whatever it is, it is to be something else
        provider.restore(start if wanted is None or wanted == plain else decode(wanted))
        if not provider.settles and self._bytes(provider) != (plain if wanted is None else wanted):
            raise Unstorable("it did not take the value")

    def _bytes(self, provider: Ambient) -> bytes:
        value = provider.capture()
        known = self._encoded.get(provider.name)
        if known is None or known[0] is not value:
            known = value, encode(value)
            self._encoded[provider.name] = known
        return known[1]
