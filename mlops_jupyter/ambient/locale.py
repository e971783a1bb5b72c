"""The locale: how numbers, dates and texts are formatted and ordered."""

from __future__ import annotations

import locale
from typing import Any

from .base import Ambient, Unstorable


class Locale(Ambient):
    """All categories, as the C library names them."""

    name = "locale"

    def capture(self) -> Any:
        """The C library's name."""
        return locale.setlocale(locale.LC_ALL)

    def restore(self, value: Any) -> None:
        """Set it.

        Raises
        ------
        Unstorable
            If this machine does not have it.
        """
        try:
            locale.setlocale(locale.LC_ALL, value)
        except locale.Error as error:
            raise Unstorable(f"locale {value}: {error}") from error
