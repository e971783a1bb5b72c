"""Which step runs when: in notebook order, ahead of it where nothing speaks against it, or not at
all where a trace holds.

Results are committed in notebook order. A step that ran ahead of an earlier one was given what the
finished steps had made; when the earlier one's trace shows that it changed something the later one
may have read (a *hazard*, as in Spall, Mitchell and Tobin-Hochstadt, "Build scripts with perfect
dependencies", 2020), the later one's result is thrown away and it runs again.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ..blobs import Blobs, hash_of
from ..errors import NotFound, Unavailable
from ..heap import EVERYTHING
from .hazards import hazard, waits
from .plan import Plan, Result
from .state import Delta, State, put_back
from .traces import Traces, ambient_of
from .work import Home, Outcome, Part, StepJob, delta_of

_AHEAD = 64
Submit = Callable[[StepJob], "Future[Outcome]"]


class Watcher(Protocol):
    """Who is told how the steps go."""

    def started(self, step: int, why: str) -> None:
        """A step begins to run."""

    def committed(self, step: int, result: Result) -> None:
        """A step's result is final."""

    def repaired(self, step: int, why: str) -> None:
        """A step's result was thrown away; it will run again."""


@dataclass
class _Running:
    part: Part
    why: str
    without: frozenset[int]
    attempts: int
    reads: frozenset[str] | None
    dropped: bool = False
    future: Future[Outcome] | None = None


