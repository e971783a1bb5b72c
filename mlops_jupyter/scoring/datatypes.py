"""The types of a model's input columns, each compiled into a check of a whole column.

MLflow's column types and what is taken for them, in JSON and in CSV:

=============== ================================= ====================
type            values                            Open Inference type
=============== ================================= ====================
double, float   numbers, finite                   FP64, FP32
long, integer   whole numbers in 64 or 32 bits    INT64, INT32
boolean         true, false                       BOOL
string          text                              BYTES
datetime        ISO 8601 without a zone           BYTES
binary          base64 text                       BYTES
=============== ================================= ====================

``null`` is taken where the signature says that a column is optional; an optional column may also
be left out. Nothing is converted that would change a value, and nothing unknown is ignored.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..errors import InvalidInput

if TYPE_CHECKING:
    from .._mlflow import Field

_NO_VALUE = frozenset({"", "nan", "null", "none", "na", "n/a", "<na>"})


@dataclass(frozen=True)
class ColumnType:
    """What one MLflow type is: its Open Inference datatype, what error messages call its values,
    their Python types, how CSV text is read, how values (``None`` for a missing one) become an
    array, an example, and its OpenAPI schema."""

    datatype: str
    says: str
    takes: frozenset[type]
    text: Callable[[str], Any]
    convert: Callable[[list[Any]], Any]
    example: Any
    openapi: dict[str, str]


@dataclass(frozen=True)
class Column:
    """One input column. ``array`` turns its values, ``(rows,)``, into what the model is given."""

    name: str
    required: bool
    type: ColumnType
    array: Callable[[list[Any]], Any]


def shorten(value: Any) -> str:
    """``value`` as it may stand in an error message."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def compile_column(name: str, field: Field) -> Column:
    """The column ``name`` of a model whose signature says ``field``.

    Raises
    ------
    InvalidInput
        If its type cannot be served.
    """
    kind = _types().get(field.type)
    if kind is None:
        raise InvalidInput(f"Column {name!r} has type {field.type}, which cannot be served.")
    allowed = kind.takes if field.required else kind.takes | {type(None)}
    convert, says = kind.convert, kind.says

    def array(values: list[Any]) -> Any:
        if allowed.issuperset(map(type, values)):
            try:
                return convert(values)
            except (ValueError, OverflowError):
                pass  # found below, to say which
        for number, value in enumerate(values):
            if value is None and not field.required:
                continue
            if value is None:
                raise InvalidInput(f"Column {name!r}, row {number}: a value is required.")
            try:
                if type(value) in allowed:
                    convert([value])
                    continue
            except (ValueError, OverflowError):
                pass
            raise InvalidInput(f"Column {name!r}, row {number}: {shorten(value)} is not {says}.")
        raise InvalidInput(f"Column {name!r}: a value is not {says}.")

    return Column(name, field.required, kind, array)


def read_cell(column: Column, cell: str | None) -> Any:
    """A CSV cell as a value of its column; what cannot be read stays text, for the column's check
    to refuse."""
    text = column.type.datatype == "BYTES"
    if not cell or (not text and cell.strip().lower() in _NO_VALUE):
        return None
    if not text and "_" in cell:
        return cell
    try:
        return column.type.text(cell)
    except ValueError:
        return cell


def _integer_text(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _boolean_text(text: str) -> bool:
    try:
        return {"true": True, "false": False}[text.strip().lower()]
    except KeyError as error:
        raise ValueError(text) from error


def _types() -> dict[str, ColumnType]:
    """The served types by MLflow's name. Converters raise ValueError or OverflowError."""
    import numpy as np

    def floats(dtype: Any) -> Callable[[list[Any]], Any]:
        def convert(values: list[Any]) -> Any:
            with np.errstate(over="ignore"):
                array = np.array(values, dtype=dtype)
            if np.count_nonzero(~np.isfinite(array)) != values.count(None):
                raise ValueError
            return array

        return convert

    def integers(dtype: Any) -> Callable[[list[Any]], Any]:
        limits = np.iinfo(dtype)

        def convert(values: list[Any]) -> Any:
            if any(type(value) is float and not value.is_integer() for value in values):
                raise ValueError
            whole = [int(value) for value in values if value is not None]
            if whole and not (limits.min <= min(whole) and max(whole) <= limits.max):
                raise ValueError
            missing = len(whole) < len(values)
            return np.array(values if missing else whole, dtype=np.float64 if missing else dtype)

        return convert

    def booleans(values: list[Any]) -> Any:
        return np.array(values, dtype=object if None in values else np.bool_)

    def datetimes(values: list[Any]) -> Any:
        moments = [None if value is None else datetime.fromisoformat(value) for value in values]
        for moment in moments:
            if moment and (moment.tzinfo is not None or not 1678 <= moment.year <= 2261):
                raise ValueError
        return np.array(moments, dtype="datetime64[ns]")

    def binaries(values: list[Any]) -> Any:
        try:
            return [None if v is None else base64.b64decode(v, validate=True) for v in values]
        except binascii.Error as error:
            raise ValueError from error

    number, text = frozenset({int, float}), frozenset({str})
    real = {"type": "number", "format": "double"}
    return {
        "double": ColumnType(
            "FP64", "a finite number", number, float, floats(np.float64), 1.0, real
        ),
        "float": ColumnType(
            "FP32", "a finite number in 32 bits", number, float, floats(np.float32), 1.0, real
        ),
        "long": ColumnType(
            "INT64",
            "a whole number in 64 bits",
            number,
            _integer_text,
            integers(np.int64),
            1,
            {"type": "integer", "format": "int64"},
        ),
        "integer": ColumnType(
            "INT32",
            "a whole number in 32 bits",
            number,
            _integer_text,
            integers(np.int32),
            1,
            {"type": "integer", "format": "int32"},
        ),
        "boolean": ColumnType(
            "BOOL",
            "true or false",
            frozenset({bool}),
            _boolean_text,
            booleans,
            True,
            {"type": "boolean"},
        ),
        "string": ColumnType("BYTES", "a string", text, str, list, "a", {"type": "string"}),
        "datetime": ColumnType(
            "BYTES",
            "an ISO 8601 time without a zone",
            text,
            str,
            datetimes,
            "2000-01-01T00:00:00",
            {"type": "string", "format": "date-time"},
        ),
        "binary": ColumnType(
            "BYTES", "base64", text, str, binaries, "", {"type": "string", "format": "byte"}
        ),
    }
