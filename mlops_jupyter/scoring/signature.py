"""A model's input signature: what a client sent becomes values by column, and those become what
the model is called with. Columns are compiled once; nothing unknown is ignored.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import InvalidInput
from .datatypes import compile_column, read_cell, shorten

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from .._mlflow import Field

Columns = list[list[Any]]


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
            compile_column(field.name if field.name is not None else str(number), field)
            for number, field in enumerate(fields)
        ]
        self.names = [column.name for column in self.columns]
        self._known = frozenset(self.names)
        self._uniform = len({field.type for field in fields}) == 1
        self._text = any(column.type.datatype == "BYTES" for column in self.columns)

    @property
    def numeric(self) -> bool:
        """Whether every column is a number or a boolean."""
        return not self._text

    @property
    def example(self) -> dict[str, Any]:
        """One row that the signature takes."""
        return {column.name: column.type.example for column in self.columns}

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
        """Values by column from ``[[value, ...], ...]``, in the signature's order or ``names``.

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
            [read_cell(column, cell) for cell in values]
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
