"""What is to be run, and what came of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .. import plugins
from ..models import Step, StepStatus
from .predictions import Prediction, predict
from .state import Delta, State
from .traces import Trace, code_keys, counts

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from .work import Outcome

_EXITS = {("SystemExit", ""), ("SystemExit", "0"), ("SystemExit", "None")}

# What writes files or runs programs, as far as a name tells. A step that does never runs ahead of
# others: if its result were thrown away, its files would still be there.
_OUTSIDE = re.compile(
    r"^\s*!|^\s*%%?\w|=\s*!"
    r"|\b(open|os|shutil|Path|tempfile|sqlite3|shelve|dbm|h5py|zipfile|tarfile|gzip|bz2|lzma|joblib)\b"
    r"|\b(mlflow|subprocess|Popen|create_engine|connect|memmap|urlretrieve|FileHandler|basicConfig)\b"
    r"|\bto_(csv|parquet|pickle|excel|json|sql|hdf|feather|html|xml|stata|orc|file|disk|zarr)\b"
    r"|\b(save\w*|dump|write\w*|imwrite|imsave|unlink|touch|mkdir|rmdir|makedirs|rename|symlink_to)\s*\(",
    re.MULTILINE,
)
# What sets a generator of random numbers, and where that gets a name of its own.
SEEDS = re.compile(r"seed|set_?(rng_?)?state", re.IGNORECASE)
_SEEDS_AS = re.compile(r"(\.|\bimport\b.*)(seed|set_?(rng_?)?state)\w*\b(?!\s*\()", re.IGNORECASE)
_DEFINES = re.compile(r"^\s*(async\s+def|def|class)\b|\blambda\b", re.MULTILINE)
_IMPORTS = re.compile(r"^\s*(?:from\s+[\w.]+\s+)?import\s+([\w ,.()]+)", re.MULTILINE)
_LOOKS = re.compile(
    r"%%(file|writefile)\b"
    r"|\b(exists|lexists|is_file|is_dir|isfile|isdir|stat|lstat|getsize|getmtime)\b"
    r"|\bMlflowClient\b|\bmlflow\.(\w+\.)*(search|get|load|last|list|download|register|wait)\w*"
    r"|\b(shelve|dbm|copytree|rmtree|shutil\.move)\b"
    r"|\b(mk[sd]temp|TemporaryDirectory|NamedTemporaryFile)\b"
    r"|\bos\.(rename|replace|rmdir|remove|unlink|link|symlink)\b"
    r"|\b(mkdir|makedirs)\s*\((?![^)]*exist_ok\s*=\s*True)"
)


@dataclass(frozen=True)
class Plan:
    """What the scheduler has to do.

    Attributes
    ----------
    notebook:
        Its name in the records.
    steps, cells, counts, codes, predictions:
        One each per step: the step, its cells with their index in the notebook, the execution
        count of its first cell, its code key, and what it may do.
    outside:
        Steps that write files or run programs: they never run ahead of others.
    looks:
        Steps that ask for files without opening them, of which nothing is heard.
    registers:
        Steps that may have left code of the notebook in a library, which may call it at any time.
    seeds:
        Steps that may set a generator of random numbers, with the names they bind that may hold
        code which does.
    rng:
        Ambient providers that whoever reads also changes.
    """

    notebook: str
    steps: list[Step]
    cells: list[list[tuple[int, Any]]]
    counts: list[int]
    codes: list[str]
    predictions: list[Prediction]
    rng: frozenset[str]
    outside: frozenset[int] = frozenset()
    looks: frozenset[int] = frozenset()
    registers: frozenset[int] = frozenset()
    seeds: Mapping[int, frozenset[str]] = field(default_factory=dict)

    def reads(self, step: int, state: State, kept: Collection[int]) -> frozenset[str] | None:
        """Names from which a step may reach others, ``None``: all, as where callbacks or threads of
        the notebook's live. A name that it binds and that shares its value with others is among
        them, for those are left alone afterwards; and one that it may leave as it is.

        Parameters
        ----------
        state:
            What is there before it.
        kept:
            Steps before it, or after, that changed their surroundings.
        """
        prediction = self.predictions[step]
        if prediction.everything or prediction.history or state.live:
            return None
        if any(earlier < step and earlier in self.registers for earlier in kept):
            return None
        bound = (prediction.binds | prediction.mutates) & state.names.keys()
        shared = {name for name in bound if len(state.names[name].names) > 1}
        return prediction.reads | prediction.perhaps | shared


def plan_of(
    name: str, notebook: NotebookNode, steps: list[Step], kernel: str, given: Mapping[str, str]
) -> Plan:
    """What there is to schedule in a notebook that passed the syntax check."""
    predictions = predict(notebook, steps)
    return Plan(
        name,
        steps,
        [[(index, notebook.cells[index]) for index in step.cells] for step in steps],
        counts(steps),
        code_keys(notebook, steps, kernel, given),
        predictions,
        rng(),
        *_sorted_out(notebook, steps, predictions),
    )


def _sorted_out(
    notebook: NotebookNode, steps: list[Step], predictions: list[Prediction]
) -> tuple[frozenset[int], frozenset[int], frozenset[int], dict[int, frozenset[str]]]:
    """Steps that write files or run programs, those that ask for files without opening them, those
    that may leave code in a library, and those that may seed, with their code."""
    sources = ["\n".join(notebook.cells[index].source for index in step.cells) for step in steps]
    outside: set[int] = set()
    registers: set[int] = set()
    seeds: dict[int, frozenset[str]] = {}
    defined: set[str] = set()  # names that may hold code
    carriers: set[str] = set()  # names that may hold code which does
    for number, (source, prediction) in enumerate(zip(sources, predictions, strict=True)):
        held = prediction.binds - _imported(source) if _DEFINES.search(source) else frozenset()
        defined |= held
        if SEEDS.search(source):
            seeds[number] = prediction.binds if _SEEDS_AS.search(source) else held
        if prediction.registers and (held or defined & prediction.reads):
            registers.add(number)
        if _OUTSIDE.search(source) or carriers & prediction.reads:
            outside.add(number)
            carriers |= held
    looks = (number for number, source in enumerate(sources) if _LOOKS.search(source))
    return frozenset(outside), frozenset(looks), frozenset(registers), seeds


def _imported(source: str) -> set[str]:
    """Names that import statements bind: they hold no code of the notebook."""
    parts = [part for line in _IMPORTS.findall(source) for part in line.strip("() ").split(",")]
    return {part.split()[-1].partition(".")[0] for part in parts if part.strip()}


def rng() -> frozenset[str]:
    """Ambient providers that whoever reads also changes."""
    family = {name: plugins.load("ambient", name) for name in plugins.names("ambient")}
    return frozenset(name for name, provider in family.items() if provider.reads_change)


@dataclass
class Result:
    """A step's result.

    Attributes
    ----------
    status:
        ``ran``, ``cached`` or ``failed``.
    without:
        Earlier steps whose changes it did not see.
    outcome, trace:
        How it ran, or what stands for its run.
    outputs:
        What it showed, as the cache has it.
    """

    status: StepStatus
    label: str
    why: str
    delta: Delta
    state: State
    without: frozenset[int]
    reads: Mapping[str, str]
    everything: bool
    outcome: Outcome | None = None
    trace: Trace | None = None
    outputs: bytes = b""
    attempts: int = 1
    seconds: float = 0.0

    @property
    def error(self) -> tuple[int, str, str] | None:
        """Cell index, exception name and message, if a cell raised or the kernel died."""
        return self.outcome.error if self.outcome is not None else None

    @property
    def ends(self) -> bool:
        """Whether the step ended the notebook, as ``SystemExit`` without a code does."""
        return self.error is not None and self.error[1:] in _EXITS
