"""Which statistic judges a column when none is asked for: Evidently 0.7's rule.

====================  ==========================  ==============
reference rows        numeric, > 5 distinct       otherwise
====================  ==========================  ==============
up to 1,000           ks                          z (at most 2 categories) or chisquare
more than 1,000       wasserstein                 jensenshannon
====================  ==========================  ==============

Rows are those with a value, distinct values those of reference and current together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import Kind

MANY_ROWS = 1000
FEW_VALUES = 5


def default_statistic(kind: Kind, rows_reference: int, distinct: int) -> str:
    """The entry-point name of the statistic.

    Parameters
    ----------
    kind:
        The column's kind; a numeric one with few distinct values counts as categorical where
        tests are used.
    rows_reference:
        Rows of the reference that have a value.
    distinct:
        Number of distinct values in reference and current together.
    """
    numeric = kind == "numeric" and distinct > FEW_VALUES
    if rows_reference > MANY_ROWS:
        return "wasserstein" if numeric else "jensenshannon"
    if numeric:
        return "ks"
    return "z" if distinct <= 2 else "chisquare"
