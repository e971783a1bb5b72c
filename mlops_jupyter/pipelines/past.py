"""What a run did: the notebook as it was executed, and what each of its steps began with."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import notebook as notebooks
from ..blobs import Blobs
from ..errors import MLOpsError, NotFound
from ..models import PipelineRun, Step
from ..notebook import tags
from ..workspace import Workspace
from . import parameters as contract
from . import runner
from . import secrets as secret_parameters
from .plan import Plan, plan_of
from .secrets import Secret
from .state import State
from .steps import INJECTED, cut
from .traces import Trace, Traces, decode

if TYPE_CHECKING:
    from nbformat import NotebookNode

_ERROR_MARK = "papermill-error-cell-tag"
_SECRET = re.compile(r'^(\w+) = .*__import__\("os"\)\.environ\["(\w+)"\]', re.MULTILINE)


@dataclass(frozen=True)
class Executed:
    """A notebook as a run executed it.

    Attributes
    ----------
    folder:
        Where its kernels worked.
    parameters:
        What was injected, by name.
    """

    run: PipelineRun
    content: NotebookNode
    folder: Path
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, workspace: Workspace, run: PipelineRun) -> Executed:
        """The notebook that ``run`` executed.

        Raises
        ------
        NotFound
            If it is not there any more.
        """
        place = workspace.resolve(run.notebook, "notebook")
        content = _content(workspace, run)
        if content is None:
            raise NotFound(
                f"What run {run.id} of {run.notebook} executed is not there any more.",
                hint=f"Run the notebook first: mlops run {run.notebook}",
            )
        content.cells = [cell for cell in content.cells if _ERROR_MARK not in tags(cell)]
        given = content.metadata.get("papermill", {}).get("parameters", {})
        given = {name: v for name, v in given.items() if name not in contract.BUILT_IN}
        return cls(run, content, place.parent, contract.check(contract.declared(content), given))

    @cached_property
    def steps(self) -> list[Step]:
        """The steps as they were cut."""
        return cut(self.content)

    @cached_property
    def secrets(self) -> list[Secret]:
        """The parameters whose values the environment held, and holds now.

        Raises
        ------
        InvalidInput
            If one is not in the environment.
        """
        cells = (cell.source for cell in self.content.cells if INJECTED in tags(cell))
        given = {name: variable for cell in cells for name, variable in _SECRET.findall(cell)}
        return secret_parameters.check(contract.declared(self.content), given, os.environ)

    @cached_property
    def plan(self) -> Plan:
        """What there was to schedule.

        Raises
        ------
        InvalidInput
            If a secret is not in the environment.
        """
        from .. import _kernels

        given = {name: repr(value) for name, value in self.parameters.items()}
        for secret in self.secrets:
            given[secret.name] = secret_parameters.keyed_hash(os.environ[secret.variable])
        kernel = _kernels.kernel_name(self.content)
        return plan_of(self.run.notebook, self.content, self.steps, kernel, given)

    def number(self, step: str) -> int:
        """The place of a step.

        Raises
        ------
        NotFound
            If there is no such step.
        """
        names = [item.name for item in self.steps]
        if step not in names:
            raise NotFound(
                f"{self.run.notebook} has no step {step!r} in run {self.run.id}.",
                hint=f"Its steps: {', '.join(names)}.",
            )
        return names.index(step)


def _content(workspace: Workspace, run: PipelineRun) -> NotebookNode | None:
    """The executed notebook: the file if only this run can have written it, else the record's."""
    import nbformat

    file = workspace.root / run.output
    if run.output == runner.output_name(Path(run.notebook), run.id) and file.is_file():
        return notebooks.read(file)
    if run.run_id is None:
        return None
    from .._mlflow import Tracking

    text = Tracking(workspace).text(run.run_id, Path(run.notebook).name)
    return nbformat.reads(text, as_version=4) if text is not None else None


def joined(workspace: Workspace, blobs: Blobs, run: PipelineRun) -> str:
    """The id by which the traces of ``run`` and of those that it continued are known; they are
    given to it where they are not yet."""
    first, earlier = run.id, run
    while earlier.resumed is not None:
        first = earlier.resumed
        try:
            earlier = runner.find(workspace, first)
        except NotFound:
            break
    if first != run.id:
        with contextlib.suppress(MLOpsError, OSError):  # then these steps run again
            _give(blobs, Executed.of(workspace, run), first)
    return first


def _give(blobs: Blobs, executed: Executed, first: str) -> None:
    sealed = "://" not in blobs.url
    traces = Traces(blobs, executed.folder, sealed=sealed)
    for key in executed.plan.codes:
        for note in blobs.notes(f"traces/{key}/").values():
            trace = decode(note, sealed=sealed)
            if trace is not None and trace.uncertain and trace.run == executed.run.id:
                traces.write(replace(trace, run=first))


class Past:
    """What happened before a step of a run.

    Raises
    ------
    NotFound
        If it is not in the cache any more.
    """

    def __init__(self, workspace: Workspace, blobs: Blobs, executed: Executed, number: int) -> None:
        self.executed, self.number, self.blobs = executed, number, blobs
        self.plan = plan = executed.plan
        self.states, self.traces = [State()], list[Trace]()
        self._keeps: list[int] = []
        traces = Traces(blobs, executed.folder, sealed="://" not in blobs.url)
        known_as = joined(workspace, blobs, executed.run)
        for earlier in range(number):
            state, count = self.states[-1], plan.counts[earlier]
            trace, why = traces.find(plan.codes[earlier], state, count, known_as)
            if trace is None:
                raise NotFound(
                    f"What step {executed.steps[number].name} began with is not there any more: "
                    f"step {executed.steps[earlier].name}: {why or 'its result is not kept'}.",
                    hint=f"Run the notebook first: mlops run {executed.run.notebook}",
                )
            keeps = bool(trace.surroundings)
            self._keeps += [earlier] * keeps
            self.states.append(state.after(earlier, trace.delta, trace.label, keeps=keeps))
            self.traces.append(trace)

    def reach(self, step: int) -> dict[str, str]:
        """What a step may reach."""
        state = self.states[step]
        if step == self.number:
            return state.reach(self.plan.reads(step, state, self._keeps))
        trace = self.traces[step]
        return state.reach(None if trace.everything else trace.reads)

    def again(self) -> list[int]:
        """The steps that have to run in the kernel, in order."""
        pending, found = [*self._keeps, *self._makers(self.number)], set[int]()
        while pending:
            earlier = pending.pop()
            if earlier not in found:
                found.add(earlier)
                pending += self._makers(earlier)
        return sorted(found)

    def _makers(self, step: int) -> list[int]:
        state = self.states[step]
        tokens = [*self.reach(step).values(), *state.live.values()]
        return [maker for token in tokens for maker in state.makers.get(token, ())]

    def names(self) -> tuple[list[str], dict[str, str]]:
        """All names that can be had, with the lineages they need; and why others cannot: they are
        live, and the step does not need them."""
        state, reach = self.states[self.number], self.reach(self.number)
        names, without = {name for name in reach if name in state.names}, dict[str, str]()
        for name in state.names:
            if name in names:
                continue
            needs = state.reach([name])
            live = [b for b in state.bundles(needs) if not b.stored and b.names[0] not in reach]
            if not live:
                names.update(need for need in needs if need in state.names)
            elif "#" not in name:
                without[name] = live[0].why
        return sorted(names), without
