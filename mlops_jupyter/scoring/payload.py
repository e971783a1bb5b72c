"""Bodies of scoring requests: what all protocols share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from ..errors import InvalidInput
from .datatypes import shorten
from .signature import Columns

encode = msgspec.json.Encoder().encode


class TooLarge(InvalidInput):
    """The body is larger than the server takes."""

    http_status = 413


class UnsupportedMedia(InvalidInput):
    """The body is of a kind that the server does not read."""

    http_status = 415


@dataclass(frozen=True)
class Query:
    """What a client asks: ``(columns, rows)`` values, its own id, and the outputs it wants (all if
    empty)."""

    columns: Columns
    id: str = ""
    outputs: tuple[str, ...] = ()


def decode(body: bytes) -> dict[str, Any]:
    """The JSON object in ``body``.

    Raises
    ------
    InvalidInput
        If it is not strict JSON in UTF-8, or not an object.
    """
    if not body:
        raise InvalidInput("The body is empty.", hint="Send a JSON object.")
    try:
        value = msgspec.json.decode(body)
    except UnicodeDecodeError as error:
        raise InvalidInput("The body is not UTF-8.", hint="Send JSON in UTF-8.") from error
    except RecursionError as error:
        raise InvalidInput("The body is nested too deeply.") from error
    except msgspec.DecodeError as error:
        raise InvalidInput(f"The body is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise InvalidInput("The body must be a JSON object.")
    return value


def check_media(header: str | None, allowed: tuple[str, ...]) -> str:
    """The media type a ``Content-Type`` header names.

    Raises
    ------
    UnsupportedMedia
        If there is no such header, or its type or charset is not one that is read here.
    """
    hint = f"Send Content-Type: {allowed[0]}."
    if not header:
        raise UnsupportedMedia("The request has no Content-Type.", hint=hint)
    kind, *parameters = (part.strip().lower() for part in header.split(";"))
    if kind not in allowed:
        raise UnsupportedMedia(f"Content-Type {shorten(kind)} is not supported.", hint=hint)
    for parameter in filter(None, parameters):
        name, _, value = parameter.partition("=")
        if name.strip() != "charset" or value.strip().strip('"') not in ("utf-8", "utf8"):
            raise UnsupportedMedia(
                f"Content-Type parameter {shorten(parameter)} is not supported.", hint="Use UTF-8."
            )
    return kind
