"""Environment variables, as far as they were changed since the kernel's start."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

from ..redaction import VARIABLES
from .base import Ambient, Unstorable

#: Set by Jupyter, by ourselves, or by libraries while they are imported.
IGNORED = re.compile(
    r"MLOPS_|MLFLOW_|JPY_|PYDEVD_|PYTHONHASHSEED$|PYTHONFAULTHANDLER$|KMP_INIT_AT_FORK$"
    r"|KMP_DUPLICATE_LIB_OK$|COLUMNS$|LINES$"
)
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|PWD\w|CREDENTIAL|AUTH", re.IGNORECASE)


class Environment(Ambient):
    """Name to value, or to ``None`` for a variable that was taken away; in order of names.

    The variables with secret parameters (named in ``MLOPS_SECRETS``) are the runner's business.
    """

    name = "environment"

    def __init__(self) -> None:
        self._start = dict(os.environ)

    def capture(self) -> Any:
        """What differs from the start.

        Raises
        ------
        Unstorable
            If a variable looks like a secret: its value must not be written anywhere.
        """
        now, start = dict(os.environ), self._start
        if now == start:
            return ()
        changed = {k: v for k, v in now.items() if start.get(k) != v}
        gone = dict.fromkeys(start.keys() - now.keys())
        counts = _counting()
        value = sorted((k, v) for k, v in {**changed, **gone}.items() if counts(k))
        for name, text in value:
            if text and _SECRET.search(name):
                raise Unstorable(f"the environment variable {name} looks like a secret")
        return tuple(value)

    def restore(self, value: Any) -> None:
        """Make exactly these differ from the start."""
        counts = _counting()
        wanted = {k: v for k, v in self._start.items() if counts(k)}
        wanted.update(value)
        for name in [k for k in os.environ if counts(k)]:
            if wanted.get(name) is None:
                del os.environ[name]
        for name, text in wanted.items():
            if text is not None and os.environ.get(name) != text:
                os.environ[name] = text


def _counting() -> Callable[[str], bool]:
    secret = frozenset(os.environ.get(VARIABLES, "").split(","))
    return lambda name: name not in secret and not IGNORED.match(name)
