"""One version of a model in memory: checked, warmed, called, and its answers made plain."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import InvalidInput, MLOpsError, WorkFailed
from .signature import Columns, Signature

if TYPE_CHECKING:
    from .._mlflow import LoadedModel

_log = logging.getLogger(__name__)

_DATATYPES = {
    "f8": "FP64",
    "f4": "FP32",
    "f2": "FP16",
    "i8": "INT64",
    "i4": "INT32",
    "i2": "INT16",
    "i1": "INT8",
    "u8": "UINT64",
    "u4": "UINT32",
    "u2": "UINT16",
    "u1": "UINT8",
    "b1": "BOOL",
}


@dataclass(frozen=True)
class Output:
    """One output of a model: ``shape`` is ``(rows,)`` or ``(rows, k)``, ``values`` the rows as
    plain Python (a row of ``k`` is a list), ``datatype`` the Open Inference one."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: list[Any]


@dataclass(frozen=True)
class Prediction:
    """What a model said to a batch: its outputs, and whether they are a table's columns."""

    outputs: list[Output]
    table: bool

    @property
    def rows(self) -> list[Any]:
        """One output per row, for the record: a value, or a list of them."""
        if len(self.outputs) == 1:
            return self.outputs[0].values
        return [list(row) for row in zip(*(o.values for o in self.outputs), strict=True)]

    @property
    def mlflow(self) -> list[Any]:
        """The rows as MLflow's scoring server gives them: values, or objects by column."""
        if not self.table:
            return self.outputs[0].values
        names = [output.name for output in self.outputs]
        columns = [output.values for output in self.outputs]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


@contextlib.contextmanager
def foreign_code(what: str) -> Iterator[None]:
    """The border to the code inside a model, which may raise anything: one line of it is told.

    Raises
    ------
    WorkFailed
        ``what``, with the first line of what was raised.
    """
    try:
        yield
    except MLOpsError:
        raise
    except Exception as error:
        _log.warning("%s", what, exc_info=error)
        line = (str(error).strip().splitlines() or [""])[0][:200]
        raise WorkFailed(f"{what}: {type(error).__name__}: {line}") from error


class Predictor:
    """A loaded version behind its compiled signature.

    Parameters
    ----------
    loaded:
        The version; its native object is called directly where there is one.

    Raises
    ------
    InvalidInput
        If its signature cannot be served.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self.model = loaded.name
        self.version = loaded.version
        self.signature = Signature(loaded.inputs)
        self.outputs: list[Output] = []
        self._call = (
            getattr(loaded.native, loaded.method) if loaded.native is not None else loaded.predict
        )

    def predict(self, columns: Columns) -> Prediction:
        """Answer a batch.

        Parameters
        ----------
        columns:
            ``(columns, rows)`` values from one of the signature's ``columns_from_*`` methods.

        Raises
        ------
        InvalidInput
            If a value does not fit its column.
        WorkFailed
            If the model raised, or did not give one answer per row.
        """
        frame = self.signature.frame(columns)
        with foreign_code("The model could not predict these inputs"):
            return _plain(self._call(frame), len(columns[0]))

    def warm(self, row: dict[str, Any] | None = None) -> None:
        """Predict once, so that the first client does not wait, and to see that it works.

        Parameters
        ----------
        row:
            Inputs that an earlier version answered. Without them, or where they do not fit this
            version, an example made from the signature is taken; if that holds text, which a model
            may rightly refuse, a refusal is only logged.

        Raises
        ------
        WorkFailed
            If the model cannot predict.
        """
        real = row is not None
        try:
            columns = self.signature.columns_from_records([row or self.signature.example])
            self.signature.frame(columns)
        except InvalidInput:
            real = False
            columns = self.signature.columns_from_records([self.signature.example])
        try:
            self.outputs = self.predict(columns).outputs
        except WorkFailed as error:
            if real or self.signature.numeric:
                raise
            _log.info("Not warmed: %s", error)


def _plain(raw: Any, rows: int) -> Prediction:
    """A model's raw answer (array, list, Series or DataFrame) as plain values."""
    import numpy as np
    import pandas as pd

    if isinstance(raw, pd.Series):
        raw = pd.DataFrame(raw)
    table = isinstance(raw, pd.DataFrame)
    columns = (
        {str(name): raw[name].to_numpy() for name in raw.columns}
        if table
        else {"predict": np.asarray(raw)}
    )
    outputs = []
    for name, array in columns.items():
        if array.ndim not in (1, 2) or len(array) != rows:
            raise WorkFailed(f"The model gave shape {array.shape} for {rows} rows.")
        outputs.append(_output(name, array))
    return Prediction(outputs, table)


def _output(name: str, array: Any) -> Output:
    kind = array.dtype.kind
    values = (array.astype(str) if kind in "mM" else array).tolist()
    if kind == "f":
        if not _finite(array):
            values = _without_nan(values)
    elif kind not in "iub":
        values = _as_text(values)
    datatype = _DATATYPES.get(array.dtype.str[1:], "BYTES")
    return Output(name, datatype, array.shape, values)


def _finite(array: Any) -> bool:
    import numpy as np

    return bool(np.isfinite(array).all())


def _without_nan(values: list[Any]) -> list[Any]:
    """``values`` with what JSON cannot say (NaN, infinities) as ``None``."""
    return [
        _without_nan(value)
        if isinstance(value, list)
        else value
        if abs(value) < float("inf")
        else None
        for value in values
    ]


def _as_text(values: list[Any]) -> list[Any]:
    """Objects as JSON can say them: text, numbers and booleans stay, anything else is ``str``."""
    plain: list[Any] = []
    for value in values:
        item = value.item() if hasattr(value, "item") else value
        if isinstance(item, list):
            plain.append(_as_text(item))
        elif isinstance(item, float) and not abs(item) < float("inf"):
            plain.append(None)
        elif item is None or isinstance(item, str | int | float | bool):
            plain.append(item)
        else:
            plain.append(str(item))
    return plain
