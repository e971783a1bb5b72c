"""Running one step in a kernel: what a worker does, wherever it is.

A :class:`StepJob` says everything that is needed; :func:`run_step` takes a kernel that fits from
this process's pool, makes it what the step expects, runs the cells and says what changed.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Unavailable
from ..models import from_dict
from ..stepkernel.protocol import Finish, Finished, Prepare, Prepared
from .state import LIVE, Delta, State

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from .._kernels import Displayed, Kernel, OnOutput


DIED = "DeadKernelError"
_STARTS = 3
_SIDE_FILES = ("-journal", "-wal", "-shm")  # SQLite's, which go with the connection that made them


@dataclass(frozen=True)
class Home:
    """Where the steps of one run work: same for all its jobs.

    ``cache`` is the blob store's URL, ``None`` where kernels cannot be asked; ``options`` are
    nbclient's.
    """

    run: str
    kernel: str
    folder: str
    cache: str | None
    environment: dict[str, str]
    start_timeout: float = 60
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """A step as a kernel runs it.

    Attributes
    ----------
    index, name:
        Of the step.
    cells:
        Index in the notebook and cell.
    count:
        Execution count of the first cell.
    state:
        What was before it.
    reach:
        Names it may reach; ``None``: all.
    binds:
        Names it may bind.
    label:
        Names this execution in tokens of live things.
    surroundings:
        Labels of the earlier steps that must have run in the same kernel, in order.
    seed:
        Names it in the ids of widgets; the same whenever it runs on these inputs.
    expected:
        For a step that ran before and runs again only for what it leaves in the kernel: what it
        changed then.
    """

    index: int
    name: str
    cells: list[tuple[int, NotebookNode]]
    count: int
    state: State
    reach: list[str] | None
    binds: list[str]
    label: str
    surroundings: tuple[str, ...] = ()
    keeps: bool = False
    unique: bool = False
    seed: str = ""
    expected: Delta | None = None


@dataclass(frozen=True)
class StepJob:
    """One step to run, and the earlier ones (``before``, in order) that a kernel which does not
    hold what they leave behind has to run first.

    ``cells`` are execution count and source of all earlier cells. ``whole``: all of them must have
    run in the kernel. ``fresh``: no kernel that was used before will do. ``alone``: all steps
    run in one kernel.
    """

    home: Home
    part: Part
    before: list[Part] = field(default_factory=list)
    cells: list[tuple[int, str]] = field(default_factory=list)
    whole: bool = False
    fresh: bool = False
    alone: bool = False
    timeout: float | None = None


@dataclass
class Outcome:
    """How a step went.

    Attributes
    ----------
    finished:
        What it changed; ``None`` if the kernel cannot say or died.
    cells, times:
        The step's cells with their outputs, and when those that ran began and ended.
    error:
        Cell index, exception name and message, if a cell raised or the kernel died in it.
    differs:
        Index of an earlier step that, run again, did not do what it had done.
    lost:
        Why a stored value cannot be had.
    """

    finished: Finished | None = None
    displayed: Displayed | None = None
    cells: list[tuple[int, NotebookNode]] = field(default_factory=list)
    times: list[tuple[datetime, datetime]] = field(default_factory=list)
    error: tuple[int, str, str] | None = None
    differs: int | None = None
    lost: str = ""
    seconds: float = 0.0


class Held:
    """A kernel of the pool and what is known of it: the versions of names, and the tokens of
    ambient state that only it has."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.names: dict[str, str] = {}
        self.live: dict[str, str] = {}
        self.ran: list[str] = []
        self.surroundings: list[str] = []
        self.known: set[int] = set()
        self.imports: set[str] = set()
        self.busy = True

    def fits(self, job: StepJob) -> bool:
        """Whether the step can run here without running others before."""
        if job.alone or not self.kernel.steps:
            return True
        if job.whole:
            return self.ran == [part.label for part in job.before]
        return tuple(self.surroundings) == job.part.surroundings and _live(
            job.part.state, job.part.reach
        ) <= {*self.names.values(), *self.live.values()}

    def worth(self, job: StepJob) -> int:
        """Bytes of what the step needs that are here already, and a bit for each name."""
        state = job.part.state
        names = state.names if job.part.reach is None else job.part.reach
        found = (state.names[name] for name in names if name in state.names)
        return sum(b.size + 1 for b in found if self.names.get(b.names[0]) == b.token)


def _live(state: State, reach: list[str] | None) -> set[str]:
    """Tokens of live things that a step needs."""
    names = state.names if reach is None else reach
    found = (state.names[name] for name in names if name in state.names)
    return {bundle.token for bundle in found if not bundle.stored} | set(state.live.values())


