"""What may happen to names and around them: the facts that the analysis works with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "read",
    "bind",
    "delete",
    "mutate",
    "share",  # the names in ``value.shares`` may hold the same object; "siblings": if drawings do
    "mention",  # a text in which names may stand
    "call",
    "store",  # on an attribute or item; ``name`` is the whole dotted path
    "import",  # of the module ``name``
    "everything",  # any name may be read; ``name`` is the reason, as in the kinds below
    "anything",  # any name may be bound
    "history",  # earlier inputs or outputs are read
    "surroundings",  # the process is changed in a way that nothing carries elsewhere
    "ambient",  # ``name`` is what changes: "random", "matplotlib" ...
    "input",  # the user is asked
    "enter",
    "leave",
]


@dataclass(frozen=True)
class Argument:
    """An argument of a call: its place (number or keyword; ``*`` and ``**`` for those unpacked).

    ``names`` may share the argument's value, ``text`` is a literal string, ``constant`` any other
    literal's source.
    """

    place: int | str
    names: frozenset[str] = frozenset()
    text: str | None = None
    constant: str | None = None


@dataclass(frozen=True)
class Call:
    """A call as written: ``path`` is ``pd.read_csv`` or ``alt.Chart().mark_bar``.

    Parameters
    ----------
    path:
        The called expression's names; empty if it does not start with a name.
    library:
        What ``path`` is in full, where a function imports for itself.
    receivers:
        Names (or parameters) that may share the object that a method is called on.
    arguments:
        In the order of writing.
    discarded:
        Whether the call stands alone as a statement.
    last:
        Whether that statement ends its cell, so that the value is shown.
    """

    path: str
    library: str = ""
    receivers: frozenset[str] = frozenset()
    arguments: tuple[Argument, ...] = ()
    discarded: bool = False
    last: bool = False

    @property
    def method(self) -> str:
        """The last name of the path."""
        return self.path.rpartition(".")[2].removesuffix("[]")

    def argument(self, place: int, *keywords: str) -> Argument | None:
        """The argument at ``place`` or under one of ``keywords``."""
        for argument in self.arguments:
            if argument.place == place or argument.place in keywords:
                return argument
        return None


@dataclass(frozen=True)
class Value:
    """What is known of a value that is bound to a name.

    Parameters
    ----------
    holds:
        Names of which it may keep the code: an alias, an argument.
    made_by:
        Names that were called to make it.
    shares:
        Names (or parameters) whose object it may be, hold or look into.
    calls:
        Calls whose result it may be.
    atom:
        It cannot change if none of these names' values can; ``None``: it may change.
    text:
        The literal text that it is.
    once:
        Reading it uses it up.
    grows:
        It is the name's former value, changed or added to.
    awaited:
        It stands after ``await``.
    handle:
        The builtin that gave it, if that leads to all names: ``globals``, ``get_ipython``.
    parts:
        What happens again when a generator is consumed.
    """

    holds: frozenset[str] = frozenset()
    made_by: frozenset[str] = frozenset()
    shares: frozenset[str] = frozenset()
    calls: tuple[Call, ...] = ()
    atom: frozenset[str] | None = None
    text: str | None = None
    once: bool = False
    grows: bool = False
    awaited: bool = False
    handle: str = ""
    parts: tuple[Event, ...] = ()


@dataclass(frozen=True)
class Event:
    """One thing that happens to ``name``.

    A bind has ``effects`` if the value is a function or class, ``module`` (its dotted name) if it
    is an import, and else the ``value``. What a ``builtin`` does, it does only where the notebook
    has not given its name to something else.
    """

    kind: Kind
    name: str = ""
    effects: Effects | None = None
    value: Value = Value()
    module: str = ""
    call: Call | None = None
    builtin: str = ""


@dataclass(frozen=True)
class Effects:
    """What code that a value holds may do when it runs.

    Parameters
    ----------
    events:
        On global names, without ``enter`` and ``leave``, each once. ``mutate`` also tells which
        parameters change.
    makes:
        Calling it gives a value that holds the same code: a class, or a function with functions
        inside.
    parameters:
        A function's parameters in order, as events name them (see :func:`parameter`).
    returns:
        Names and parameters that the result may share.
    once:
        The result runs the body later, and once: a generator or coroutine.
    methods:
        A class's own functions by name.
    """

    events: tuple[Event, ...] = ()
    makes: bool = False
    parameters: tuple[str, ...] = ()
    returns: frozenset[str] = frozenset()
    once: bool = False
    methods: dict[str, Effects] = field(default_factory=dict)

    @property
    def changed(self) -> frozenset[str]:
        """Parameters that the body itself changes."""
        own = set(self.parameters)
        return frozenset(e.name for e in self.events if e.kind == "mutate" and e.name in own)


def parameter(depth: int, name: str) -> str:
    """How events name a parameter of a function ``depth`` functions deep; no Python name is so."""
    return f"{depth}:{name}"


def is_parameter(name: str) -> bool:
    """Whether :func:`parameter` made ``name``."""
    return name[:1].isdigit()


def unique(events: Iterable[Event]) -> tuple[Event, ...]:
    """Events in their order, each once, without those that only mark branches."""
    found = {
        (event.kind, event.name, event.call): event
        for event in events
        if event.kind not in ("enter", "leave")
    }
    return tuple(found.values())
