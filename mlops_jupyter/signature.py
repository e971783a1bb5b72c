"""A model's input signature, compiled once into checks of whole columns.

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
import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from ._mlflow import Field

Columns = list[list[Any]]

_NO_VALUE = frozenset({"", "nan", "null", "none", "na", "n/a", "<na>"})


@dataclass(frozen=True)
class _Type:
    """What one MLflow type takes: Python types, Open Inference datatype, how CSV text is read, how
    values become an array (``None`` for a missing one), and an example."""

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
    type: str
    required: bool
    datatype: str
    example: Any
    openapi: dict[str, str]
    text: Callable[[str], Any]
    array: Callable[[list[Any]], Any]


class Signature:
    """Compiled from a model's inputs. The ``columns_from_*`` methods turn what a client sent into
    values by column, ``frame`` those into what the model is called with.

    Parameters
    ----------
    fields:
        The model's inputs in order. Inputs without names (a model fitted on a bare array) are
        called ``0``, ``1`` and so on, and the model is given an array.

    Raises
    ------
    InvalidInput
        If there are none, or one has a type that cannot be served.
    """

    def __init__(self, fields: Sequence[Field]) -> None:
        if not fields:
            raise InvalidInput(
                "The model has no signature with columns.",
                hint="Log it with a sample of its input.",
            )
        self.bare = fields[0].name is None
        self.columns = [
            _compile(field.name if field.name is not None else str(number), field)
            for number, field in enumerate(fields)
        ]
        self.names = [column.name for column in self.columns]
        self._known = frozenset(self.names)
        self._uniform = len({field.type for field in fields}) == 1
        self._text = any(column.datatype == "BYTES" for column in self.columns)

    @property
    def numeric(self) -> bool:
        """Whether every column is a number or a boolean."""
        return not self._text

    @property
    def example(self) -> dict[str, Any]:
        """One row that the signature takes."""
        return {column.name: column.example for column in self.columns}

    def columns_from_records(self, records: Any) -> Columns:
        """Values by column from ``[{column: value}, ...]``.

        Raises
        ------
        InvalidInput
            If it is not that, or a row lacks a required column or has an unknown one.
        """
        if not isinstance(records, list) or not all(isinstance(row, dict) for row in records):
            raise InvalidInput("The rows must be a list of objects, one per row.")
        width = len(self.names)
        if all(len(row) == width and row.keys() == self._known for row in records):
            return [[row[name] for row in records] for name in self.names]
        for number, row in enumerate(records):
            self._check_names(list(row), f"Row {number}: ")
        return [[row.get(name) for row in records] for name in self.names]

    def columns_from_rows(self, rows: Any, names: Any = None) -> Columns:
        """Values by column from ``[[value, ...], ...]``; without ``names`` in the signature's order.

        Raises
        ------
        InvalidInput
            If it is not that, a row has another width, or the names do not fit.
        """
        if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
            raise InvalidInput("The rows must be a list of lists, one per row.")
        order = self.names
        if names is not None:
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise InvalidInput("The column names must be a list of strings.")
            self._check_names(names)
            order = names
        for number, row in enumerate(rows):
            if len(row) != len(order):
                raise InvalidInput(
                    f"Row {number} has {len(row)} values, {len(order)} columns were expected."
                )
        given = dict(zip(order, map(list, zip(*rows, strict=True)), strict=False))
        return [given.get(name) or [None] * len(rows) for name in self.names]

    def columns_from_mapping(self, mapping: dict[str, list[Any]]) -> Columns:
        """Values by column from ``{column: [value, ...]}``.

        Raises
        ------
        InvalidInput
            If a column is missing, unknown, not a list, or of another length.
        """
        self._check_names(list(mapping))
        lengths = set()
        for name, values in mapping.items():
            if not isinstance(values, list):
                raise InvalidInput(f"Column {name!r} must be a list of values.")
            lengths.add(len(values))
        if len(lengths) != 1:
            raise InvalidInput("The columns must be lists of the same length.")
        absent = [None] * lengths.pop()
        return [mapping.get(name, absent) for name in self.names]

    def columns_from_csv(self, text: str) -> Columns:
        """Values by column from CSV with a header; an empty cell is a missing value.

        Raises
        ------
        InvalidInput
            If it is not CSV, the names do not fit, or a cell cannot be read as its column's type.
        """
        try:
            header, *rows = [row for row in csv.reader(io.StringIO(text), strict=True) if row]
        except (csv.Error, ValueError) as error:
            reason = str(error) if isinstance(error, csv.Error) else "it is empty"
            raise InvalidInput(f"The body is not CSV with a header: {reason}.") from error
        columns = self.columns_from_rows(rows, header)
        return [
            [_read_cell(column, number, cell) for number, cell in enumerate(values)]
            for column, values in zip(self.columns, columns, strict=True)
        ]

    def frame(self, columns: Columns) -> pd.DataFrame | np.ndarray[Any, Any]:
        """What the model is called with: ``(rows, columns)``, typed as MLflow would.

        Raises
        ------
        InvalidInput
            If there are no rows, or a value does not fit its column.
        """
        import numpy as np
        import pandas as pd

        if not columns[0]:
            raise InvalidInput("There are no rows.", hint="Send at least one.")
        arrays = [
            column.array(values) for column, values in zip(self.columns, columns, strict=True)
        ]
        if self.bare:
            return np.column_stack(arrays)
        if self._uniform and not self._text and len({array.dtype for array in arrays}) == 1:
            return pd.DataFrame(np.array(arrays).T, columns=self.names, copy=False)
        return pd.DataFrame(dict(zip(self.names, arrays, strict=True)), copy=False)

    def _check_names(self, names: list[str], where: str = "") -> None:
        given = set(names)
        for name in names:
            if name not in self._known:
                raise InvalidInput(
                    f"{where}Unknown column {shorten(name)}.", hint=f"Columns: {self._listed()}."
                )
        for column in self.columns:
            if column.required and column.name not in given:
                raise InvalidInput(
                    f"{where}Column {column.name!r} is missing.", hint=f"Columns: {self._listed()}."
                )
        if len(given) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InvalidInput(f"{where}Column {shorten(twice)} is there twice.")

    def _listed(self) -> str:
        return ", ".join(self.names[:30]) + (" ..." if len(self.names) > 30 else "")


def shorten(value: Any) -> str:
    """``value`` as it may stand in an error message."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _compile(name: str, field: Field) -> Column:
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

    return Column(
        name,
        field.type,
        field.required,
        kind.datatype,
        kind.example,
        kind.openapi,
        kind.text,
        array,
    )


