"""Making an ordinary kernel what the kernel of a run was before a step: variables, ambient state,
working folder, files that earlier steps wrote.

They come from the traces of the run's earlier steps. What is in no cache (a generator, an open
file) is made by running those steps again.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cache import open_cache
from ..errors import InvalidInput, Unavailable
from ..models import StepInputs
from ..notebook import tags
from ..workspace import Workspace
from . import runner, secrets
from .past import Executed, Past
from .source import RAISES
from .state import put_back

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell
    from nbformat import NotebookNode

    from ..stepkernel.protocol import Finished

_EXTENSION = "mlops_jupyter"
_REPLAY = "MLOPS_REPLAY"


class Desk:
    """Makes one ordinary kernel what steps begin with, one after the other.

    Parameters
    ----------
    workspace, url, folder:
        Where the run, the cache and the notebook are.
    """

    current: Desk | None = None

    def __init__(
        self, shell: InteractiveShell, workspace: Workspace, url: str, folder: Path
    ) -> None:
        from ..stepkernel.agent import Agent

        os.chdir(folder)
        self.workspace = workspace
        self.place = url, folder
        self._shell = shell
        self._agent = Agent(shell, url, str(folder))
        self._held: dict[str, str] = {}

    def load(self, past: Past) -> StepInputs:
        """Make the kernel what the step began with."""
        from ..stepkernel.protocol import Finish

        self._note(self._agent.finish(Finish(None, "debug")))  # what was done here by hand
        executed, number = past.executed, past.number
        notes: list[str] = []
        try:
            again = past.again()
            for step in again:
                self._run(past, step, notes)
        finally:
            os.environ.pop(_REPLAY, None)
        names, without = past.names()
        self._prepare(past, number, names)
        self._note(self._agent.finish(Finish([], "debug")))
        if past.plan.predictions[number].history:
            notes.append(
                "The step looks back at earlier cells (In, Out, _): they are not restored."
            )
        return StepInputs(
            executed.run.id,
            executed.steps[number].name,
            [name for name in names if "#" not in name],
            [executed.steps[step].name for step in again],
            without,
            notes,
        )

    def _prepare(self, past: Past, step: int, names: list[str], **environment: str) -> None:
        from ..stepkernel.protocol import Prepare

        state, executed = past.states[step], past.executed
        put_back(past.blobs, executed.folder, state.files, state.files.keys())
        bundles = state.bundles(names)
        held = self._held
        stale = [name for name, token in held.items() if state.token(name) != token]
        earlier = [
            (past.plan.counts[before] + place, executed.content.cells[index].source)
            for before in range(step)
            for place, index in enumerate(executed.steps[before].cells)
        ]
        prepared = self._agent.prepare(
            Prepare(
                [b for b in bundles if any(held.get(name) != b.token for name in b.names)],
                [name for name in state.names if "#" in name],
                stale,
                dict(state.ambient),
                dict(state.live),
                list(state.imports),
                earlier,
                self._shell.execution_count,
                environment,
            )
        )
        if prepared.missing:
            raise Unavailable(
                f"What step {executed.steps[past.number].name} needs cannot be made again here.",
                hint="Restart the kernel and run this cell first.",
            )
        for name in stale:
            del held[name]
        held.update((name, bundle.token) for bundle in bundles for name in bundle.names)

    def _run(self, past: Past, step: int, notes: list[str]) -> None:
        """Run an earlier step again, quietly."""
        from IPython.utils.capture import capture_output

        from ..stepkernel.protocol import Finish

        reach, prediction, trace = past.reach(step), past.plan.predictions[step], past.traces[step]
        name = past.executed.steps[step].name
        self._prepare(past, step, list(reach), **{_REPLAY: "1"})
        with capture_output():
            for index in past.executed.steps[step].cells:
                self._cell(past.executed.content.cells[index], name)
        touched = [*reach, *prediction.binds, *prediction.mutates]
        finished = self._agent.finish(
            Finish(None if trace.everything else touched, trace.label, True)
        )
        self._note(finished)
        now = {b.names: b.token for b in finished.bundles if b.stored}
        then = {b.names: b.token for b in trace.delta.bundles if b.stored}
        other = sorted(
            {n for names in {*now, *then} if now.get(names) != then.get(names) for n in names}
        )
        if other:
            notes.append(f"Step {name} ran again and gave something else: {', '.join(other)}.")

    def _cell(self, cell: NotebookNode, step: str) -> None:
        code = self._shell.transform_cell(cell.source)
        if self._shell.should_run_async(cell.source, transformed_cell=code):
            raise Unavailable(
                f"Step {step} awaits, so it cannot run again inside of a cell.",
                hint="Copy its cells above this one.",
            )
        result = self._shell.run_cell(cell.source, store_history=False)
        error = result.error_before_exec or result.error_in_exec
        if error is not None and RAISES not in tags(cell):
            raise Unavailable(
                f"Step {step} ran again and failed: {type(error).__name__}: {error}.",
                hint="Run the notebook first.",
            )

    def _note(self, finished: Finished) -> None:
        for name in finished.deleted:
            self._held.pop(name, None)
        for bundle in finished.bundles:
            self._held.update(dict.fromkeys(bundle.names, bundle.token))


def inputs(workspace: Workspace, run: str, step: str, *, cache: str | None = None) -> StepInputs:
    """Make the kernel in which this runs what it was before a step of a run.

    The order in which sets iterate may be another than in the run.

    Raises
    ------
    InvalidInput
        Outside of a notebook; if the kernel has another notebook's inputs; if a secret is not in
        the environment.
    NotFound
        If there is no such run or step, or its inputs are not there any more.
    Unavailable
        If something cannot be loaded or made again here.
    """
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None:
        raise InvalidInput(
            "A step's inputs can only be loaded into a notebook.",
            hint="Write one with: mlops pipeline debug NOTEBOOK",
        )
    desk = Desk.current
    workspace = desk.workspace if desk else workspace
    executed = Executed.of(workspace, runner.find(workspace, run))
    blobs = open_cache(workspace, cache)
    os.environ.update(secrets.environment(executed.secrets))
    past = Past(workspace, blobs, executed, executed.number(step))
    if desk is not None and desk.place != (blobs.url, executed.folder):
        raise InvalidInput("This kernel has another notebook's inputs.", hint="Restart it.")
    # The run's kernel had none of our hooks, unless a cell loaded them.
    extensions: Any = shell.extension_manager
    extensions.unload_extension(_EXTENSION)
    try:
        if desk is None:
            desk = Desk.current = Desk(shell, workspace, blobs.url, executed.folder)
        return desk.load(past)
    finally:
        if _EXTENSION not in extensions.loaded:
            extensions.load_extension(_EXTENSION)
