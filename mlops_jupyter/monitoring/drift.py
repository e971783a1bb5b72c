"""Drift of one table against another, column by column.

A column that cannot be judged has no value, no drift and a finding that says why; it never counts
towards the drifted share.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import plugins
from .._tables import Column, Table
from ..errors import InvalidInput
from ..models import ColumnDrift, Report, ReportStatus, now
from ..statistics.selection import FEW_VALUES, default_statistic

if TYPE_CHECKING:
    from ..statistics.base import Counts, Kind, Sample, Statistic

DRIFT_SHARE = 0.5
FEW_ROWS = 30
_MISSING_CHANGE = 0.01
_MANY_CATEGORIES = 50
_NAMED_COLUMNS = 3


@dataclass(frozen=True)
class _Judged:
    drift: ColumnDrift
    judged: bool
    findings: list[str]


def compare_tables(
    reference: Table,
    current: Table,
    *,
    statistic: str | None = None,
    columns: Iterable[str] | None = None,
    drift_share: float = DRIFT_SHARE,
) -> Report:
    """Judge the columns that both tables have.

    Parameters
    ----------
    statistic:
        Entry-point name of the statistic for every column; ``None`` chooses for each
        (:mod:`mlops_jupyter.statistics.selection`).
    columns:
        Judge these only, and do not mind which others there are.
    drift_share:
        From which share of drifted among judged columns on (0 to 1) the status is ``"drift"``.

    Raises
    ------
    NotFound
        If no statistic has that name.
    """
    asked: Statistic | None = plugins.load("statistics", statistic) if statistic else None
    names, findings = _common(reference, current, columns)
    findings += _sizes(reference, current)
    judged = [_judge(name, reference.column(name), current.column(name), asked) for name in names]
    drifted = sum(item.drift.drift for item in judged)
    counted = sum(item.judged for item in judged)
    share = drifted / counted if counted else 0.0
    status: ReportStatus = "invalid"
    if counted:
        status = "drift" if drifted and share >= drift_share else "ok"
    return Report(
        status=status,
        rows_reference=reference.rows,
        rows_current=current.rows,
        drifted_share=share,
        columns=[item.drift for item in judged],
        findings=findings + [finding for item in judged for finding in item.findings],
        created=now(),
    )


def summarize(report: Report) -> str:
    """One line on a report: how many columns drifted, and the strongest of them with effect size,
    p-value and rows in the window. A column's strength is how far it is beyond its threshold."""
    judged = [column for column in report.columns if not (column.value is column.p_value is None)]
    drifted = sorted((column for column in judged if column.drift), key=_strength, reverse=True)
    named = [_describe(column, report.rows_current) for column in drifted[:_NAMED_COLUMNS]]
    if len(drifted) > _NAMED_COLUMNS:
        named.append(f"{len(drifted) - _NAMED_COLUMNS} more")
    line = f"{len(drifted)} of {len(judged)} columns drifted"
    return f"{line} ({'; '.join(named)})" if named else line


def _strength(column: ColumnDrift) -> tuple[float, float]:
    value = abs(math.inf if column.value is None else column.value)
    if column.p_value is None:
        return value / column.threshold, value
    return math.log(max(column.p_value, 1e-320)) / math.log(column.threshold), value


def _describe(column: ColumnDrift, rows: int) -> str:
    symbol = plugins.load("statistics", column.statistic).symbol
    value = "infinite" if column.value is None else f"{column.value:.3g}"
    p_value = "" if column.p_value is None else f", p={column.p_value:.2g}"
    return f"{column.column} {column.statistic} {symbol}={value}{p_value}, n={rows:,}"


def _common(
    reference: Table, current: Table, columns: Iterable[str] | None
) -> tuple[list[str], list[str]]:
    if columns is not None:
        wanted = set(columns)
        names = [name for name in current.names if name in wanted and name in reference.names]
        lost = [name for name in current.names if name in wanted and name not in reference.names]
        findings = [f"column {name!r} is not in the reference" for name in lost]
    else:
        names = [name for name in reference.names if name in current.names]
        findings = [
            f"column {name!r} is missing from the {where}"
            for where, there, here in (
                ("current data", reference.names, set(current.names)),
                ("reference", current.names, set(reference.names)),
            )
            for name in there
            if name not in here
        ]
    if not names:
        findings.insert(0, "reference and current data have no column in common")
    return names, findings


def _sizes(reference: Table, current: Table) -> list[str]:
    findings = []
    for where, rows in (("reference", reference.rows), ("current data", current.rows)):
        if not rows:
            findings.append(f"the {where} has no rows")
        elif rows < FEW_ROWS:
            rows_ = "1 row" if rows == 1 else f"{rows} rows"
            findings.append(f"the {where} has {rows_} only: figures vary by chance")
    return findings