def _read_cell(column: Column, number: int, cell: str | None) -> Any:
    if cell is None or cell == "":
        return None
    if column.datatype != "BYTES" and cell.strip().lower() in _NO_VALUE:
        return None
    try:
        return column.text(cell)
    except ValueError:
        return cell  # the column's own check says what is wrong with it


def _boolean_text(text: str) -> bool:
    try:
        return {"true": True, "false": False}[text.strip().lower()]
    except KeyError as error:
        raise ValueError(text) from error


def _types() -> dict[str, _Type]:
    """The served types by MLflow's name. Converters raise ValueError or OverflowError."""
    import numpy as np

    def floats(dtype: Any) -> Callable[[list[Any]], Any]:
        def convert(values: list[Any]) -> Any:
            with np.errstate(over="ignore"):
                array = np.array(values, dtype=dtype)
            if not np.isfinite(array).all() and not all(
                value is None or np.isfinite(dtype(value)) for value in values
            ):
                raise ValueError
            return array

        return convert

    def integers(dtype: Any) -> Callable[[list[Any]], Any]:
        def convert(values: list[Any]) -> Any:
            if any(type(value) is float and not value.is_integer() for value in values):
                raise ValueError
            whole = np.array([int(v) for v in values if v is not None], dtype=dtype)
            if len(whole) == len(values):
                return whole
            return np.array(values, dtype=np.float64)

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

    number, whole = frozenset({int, float}), frozenset({int, float})
    text = frozenset({str})
    real = {"type": "number", "format": "double"}
    return {
        "double": _Type("FP64", "a number", number, float, floats(np.float64), 1.0, real),
        "float": _Type("FP32", "a number in 32 bits", number, float, floats(np.float32), 1.0, real),
        "long": _Type(
            "INT64",
            "a whole number in 64 bits",
            whole,
            int,
            integers(np.int64),
            1,
            {"type": "integer", "format": "int64"},
        ),
        "integer": _Type(
            "INT32",
            "a whole number in 32 bits",
            whole,
            int,
            integers(np.int32),
            1,
            {"type": "integer", "format": "int32"},
        ),
        "boolean": _Type(
            "BOOL",
            "true or false",
            frozenset({bool}),
            _boolean_text,
            booleans,
            True,
            {"type": "boolean"},
        ),
        "string": _Type("BYTES", "a string", text, str, list, "a", {"type": "string"}),
        "datetime": _Type(
            "BYTES",
            "an ISO 8601 time without a zone",
            text,
            str,
            datetimes,
            "2000-01-01T00:00:00",
            {"type": "string", "format": "date-time"},
        ),
        "binary": _Type(
            "BYTES", "base64", text, str, binaries, "", {"type": "string", "format": "byte"}
        ),
    }
