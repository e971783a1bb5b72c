"""What one step logged with MLflow, as it is kept with the step's trace."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from ..models import from_dict

#: Key, value, time (ms since 1970), step.
Point = tuple[str, float, int, int]


class Content(Protocol):
    """Where content is kept by its hash (:class:`~mlops_jupyter.blobs.Blobs`)."""

    def put(self, data: bytes, /) -> str:
        """Keep bytes; their key."""

    def put_file(self, path: Path, /) -> str:
        """Keep a file's content; its key."""

    def get(self, key: str, /) -> bytes:
        """The content."""

    def take(self, key: str, target: Path, /) -> None:
        """Write the content to a file."""


@dataclass(frozen=True)
class Data:
    """A data set that a run used, as MLflow knows it."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None
    profile: str | None
    tags: dict[str, str]


@dataclass(frozen=True)
class Logged:
    """What one step logged.

    Attributes
    ----------
    metrics:
        All points, not only the last ones.
    artifacts:
        Path among the run's artifacts to the key of its content.
    omitted:
        Artifacts whose content is not kept.
    models, used:
        Ids of the models that it made, with their step, and of those it loaded.
    """

    parameters: dict[str, str] = field(default_factory=dict)
    metrics: list[Point] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict)
    omitted: list[str] = field(default_factory=list)
    models: list[tuple[str, int]] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    data: list[Data] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any(vars(self).values())

    def encode(self) -> bytes:
        """As JSON, with NaN and infinities."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, text: bytes) -> Logged:
        """What :meth:`encode` wrote."""
        return from_dict(cls, json.loads(text))


@dataclass(frozen=True)
class Noted:
    """That a step's :class:`Logged` is kept: the keys it needs, its own first, none if the step
    logged nothing; and why it must not stand for another execution, if so."""

    keys: list[str]
    doubt: str = ""


def identity(point: Point) -> tuple[str, str, int, int]:
    """What two equal points have in common, also where NaN is not equal to itself."""
    key, value, moment, step = point
    return key, repr(float(value)), moment, step