def _judge(name: str, reference: Column, current: Column, asked: Statistic | None) -> _Judged:
    findings = _quality(name, reference, current)
    if reason := _obstacle(reference, current):
        return _unjudged(name, asked, reason, findings)
    kind: Kind = "numeric" if reference.kind == "numeric" else "categorical"
    distinct = _distinct(reference, current)
    statistic = asked or plugins.load(
        "statistics", default_statistic(kind, reference.valid, distinct)
    )
    first, second = _sample(reference), _sample(current)
    if kind not in statistic.kinds:
        if kind != "numeric" or distinct > FEW_VALUES:
            reason = f"is {kind}, which {statistic.name} does not judge"
            return _unjudged(name, statistic, reason, findings)
        first, second = _counts(reference), _counts(current)
    if kind == "categorical" or distinct <= FEW_VALUES:
        findings += _unseen(name, _counts(reference), _counts(current), current.valid)
    try:
        outcome = statistic.compute(first, second)
    except InvalidInput as error:
        return _unjudged(name, statistic, f"cannot be judged: {error.message}", findings)
    if math.isnan(outcome.value) or (math.isinf(outcome.value) and outcome.p_value is None):
        return _unjudged(name, statistic, "has values beyond what numbers can hold", findings)
    drift = ColumnDrift(
        column=name,
        statistic=statistic.name,
        value=outcome.value if math.isfinite(outcome.value) else None,
        p_value=outcome.p_value,
        threshold=statistic.threshold,
        drift=statistic.drifted(outcome),
    )
    return _Judged(drift, True, findings)


def _unjudged(
    name: str, statistic: Statistic | None, reason: str, findings: Iterable[str] = ()
) -> _Judged:
    drift = ColumnDrift(
        column=name,
        statistic=statistic.name if statistic else "",
        value=None,
        p_value=None,
        threshold=statistic.threshold if statistic else 0.0,
        drift=False,
    )
    return _Judged(drift, False, [f"column {name!r} {reason}; not judged", *findings])


def _obstacle(reference: Column, current: Column) -> str:
    """Why the column cannot be judged, or nothing."""
    places = (("reference", reference), ("current data", current))
    reason = next((text for where, column in places if (text := _emptiness(column, where))), "")
    if reason:
        return reason
    if reference.kind != current.kind:
        return f"was {reference.kind} in the reference and is {current.kind} now"
    if reference.kind in ("time", "mixed", "nested"):
        return f"has {reference.kind} values"
    if len(reference.counts) > max(_MANY_CATEGORIES, reference.valid / 2):
        return f"has {len(reference.counts):,} different texts in {reference.valid:,} rows"
    return ""


def _emptiness(column: Column, where: str) -> str:
    if not column.rows:
        return f"has no rows in the {where}"
    if column.kind == "empty":
        return f"has no values in the {where}"
    if not column.valid:
        return f"has only infinite values in the {where}"
    return f"has a single value in the {where}" if column.valid == 1 else ""


def _quality(name: str, reference: Column, current: Column) -> list[str]:
    findings = []
    before, after = (
        column.missing / column.rows if column.rows else 0.0 for column in (reference, current)
    )
    if reference.rows and current.rows:
        started = after > 0 and before == 0
        if started or abs(after - before) >= _MISSING_CHANGE:
            direction = "rose" if after > before else "fell"
            findings.append(
                f"column {name!r}: missing values {direction} from {before:.2%} to {after:.2%}"
            )
    for where, column in (("reference", reference), ("current data", current)):
        if column.infinite:
            findings.append(
                f"column {name!r}: {column.infinite:,} infinite values in the {where} left out"
            )
        if column.valid > 1 and _constant(column):
            findings.append(f"column {name!r} is constant in the {where}")
    return findings


def _constant(column: Column) -> bool:
    if column.numbers is not None:
        return bool(column.numbers[0] == column.numbers[-1])
    return len(column.counts) == 1


def _distinct(reference: Column, current: Column) -> int:
    """Distinct values of both columns together; of numeric ones, any number above
    ``FEW_VALUES`` stands for many."""
    if reference.numbers is None or current.numbers is None:
        return len(reference.counts.keys() | current.counts.keys())
    for column in (reference.numbers, current.numbers):
        changes = int((column[1:] != column[:-1]).sum())
        if changes + 1 > FEW_VALUES:
            return changes + 1
    return len(_counts(reference).keys() | _counts(current).keys())


def _sample(column: Column) -> Sample:
    return column.counts if column.numbers is None else column.numbers


def _counts(column: Column) -> dict[str, int]:
    """A column of few values as counts."""
    import numpy as np

    if column.numbers is None:
        return column.counts
    values, counts = np.unique(column.numbers, return_counts=True)
    pairs = zip(values.tolist(), counts.tolist(), strict=True)
    return {str(int(v)) if float(v).is_integer() else repr(v): n for v, n in pairs}


def _unseen(name: str, reference: Counts, current: Counts, rows: int) -> list[str]:
    new = sorted((key for key in current if key not in reference), key=lambda k: -current[k])
    if not new:
        return []
    shown = ", ".join(repr(key[:40]) for key in new[:3])
    more = f" and {len(new) - 3} more" if len(new) > 3 else ""
    count = sum(current[key] for key in new)
    return [f"column {name!r}: {shown}{more} not in the reference ({count:,} of {rows:,} rows)"]