class Pool:
    """The kernels of one run in this process.

    Parameters
    ----------
    home:
        What they are.
    size:
        How many are kept.
    """

    def __init__(self, home: Home, size: int) -> None:
        self._home = home
        self._size = size
        self._kernels: list[Held] = []
        self._dead: list[Held] = []
        self._lock = threading.RLock()
        self._freed = threading.Condition(self._lock)
        self._closed = False

    @contextlib.contextmanager
    def kernel(self, job: StepJob) -> Iterator[Held]:
        """A kernel that fits, or a fresh one, for the time of this context. What raises in it
        ends the kernel."""
        held = self._take(job)
        try:
            yield held
        except BaseException:
            self._end(held)
            raise
        with self._freed:
            held.busy = False
            self._freed.notify_all()

    def _take(self, job: StepJob) -> Held:
        with self._freed:
            while self._worth_waiting(job):
                self._freed.wait()
            idle = [held for held in self._kernels if not held.busy]
            fitting = [held for held in idle if held.fits(job)]
            if fitting and not job.fresh:
                best = max(fitting, key=lambda held: held.worth(job))
                best.busy = True
                return best
            keep = 0 if job.fresh else self._size - 1
            spare = idle[: max(0, len(self._kernels) - keep)]
            self._kernels = [held for held in self._kernels if held not in spare]
        for held in spare:
            held.kernel.close()
        return self.start()

    def _worth_waiting(self, job: StepJob) -> bool:
        """Whether only a kernel that works has what cannot be stored: making it again elsewhere
        would do twice what its steps did to files."""
        if job.fresh or not job.before or self._closed:
            return False
        fitting = [held for held in self._kernels if held.fits(job)]
        return bool(fitting) and all(held.busy for held in fitting)

    def start(self) -> Held:
        """A fresh kernel, busy."""
        held = Held(self._kernel())
        with self._lock:
            self._kernels.append(held)
            closed = self._closed
        if closed:
            self._end(held)
        return held

    def _kernel(self) -> Kernel:
        """A kernel process; a port that another one took in the same moment costs a second try."""
        from .._kernels import Kernel

        home = self._home
        for tries in range(_STARTS, 0, -1):
            try:
                return Kernel(
                    home.kernel,
                    Path(home.folder),
                    home.environment,
                    home.cache,
                    start_timeout=home.start_timeout,
                    options=home.options,
                )
            except Unavailable:
                if tries == 1 or self._closed:
                    raise
        raise AssertionError("unreachable")

    def discard(self, held: Held) -> None:
        """End a kernel whose content is not to be trusted, as the notebook's end would."""
        with self._lock:
            if held in self._kernels:
                self._kernels.remove(held)
            self._freed.notify_all()
        held.kernel.close()

    def _end(self, held: Held) -> None:
        with self._lock:
            if held in self._kernels:
                self._kernels.remove(held)
                self._dead.append(held)
            self._freed.notify_all()
        held.kernel.kill()

    def kill(self) -> None:
        """End all kernels at once, also those that work; from any thread."""
        with self._lock:
            self._closed = True
            kernels = list(self._kernels)
            self._freed.notify_all()
        for held in kernels:
            held.kernel.kill()

    def close(self) -> None:
        """End all kernels gently; none is busy."""
        with self._lock:
            self._closed = True
            kernels, self._kernels, self._dead = [*self._kernels, *self._dead], [], []
        for held in kernels:
            held.kernel.close()


def run_step(pool: Pool, job: StepJob, on_output: OnOutput | None = None) -> Outcome:
    """Run a step in a kernel of ``pool``.

    Raises
    ------
    Unavailable
        If no kernel can be started, or a stored value cannot be loaded.
    """
    from .._kernels import CellFailed, KernelDied

    outcome = Outcome(cells=job.part.cells)
    began = time.perf_counter()
    try:
        with pool.kernel(job) as held:
            if not held.fits(job):
                for part in job.before:
                    if not _again(held, part, job):
                        return Outcome(differs=part.index)
            began = time.perf_counter()
            try:
                outcome.finished = _run(held, job, outcome.times, on_output)
            except CellFailed as error:
                outcome.error = error.index, error.name, error.message
                pool.discard(held)
            outcome.displayed = held.kernel.displayed()
    except KernelDied:
        index = job.part.cells[max(len(outcome.times) - 1, 0)][0]
        outcome.error = index, DIED, "the kernel died"
    except Lost as error:
        return Outcome(lost=str(error))
    outcome.seconds = time.perf_counter() - began
    return outcome


class Lost(Exception):  # an event, told to the scheduler
    """What a step needs cannot be had in the kernel."""


