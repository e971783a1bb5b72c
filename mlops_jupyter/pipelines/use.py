"""What a step does, as the analysis found it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Use:
    """What a step does to names and files that exist outside of it.

    ``reads`` are read before the step binds them, each with the names of code on the way to it
    (none if the step's own text reads it); ``direct`` those that its own text or code that it
    defines reads; ``binds`` for certain, ``may_bind`` not; ``mutates`` what was there before, maybe
    under another name. Texts are reasons; empty means no. Of ``ambient`` things, random generators
    that the step seeds before it draws are ``restarted``. What changes the surroundings may also
    leave code of the notebook there: it ``registers`` it.
    """

    reads: dict[str, tuple[str, ...]] = field(default_factory=dict)
    direct: set[str] = field(default_factory=set)
    binds: set[str] = field(default_factory=set)
    may_bind: set[str] = field(default_factory=set)
    mutates: set[str] = field(default_factory=set)
    everything: str = ""
    anything: str = ""
    history: str = ""
    surroundings: str = ""
    registers: bool = False
    ambient: set[str] = field(default_factory=set)
    restarted: set[str] = field(default_factory=set)
    files_read: set[str] = field(default_factory=set)
    files_written: set[str] = field(default_factory=set)
    imports: dict[str, None] = field(default_factory=dict)
    input: int | None = None
