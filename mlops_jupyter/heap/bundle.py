"""What stands for values outside of the kernel that has them."""

from __future__ import annotations

from dataclasses import dataclass

EVERYTHING = "*"


class Unstorable(Exception):  # it tells a fact, not a fault
    """A value cannot be carried to another process; the message says why, in a few words."""


@dataclass(frozen=True)
class Bundle:
    """One version of names whose values share objects.

    Attributes
    ----------
    names:
        Variable names it binds, sorted; or lineages of code (``f#1a2b3c``).
    token:
        The version: equal tokens, equal content. Live ones are ``live:<label>:<first name>``.
    stored:
        Whether it is in the blob store; otherwise only the kernel that made it has it.
    key, buffers:
        The blobs that hold it.
    size:
        Bytes of stream and buffers.
    refs:
        Lineages of notebook-defined functions and classes that it refers to.
    globals:
        Global names that functions inside may read; ``*``: any.
    why:
        Why it is not stored.
    """

    names: tuple[str, ...]
    token: str
    stored: bool
    size: int = 0
    refs: tuple[str, ...] = ()
    globals: tuple[str, ...] = ()
    why: str = ""
    key: str = ""
    buffers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Changes:
    """What a step did to names.

    Attributes
    ----------
    bundles:
        New ones, those with another content than before, and those of names that were bound anew,
        be it to the same content.
    deleted:
        Names that are gone.
    bound:
        Names that were bound anew, as far as that shows.
    """

    bundles: tuple[Bundle, ...]
    deleted: tuple[str, ...]
    bound: tuple[str, ...] = ()