def _again(held: Held, part: Part, job: StepJob) -> bool:
    """Run an earlier step for what it leaves in the kernel; whether it did what it had done."""
    from .._kernels import CellFailed

    copies = [(index, deepcopy(cell)) for index, cell in part.cells]
    try:
        finished = _run(held, StepJob(job.home, replace(part, cells=copies), cells=job.cells), [])
    except CellFailed:
        return False
    held.kernel.displayed()
    return finished is None or part.expected is None or _did(part.expected, finished)


def _did(expected: Delta, finished: Finished) -> bool:
    """Whether a step did again what it had done, as far as that can be told."""
    now = {bundle.names: bundle.token for bundle in finished.bundles if bundle.stored}
    then = {bundle.names: bundle.token for bundle in expected.bundles if bundle.stored}
    return (
        all(now.get(names) == token for names, token in then.items())
        and set(now) == set(then)
        and dict(expected.ambient) == finished.ambient
        and set(expected.live) == set(finished.live)
    )


def _run(
    held: Held,
    job: StepJob,
    times: list[tuple[datetime, datetime]],
    on_output: OnOutput | None = None,
) -> Finished | None:
    """Prepare the kernel, run the cells, and ask what they changed."""
    from .._kernels import CellTimedOut

    part, cells = job.part, job.cells
    kernel, state = held.kernel, part.state
    asked = kernel.steps and not job.alone
    if asked:
        environment = {"MLOPS_REPLAY": "1"} if part.expected is not None else {}
        names = list(state.names) if part.reach is None else part.reach
        stale = [name for name, token in held.names.items() if state.token(name) != token]
        earlier = [c for c in cells if c[0] < part.count and c[0] not in held.known]
        imports = [name for name in state.imports if name not in held.imports]
        bundles = state.bundles(names)
        request = Prepare(
            [b for b in bundles if any(held.names.get(n) != b.token for n in b.names)],
            [name for name in state.names if "#" in name],
            stale,
            dict(state.ambient),
            dict(state.live),
            imports,
            earlier,
            part.count,
            environment,
            part.seed,
        )
        try:
            prepared = from_dict(Prepared, kernel.ask({"request": "Prepare", **asdict(request)}))
        except Unavailable as error:
            raise Lost(str(error)) from error
        if prepared.missing:
            raise Lost(f"{prepared.missing[0]} is not in the kernel")
        held.known.update(count for count, _ in earlier)
        held.imports.update(imports)
        for name in stale:
            del held.names[name]
        held.names.update((name, b.token) for b in bundles for name in b.names)
        held.live = {name: t for name, t in held.live.items() if state.live.get(name) == t}
    deadline = None if job.timeout is None else time.monotonic() + job.timeout
    for index, cell in part.cells:
        left = None if deadline is None else max(deadline - time.monotonic(), 0.001)
        began = datetime.now(timezone.utc)
        times.append((began, began))
        try:
            kernel.run(cell, index, left, on_output)
        except CellTimedOut as error:
            if left is not None:
                error.message = f"the step took longer than {job.timeout:g} s"
            raise
        finally:
            times[-1] = began, datetime.now(timezone.utc)
    if not asked:
        return None
    touched = None if part.reach is None else [*part.reach, *part.binds]
    end = Finish(touched, part.label, part.expected is not None, part.unique)
    try:
        finished = from_dict(Finished, kernel.ask({"request": "Finish", **asdict(end)}))
    except Unavailable as error:
        raise Lost(str(error)) from error
    _note(held, part, finished)
    return finished


def _note(held: Held, part: Part, finished: Finished) -> None:
    """Remember what the kernel holds now."""
    for name in finished.deleted:
        held.names.pop(name, None)
    for bundle in finished.bundles:
        held.names.update(dict.fromkeys(bundle.names, bundle.token))
    for name in finished.ambient:
        held.live.pop(name, None)
    held.live.update((name, f"{LIVE}{finished.label}:{name}") for name in finished.live)
    held.ran.append(finished.label)
    held.known.update(range(part.count, part.count + len(part.cells)))
    if part.keeps:
        held.surroundings.append(finished.label)


def delta_of(finished: Finished, folder: Path, imports: tuple[str, ...]) -> Delta:
    """What a step changed, with files relative to the notebook's ``folder``."""
    return Delta(
        tuple(finished.bundles),
        tuple(finished.deleted),
        finished.ambient,
        finished.live,
        {
            relative(path, folder): key
            for path, key in finished.observed.written.items()
            if not path.endswith(_SIDE_FILES)
        },
        {relative(path, folder): key for path, key in finished.observed.modules.items()},
        imports,
    )


def relative(path: str, folder: Path) -> str:
    """``path`` relative to the notebook's folder if it is inside, else as it is."""
    with contextlib.suppress(ValueError):
        return Path(path).relative_to(folder).as_posix()
    return path
