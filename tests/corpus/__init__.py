"""Small notebooks, each with one hard thing by name that crosses steps."""

from __future__ import annotations

from corpus import ipython, libraries, state, surroundings
from corpus.case import Case, Corpus

__all__ = ["CORPUS", "Case"]

CORPUS = Corpus()
for _part in (state, ipython, surroundings, libraries):
    assert not set(CORPUS) & set(_part.corpus)
    CORPUS.update(_part.corpus)
