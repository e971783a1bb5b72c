"""Names of pipeline runs."""

from __future__ import annotations

import re
import secrets
from datetime import datetime, timezone

from ..errors import InvalidInput

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def new_id() -> str:
    """A name that sorts by time and that nobody else has: ``20260131-120000-1f3c9a``."""
    moment = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
    return f"{moment}-{secrets.token_hex(3)}"


def checked(id: str | None) -> str:
    """``id`` if it is fit for a folder's name, a new one if it is ``None``.

    Raises
    ------
    InvalidInput
        If it is not.
    """
    if id is None:
        return new_id()
    if not _ID.fullmatch(id):
        raise InvalidInput(
            f"{id[:80]!r} cannot name a pipeline run.",
            hint="Use up to 64 letters, digits, hyphens and underscores.",
        )
    return id