class Scheduler:
    """Runs the steps of one notebook.

    Parameters
    ----------
    plan:
        The steps.
    home:
        Where they work.
    traces:
        Where traces are found; ``None``: nothing is taken from a cache.
    submit:
        Has a job run and gives its future.
    workers:
        How many may run at the same time.
    watcher:
        Is told.
    resumed:
        A run whose uncertain results count too.
    alone:
        Whether all steps must run in one kernel.
    """

    def __init__(
        self,
        plan: Plan,
        home: Home,
        blobs: Blobs | None,
        traces: Traces | None,
        submit: Submit,
        workers: int,
        watcher: Watcher,
        resumed: str | None = None,
        *,
        alone: bool = False,
    ) -> None:
        self._plan = plan
        self._home = home
        self._blobs = blobs
        self._traces = traces
        self._submit = submit
        self._workers = workers if home.cache is not None else 1
        self._watcher = watcher
        self._resumed = resumed
        self._states = [State()]  # before each committed step, and after the last
        self._labels: list[str] = []
        self._results: dict[int, Result] = {}  # finished, not committed
        self._running: dict[int, _Running] = {}
        self._forced: set[int] = set()
        self._wide: set[int] = set()  # steps that bind more names than was predicted
        self._rewound = 0
        self._taken: set[int] = set()  # committed steps that come from the cache
        self._fresh = False
        self._alone = alone
        self._attempts: dict[int, int] = {}
        self._missed: dict[int, str] = {}
        self._keeps: dict[int, str] = {}  # committed steps that must run in each kernel
        self._deltas: list[Delta] = []
        self._due: set[str] = set()  # files of cached steps that may have another content
        self._found: dict[str, str] = {}  # what was there instead of files that were put back
        self._queue: queue.SimpleQueue[tuple[int, Future[Outcome]]] = queue.SimpleQueue()

    @property
    def state(self) -> State:
        """What is there after the committed steps."""
        return self._states[-1]

    def run(self) -> Result | None:
        """Run all steps; the result of the one that failed, or ``None``.

        Raises
        ------
        MLOpsError
            If a kernel cannot be started or the cache is not usable.
        """
        steps = len(self._plan.steps)
        while len(self._labels) < steps or not self._put_back(self.state):
            if (failed := self._commit()) is not None:
                self._put_back(self.state)
                return failed
            if len(self._labels) < steps:
                self._dispatch()
            if self._running and len(self._labels) not in self._results:
                self._await()
        return None

    # --- committing ---------------------------------------------------------------------------

    def _commit(self) -> Result | None:
        """Make results final in notebook order; the failed one if that is reached."""
        while (step := len(self._labels)) in self._results:
            result = self._results.pop(step)
            if step in self._wide and self._torn(result):
                self._rewind(Outcome(lost="it is not known which values share an object"))
                continue
            if (reason := self._hazard(step, result)) is not None:
                self._again(step, f"ran again: {reason}")
                continue
            self._settle(step, result)
            if result.status == "failed" or result.ends:
                return result
        return None

    def _settle(self, step: int, result: Result) -> None:
        before = self._states[-1]
        result.state = before
        if self._plan.predictions[step].surroundings and result.status != "failed":
            self._keeps[step] = result.label
        self._states.append(self._after(step, before, result))
        self._labels.append(result.label)
        self._deltas.append(result.delta)
        if result.status == "cached":
            self._taken.add(step)
        elif not result.ends:
            self._due -= set(result.delta.written)
        self._watcher.committed(step, result)

    def _hazard(self, step: int, result: Result) -> str | None:
        if self._torn(result):
            self._wide.add(step)
            return "it bound a name that shares its value with another"
        if not result.without:
            return None
        return hazard(
            self._plan, self._home.folder, step, result, self._deltas, frozenset(self._keeps)
        )

    def _torn(self, result: Result) -> bool:
        """Whether it is not known what else changed; in one kernel nobody needs to know."""
        return not self._in_one and self._states[-1].torn(result.delta)

    @property
    def _in_one(self) -> bool:
        """Whether all steps run in one kernel, from the first."""
        return self._alone or (self._rewound > 0 and self._traces is None)

    def _again(self, step: int, why: str) -> None:
        """Throw away a step's result and those that built on it."""
        self._missed[step] = why
        self._forced.add(step)
        self._watcher.repaired(step, why)
        for later, running in self._running.items():
            if later > step and step not in running.without:
                running.dropped = True
        for later, result in list(self._results.items()):
            if later > step and step not in result.without:
                del self._results[later]
                self._watcher.repaired(later, why)

    # --- dispatching --------------------------------------------------------------------------

    def _dispatch(self) -> None:
        """Start what may start, or take it from the cache."""
        first = len(self._labels)
        state, without = self._states[-1], set[int]()
        for step in range(first, min(first + _AHEAD, len(self._plan.steps))):
            if step in self._results:
                result = self._results[step]
                if result.error is not None:
                    return
                state = self._after(step, state, result)
                continue
            if step in self._running:
                without.add(step)
                continue
            if without and (self._workers == 1 or waits(self._plan, step, state, without)):
                without.add(step)
                if self._workers == 1:
                    return
                continue
            if self._lookup(step, state, frozenset(without)):
                result = self._results[step]
                state = self._after(step, state, result)
                if not without:
                    if self._commit() is not None:  # a cached step never fails
                        return
                    state = self._states[-1]
                continue
            if len(self._running) >= self._workers or self._goes_back(step, state):
                return
            if not self._put_back(state):
                return
            self._start(step, state, frozenset(without))
            without.add(step)

    def _after(self, step: int, state: State, result: Result) -> State:
        keeps = bool(self._plan.predictions[step].surroundings)
        return state.after(step, result.delta, result.label, keeps=keeps)

    def _reads(self, step: int, state: State) -> frozenset[str] | None:
        return None if step in self._wide else self._plan.reads(step, state, self._keeps)

    def _lookup(self, step: int, state: State, without: frozenset[int]) -> bool:
        """Take a step from the cache if a trace holds."""
        if self._traces is None or step in self._forced:
            return False
        plan = self._plan
        trace, why = self._traces.find(plan.codes[step], state, plan.counts[step], self._resumed)
        outputs = b""
        if trace is not None and self._blobs is not None:
            try:
                outputs = self._blobs.get(trace.outputs)
            except NotFound:
                trace, why = None, "its results are damaged"
        if trace is None:
            self._missed.setdefault(
                step,
                why
                or self._traces.why_unknown(plan.codes[step], plan.notebook, plan.steps[step].name),
            )
            return False
        self._results[step] = Result(
            "cached",
            trace.label,
            "",
            trace.delta,
            state,
            without,
            trace.reads,
            trace.everything,
            trace=trace,
            outputs=outputs,
        )
        self._due.update(trace.delta.written)
        return True

    def _part(self, step: int, state: State, keeps: Mapping[int, str]) -> Part:
        plan = self._plan
        reads = self._reads(step, state)
        reach = state.reach(reads)
        label = label_of(plan.codes[step], reach, state, plan.counts[step])
        return Part(
            step,
            plan.steps[step].name,
            plan.cells[step],
            plan.counts[step],
            state,
            None if reads is None else sorted(reach),
            sorted(plan.predictions[step].binds | plan.predictions[step].mutates),
            label,
            tuple(label for index, label in sorted(keeps.items()) if index < step),
            bool(plan.predictions[step].surroundings),
            step in plan.looks,
            label,
        )

    def _start(self, step: int, state: State, without: frozenset[int]) -> None:
        before = self._before(step, state)
        part = self._part(step, state, self._keeps)
        why = self._missed.get(step) or ""
        attempts = self._attempts[step] = self._attempts.get(step, 0) + 1
        reads = self._reads(step, state)
        running = self._running[step] = _Running(part, why, without, attempts, reads)
        self._watcher.started(step, why)
        job = StepJob(
            self._home,
            part,
            before,
            self._sources(step),
            self._plan.predictions[step].history,
            self._fresh,
            self._in_one,
            self._plan.steps[step].timeout,
        )
        self._fresh = False
        running.future = self._submit(job)
        running.future.add_done_callback(lambda done: self._queue.put((step, done)))

    def _sources(self, step: int) -> list[tuple[int, str]]:
        """Execution counts and sources of the earlier cells."""
        plan = self._plan
        return [
            (plan.counts[earlier] + number, cell.source)
            for earlier in range(step)
            for number, (_, cell) in enumerate(plan.cells[earlier])
        ]

    def _before(self, step: int, state: State) -> list[Part]:
        """The finished steps that a fresh kernel must run first, with what those need."""
        if self._plan.predictions[step].history:
            needed = set(range(len(self._labels)))
        else:
            reach = state.reach(self._reads(step, state))
            needed = {*self._keeps, *self._makers(state, reach)}
        pending, found = list(needed), set[int]()
        while pending:
            earlier = pending.pop()
            if earlier in found:
                continue
            found.add(earlier)
            then, _, _ = self._done(earlier)
            pending += self._makers(then, then.reach(self._reads(earlier, then)))
        parts = []
        keeps: dict[int, str] = {}
        for earlier in sorted(found):
            then, label, delta = self._done(earlier)
            part = self._part(earlier, then, keeps)
            if earlier in self._keeps:
                keeps[earlier] = label
            parts.append(replace(part, label=label, expected=delta))
        return parts

    def _done(self, step: int) -> tuple[State, str, Delta]:
        """What was before a finished step, its label and what it changed."""
        if step < len(self._labels):
            return self._states[step], self._labels[step], self._deltas[step]
        result = self._results[step]
        return result.state, result.label, result.delta

    def _makers(self, state: State, reach: Mapping[str, str]) -> set[int]:
        """The steps that made the live things which a step needs."""
        tokens = [*reach.values(), *state.live.values()]
        return {maker for token in tokens for maker in state.makers.get(token, ())}

    @property
    def busy(self) -> bool:
        """Whether a step runs."""
        return bool(self._running)

    def drain(self) -> None:
        """Wait until nothing runs any more; what still comes does not count. A step that was
        interrupted before it was submitted does not run."""
        wait([running.future for running in self._running.values() if running.future])
        self._running.clear()

    def _put_back(self, state: State) -> bool:
        """Give files that cached steps wrote the content they have in ``state``; ``False``: one is
        damaged, and nothing that was committed stands.

        Raises
        ------
        Unavailable
            If one cannot be written.
        """
        try:
            if self._blobs is not None:
                folder = Path(self._home.folder)
                found = put_back(self._blobs, folder, state.files, self._due)
                self._found.update((path, found[path]) for path in found.keys() - self._found)
        except NotFound as error:
            self._rewind(Outcome(lost=error.message))
            return False
        finally:
            self._due.clear()
        return True

    # --- results ------------------------------------------------------------------------------

    def _await(self) -> None:
        """Wait until a step ended."""
        step, future = self._queue.get()
        running = self._running.pop(step)
        outcome = future.result()
        if running.dropped:
            return
        if outcome.differs is not None or outcome.lost:
            self._rewind(outcome)
            return
        tries = self._plan.steps[step].retries + 1
        if outcome.error and running.attempts < tries:
            self._missed[step] = f"attempt {running.attempts} failed"
            self._forced.add(step)
            return
        delta, state = Delta(), running.part.state
        base = state.reach(running.reads)
        if outcome.finished is not None:
            imports = self._plan.predictions[step].imports
            delta = delta_of(outcome.finished, Path(self._home.folder), imports)
            bound = frozenset(outcome.finished.bound)
            base = state.reach(self._really(step, running, bound))
            # where it does not show that a name was bound anew, what it was before counts as read
            certain = self._plan.predictions[step].binds - bound
            base.update((name, state.token(name)) for name in certain - delta.names)
        result = Result(
            "ran",
            outcome.finished.label if outcome.finished else running.part.label,
            running.why,
            delta,
            running.part.state,
            running.without,
            base,
            running.part.reach is None or EVERYTHING in base,
            outcome=outcome,
            attempts=running.attempts,
            seconds=outcome.seconds,
        )
        if result.error is not None and not result.ends:
            result.status = "failed"
        self._results[step] = result

    def _really(self, step: int, running: _Running, bound: frozenset[str]) -> frozenset[str] | None:
        """The names of which a step that ran may have seen the value before it: not those that it
        might have left as they were, but has bound anew."""
        prediction, names = self._plan.predictions[step], running.part.state.names
        anew = (prediction.perhaps & bound) - prediction.reads
        alone = {name for name in anew if name not in names or len(names[name].names) == 1}
        return None if running.reads is None else running.reads - alone

    def _rewind(self, outcome: Outcome) -> None:
        """What was committed cannot be had again: from some step on nothing stands. At the second
        time the notebook runs from its start, in one kernel, without the cache."""
        why = "an earlier step did something else when it ran again"
        step = outcome.differs or 0
        if outcome.lost or self._rewound:
            step, self._traces, why = 0, None, outcome.lost or why
        if self._rewound > 1:
            raise Unavailable(
                f"The notebook cannot be brought back to where it was: {why}.",
                hint="Take the retries away, or run it again.",
            )
        self._rewound += 1
        self._workers, self._fresh = 1, True
        self._back_to(step, why)

    def _goes_back(self, step: int, state: State) -> bool:
        """Whether a step, or probably one after it, needs what an earlier one leaves in its kernel
        that came from the cache and wrote files. That one cannot run again only for what it leaves,
        with its files there already: the notebook runs from it on."""
        wrote = {index for index in self._taken if self._deltas[index].written}
        made = {token for token, makers in state.makers.items() if not wrote.isdisjoint(makers)}
        here = {bundle.token for bundle in state.names.values()} | set(state.live.values())
        if not wrote & self._keeps.keys() and made.isdisjoint(here):
            return False
        needed = wrote & {part.index for part in self._before(step, state)}
        bound: set[str] = set()
        for later in range(step, len(self._plan.steps)):
            prediction, reads = self._plan.predictions[later], self._reads(later, state)
            names = None if reads is None else reads - bound
            needed |= wrote & self._makers(state, state.reach(names))
            bound |= prediction.binds - prediction.perhaps
        if needed:
            self._back_to(min(needed), "a later step needs what it left in the kernel")
        return bool(needed)

    def _back_to(self, step: int, why: str) -> None:
        """Run from a committed step on again; the step itself is not taken from the cache."""
        for running in self._running.values():
            running.dropped = True
        self._results.clear()
        del self._states[step + 1 :], self._labels[step:], self._deltas[step:]
        self._keeps = {index: label for index, label in self._keeps.items() if index < step}
        self._taken = {index for index in self._taken if index < step}
        self._due = {path for index in self._taken for path in self._deltas[index].written}
        self._restore(self._states[step].files)
        self._forced.add(step)
        self._missed[step] = why
        for later in range(step, len(self._plan.steps)):
            self._watcher.repaired(later, why)

    def _restore(self, files: Mapping[str, str]) -> None:
        """Take files back that were put in their place, but for those that are to be there."""
        if self._blobs is not None and self._found:
            gone = {path: what for path, what in self._found.items() if path not in files}
            put_back(self._blobs, Path(self._home.folder), gone, gone)
            self._found = {path: self._found[path] for path in self._found.keys() - gone}


def label_of(code: str, reach: Mapping[str, str], state: State, count: int) -> str:
    """A name for a step's execution on these inputs."""
    around = [sorted(ambient_of(state).items()), state.surroundings]
    facts = [code, sorted(reach.items()), around, count]
    return hash_of(repr(facts).encode())[:40]
