"""Which pickled models may be loaded: those that this user's own kernels wrote.

Loading a pickle runs code. A project folder that came from somewhere else may bring a ``.mlops/``
of its own, so a kernel seals each model it writes with a keyed BLAKE2b digest (RFC 7693) of its
bytes, and nobody loads one whose seal is not right. The key is made once per user, 32 random bytes
in Jupyter's data folder, readable by its owner only (as Jupyter keeps its notebook signing key).
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import tempfile
from pathlib import Path
from typing import IO

from .workspace import os_errors

KEY_NAME = "mlops_jupyter_key"
_CHUNK = 1 << 20


def _key() -> bytes:
    from jupyter_core.paths import jupyter_data_dir

    path = Path(jupyter_data_dir()) / KEY_NAME
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes()
    with os_errors("the key for models in Jupyter's data folder"):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=path.parent)  # only its owner may read it
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(32))
            with contextlib.suppress(FileExistsError):  # two at once: the first one's key counts
                os.link(name, path)
        finally:
            os.unlink(name)
    return path.read_bytes()


class SealedWriter:
    """A binary stream that digests what goes through it; ``seal`` is the digest so far (hex)."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._digest = hashlib.blake2b(key=_key(), digest_size=32)

    def write(self, data: bytes) -> int:
        """Write ``data`` through."""
        self._digest.update(data)
        return self._stream.write(data)

    @property
    def seal(self) -> str:
        """The seal of all that was written."""
        return self._digest.hexdigest()


def sealed(path: Path, seal: str | None) -> bool:
    """Whether ``path`` holds exactly what a kernel of this user wrote under ``seal``."""
    digest = hashlib.blake2b(key=_key(), digest_size=32)
    with open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return hmac.compare_digest(digest.hexdigest(), seal or "")


def seal_of(data: bytes) -> str:
    """The seal of ``data`` (hex). It tells nothing of ``data`` to who has not the user's key."""
    return hashlib.blake2b(data, key=_key(), digest_size=32).hexdigest()


def seal_holds(data: bytes, seal: str) -> bool:
    """Whether ``seal`` is this user's seal of ``data``."""
    return hmac.compare_digest(seal_of(data).encode(), seal.encode())
