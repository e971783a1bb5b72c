"""A deployment's live figures: counts, latencies, and the same in Prometheus' text format."""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass

_WINDOW = 2048
_BUCKETS_MS = (0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 5000.0)


@dataclass(frozen=True)
class Snapshot:
    """The figures at one moment: requests since the server started, errors among them, and the
    median and 99th percentile (nearest rank) of the last 2,048 good answers in milliseconds."""

    requests: int
    errors: int
    p50_ms: float | None
    p99_ms: float | None


class Figures:
    """Counts prediction requests; safe with several threads."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._window: deque[float] = deque(maxlen=_WINDOW)
        self._buckets = [0] * (len(_BUCKETS_MS) + 1)
        self._sum_ms = 0.0
        self._errors = 0

    def good(self, milliseconds: float) -> None:
        """Count a request that was answered with a prediction."""
        with self._mutex:
            self._window.append(milliseconds)
            self._buckets[bisect_left(_BUCKETS_MS, milliseconds)] += 1
            self._sum_ms += milliseconds

    def bad(self) -> None:
        """Count a request that was answered with an error."""
        with self._mutex:
            self._errors += 1

    def snapshot(self) -> Snapshot:
        """The figures now."""
        with self._mutex:
            ordered = sorted(self._window)
            good, errors = sum(self._buckets), self._errors

        def rank(share: float) -> float | None:
            if not ordered:
                return None
            return round(ordered[math.ceil(share * len(ordered)) - 1], 3)

        return Snapshot(good + errors, errors, rank(0.5), rank(0.99))

    def prometheus(self, deployment: str, model: str, version: str) -> str:
        """The figures in Prometheus' text exposition format, version 0.0.4."""
        with self._mutex:
            buckets, errors, total_ms = list(self._buckets), self._errors, self._sum_ms
        labels = ",".join(
            f'{key}="{_escaped(value)}"'
            for key, value in (("deployment", deployment), ("model", model))
        )
        good = sum(buckets)
        name = "mlops_request_duration_seconds"
        lines = [
            "# HELP mlops_requests_total Prediction requests answered.",
            "# TYPE mlops_requests_total counter",
            f"mlops_requests_total{{{labels}}} {good + errors}",
            "# HELP mlops_request_errors_total Prediction requests answered with an error.",
            "# TYPE mlops_request_errors_total counter",
            f"mlops_request_errors_total{{{labels}}} {errors}",
            f"# HELP {name} Time from a request's receipt to its prediction.",
            f"# TYPE {name} histogram",
        ]
        reached = 0
        for limit, number in zip(_BUCKETS_MS, buckets, strict=False):
            reached += number
            lines.append(f'{name}_bucket{{{labels},le="{limit / 1000:g}"}} {reached}')
        lines.append(f'{name}_bucket{{{labels},le="+Inf"}} {good}')
        lines.append(f"{name}_sum{{{labels}}} {total_ms / 1000:.6f}")
        lines.append(f"{name}_count{{{labels}}} {good}")
        lines.append("# HELP mlops_model_info The version that answers now.")
        lines.append("# TYPE mlops_model_info gauge")
        lines.append(f'mlops_model_info{{{labels},version="{_escaped(version)}"}} 1')
        return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
