"""State of a kernel that belongs to no variable: generators, options, folders, filters ...

One provider per file, looked up as plug-ins of the family ``ambient``; :class:`Surroundings` is all
of them.
"""

from __future__ import annotations

from .base import Ambient, Refused, Unstorable
from .surroundings import Surroundings

__all__ = ["Ambient", "Refused", "Surroundings", "Unstorable"]
