"""What clients send, checked before anything is done with it."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..errors import InvalidInput, NotFound
from ..workspace import Workspace

DEFAULT_LIMIT = 200
MAX_LIMIT = 1000
MAX_NAME = 255
MAX_PATH = 1000

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """One request as the functions behind the routes see it.

    ``names`` are the parts of the path, ``query`` the query string's arguments, ``raw`` the body,
    ``folder`` the server's folder relative to the workspace.
    """

    names: dict[str, str]
    query: dict[str, str]
    raw: bytes
    folder: str = "."

    def name(self) -> str:
        """The one thing that the path names."""
        (value,) = self.names.values()
        return value

    def limit(self) -> int:
        """``?limit=``: how many items at most, 1 to 1,000.

        Raises
        ------
        InvalidInput
            If it is no such number.
        """
        text = self.query.get("limit", str(DEFAULT_LIMIT))
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_LIMIT):
            raise InvalidInput(
                f"limit={text[:20]} is not a page size.",
                hint=f"Use a number from 1 to {MAX_LIMIT}.",
            )
        return int(text)

    def argument(self, name: str) -> str:
        """The query argument ``name``.

        Raises
        ------
        InvalidInput
            If it was not given.
        """
        value = self.query.get(name, "")
        if not value:
            raise InvalidInput(f"The query argument {name!r} is missing.", hint=f"Add ?{name}=...")
        return clean(value, name)

    def file(self, workspace: Workspace, path: str, what: str) -> Path:
        """The file of the workspace that a client names as Jupyter does: by its path from the
        server's folder.

        Raises
        ------
        InvalidInput
            If it is outside the workspace, or too long to be a path.
        NotFound
            If there is no such file.
        """
        if len(path) > MAX_PATH or any(len(part.encode()) > MAX_NAME for part in path.split("/")):
            raise InvalidInput(f"The path {path[:40]!r}... is too long.", hint="Check the path.")
        return workspace.inside(f"{self.folder}/{path}", what)

    def body(self, kind: type[T]) -> T:
        """The JSON body as the dataclass ``kind``; no body stands for ``{}``.

        Raises
        ------
        InvalidInput
            If it is not JSON, not an object, or a key is unknown, missing or of the wrong type.
        """
        return parse(kind, self.raw)


def check_name(value: str, what: str) -> str:
    """A name or id from a path; what could walk through folders is refused.

    Raises
    ------
    InvalidInput
        If it cannot be anything's name.
    """
    bad = any(c in "/\\" or not c.isprintable() for c in value) or not value.strip(". ")
    if bad or len(value) > MAX_NAME:
        raise InvalidInput(
            f"{value[:40]!r} cannot be the name of a {what}.", hint="Use its own name."
        )
    return value


def missing(what: str, name: str) -> NotFound:
    """The error for something that cannot be there, because nothing of its kind is."""
    return NotFound(f"There is no {what} {name!r}.", hint="List what is there.")


def clean(value: str, where: str) -> str:
    """Text that can be stored and handed to a process.

    Raises
    ------
    InvalidInput
        If it holds a NUL or half a character.
    """
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{where} is not valid text.", hint="Send Unicode text.") from error
    if "\0" in value:
        raise InvalidInput(f"{where} holds a NUL character.", hint="Remove it.")
    return value


def parse(kind: type[T], raw: bytes) -> T:
    """Strictly read ``raw`` (JSON) as the dataclass ``kind``.

    Raises
    ------
    InvalidInput
        See :meth:`Request.body`.
    """
    data = _json(raw) if raw.strip() else {}
    if not isinstance(data, dict):
        raise InvalidInput("The body must be a JSON object.", hint='For example: {"key": "value"}')
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    known = f"Known: {', '.join(fields)}." if fields else "Send no body."
    for key in data:
        if key not in fields:
            raise InvalidInput(f"Unknown key {key[:40]!r} in the body.", hint=known)
    for name, field in fields.items():
        needed = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        if needed and name not in data:
            raise InvalidInput(f"The key {name!r} is missing from the body.", hint=known)
    hints = typing.get_type_hints(kind)
    return kind(**{key: _check(hints[key], value, key) for key, value in data.items()})


def _json(raw: bytes) -> Any:
    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not JSON")

    try:
        return json.loads(raw, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        line = str(error) if isinstance(error, ValueError) else "too deeply nested"
        raise InvalidInput(f"The body is not JSON: {line}.", hint="Send a JSON object.") from error


_PLAIN: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    str: ("text", lambda value: isinstance(value, str)),
    bool: ("true or false", lambda value: isinstance(value, bool)),
    int: ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    float: (
        "a number",
        lambda value: (
            isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)
        ),
    ),
    types.NoneType: ("null", lambda value: value is None),
}


def _check(hint: Any, value: Any, where: str) -> Any:
    if typing.get_origin(hint) is dict:
        _, item = typing.get_args(hint)
        if not isinstance(value, dict):
            raise InvalidInput(f"{where!r} must be an object.", hint="Correct the body.")
        return {
            clean(key, f"A key of {where!r}"): _check(item, entry, f"{where}.{key[:40]}")
            for key, entry in value.items()
        }
    options = typing.get_args(hint) or (hint,)
    if not any(_PLAIN[option][1](value) for option in options):
        wanted = " or ".join(_PLAIN[option][0] for option in options)
        raise InvalidInput(f"{where!r} must be {wanted}.", hint="Correct the body.")
    return clean(value, repr(where)) if isinstance(value, str) else value
