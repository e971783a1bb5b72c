"""Running a value's own code without anybody noticing."""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing is printed, and no warning is shown or remembered as shown."""
    ignore = ("ignore", None, Warning, None, 0)
    filters = warnings.filters
    filters.insert(0, ignore)  # type: ignore[attr-defined]  # catch_warnings() forgets what was shown
    out, err = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = io.StringIO()
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err
        with contextlib.suppress(ValueError):
            filters.remove(ignore)  # type: ignore[attr-defined]
