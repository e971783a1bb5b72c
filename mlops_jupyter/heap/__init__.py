"""The values of a kernel's names as stored bundles, and back.

Names that share objects are stored together, so that aliases stay aliases; functions and classes of
the notebook are stored by value and referred to by a hidden name, their *lineage*; what cannot be
carried to another process is *live*: it stays where it is.
"""

from __future__ import annotations

from .bundle import EVERYTHING, Bundle, Changes, Unstorable
from .heap import Heap

__all__ = ["EVERYTHING", "Bundle", "Changes", "Heap", "Unstorable"]
