"""Turning a step's result into a trace."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..blobs import Blobs
from ..models import now
from .assembly import tells_numbers
from .drawing import untouched
from .plan import Plan, Result
from .state import is_key
from .traces import Trace, Traces, ambient_of, distributions_of, variable
from .work import relative

if TYPE_CHECKING:
    from .._mlflow import Noted


def record(
    blobs: Blobs,
    traces: Traces,
    plan: Plan,
    step: int,
    result: Result,
    packed: dict[str, Any],
    *,
    folder: Path,
    run: str,
    logged: Callable[[], Noted | None],
) -> None:
    """Keep the trace of a step that ran.

    Parameters
    ----------
    logged:
        Keeps what it logged with MLflow.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    outcome = result.outcome
    if outcome is None or outcome.finished is None:
        return
    observed = outcome.finished.observed
    prediction = plan.predictions[step]
    ambient = ambient_of(result.state)
    unread = sorted(untouched(plan, step, result, folder))
    outputs = blobs.put(json.dumps(packed).encode())
    files = {relative(path, folder): digest for path, digest in observed.read.items()}
    new = {p: d for p, d in result.delta.modules.items() if result.state.modules.get(p) != d}
    uncertain = list(observed.uncertain)
    if plan.steps[step].cache:
        uncertain = [reason for reason in uncertain if not reason.startswith(_WAIVED)]
    if step in plan.looks:
        uncertain.append("it asks whether files are there")
    if prediction.history:
        uncertain.append("it uses the history of cells")
    stored = [bundle for bundle in result.delta.bundles if bundle.stored]
    keys = [outputs]
    for bundle in stored:
        keys += [bundle.key, *bundle.buffers]
    keys += [*result.delta.ambient.values(), *result.delta.written.values()]
    if (noted := logged()) is not None:
        keys += noted.keys
        uncertain += [noted.doubt] if noted.doubt else []
    traces.write(
        Trace(
            code=plan.codes[step],
            label=result.label,
            notebook=plan.notebook,
            step=plan.steps[step].name,
            created=now(),
            run=run,
            seconds=result.seconds,
            reads=dict(result.reads),
            everything=result.everything,
            ambient={name: token for name, token in ambient.items() if name not in unread},
            unread=unread,
            files={path: traces.seen(path, digest) for path, digest in {**new, **files}.items()},
            listed={relative(path, folder): digest for path, digest in observed.listed.items()},
            environment=_environment(observed.environment, ambient),
            distributions=distributions_of(observed.imports),
            modules=dict(result.state.modules),
            count=plan.counts[step] if tells_numbers(packed) else None,
            surroundings=prediction.surroundings,
            within=list(result.state.surroundings),
            uncertain=uncertain,
            delta=result.delta,
            outputs=outputs,
            logged=noted.keys[0] if noted and noted.keys else "",
            blobs=sorted({key for key in keys if is_key(key)}),
            size=sum(bundle.size for bundle in stored),
        )
    )


def _environment(asked: dict[str, str], ambient: dict[str, str]) -> dict[str, str]:
    """Variables that a step asked for, but for those that an earlier step had set: these are part
    of the ambient state."""
    if "environment" not in ambient:
        return asked
    return {name: digest for name, digest in asked.items() if digest == variable(name)}


_WAIVED = ("network", "child process")
_KEY = 64
