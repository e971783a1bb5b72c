"""Monitoring: checks over a deployment's records, reports, alerts, labels, retraining.

``monitors`` is the room's front; ``drift`` compares two tables, ``alerts`` keeps what was raised,
``labels`` joins the truth that came later.
"""

from .monitors import (
    acknowledge,
    check,
    compare,
    create,
    list_alerts,
    list_monitors,
    reports,
    retrain,
    retraining,
)

__all__ = [
    "acknowledge",
    "check",
    "compare",
    "create",
    "list_alerts",
    "list_monitors",
    "reports",
    "retrain",
    "retraining",
]
