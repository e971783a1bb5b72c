"""Tables read one column at a time, ready for statistics: CSV, Parquet and rows in memory.

Only one column is in memory at once (of Parquet; a CSV file has to be parsed whole), and a
categorical one only as counts. pandas and pyarrow stay behind this border.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from .errors import InvalidInput, MissingDependency, NotFound

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

ColumnKind = Literal["numeric", "boolean", "text", "time", "mixed", "nested", "empty"]

_INFERRED: dict[str, ColumnKind] = {
    "boolean": "boolean",
    "integer": "numeric",
    "floating": "numeric",
    "mixed-integer-float": "numeric",
    "decimal": "numeric",
    "string": "text",
    "categorical": "text",
    "empty": "empty",
    "datetime64": "time",
    "datetime": "time",
    "date": "time",
    "time": "time",
    "timedelta64": "time",
    "timedelta": "time",
}


@dataclass(frozen=True)
class Column:
    """One column without its missing values.

    Parameters
    ----------
    kind:
        What its values are; ``"empty"`` if none is there.
    rows:
        Rows of the table, with and without a value.
    missing, infinite:
        How many of them are missing (null, NaN) and infinite.
    numbers:
        Numeric: the finite values, ascending.
    counts:
        Boolean and text: how often each value occurs.
    """

    kind: ColumnKind
    rows: int
    missing: int = 0
    infinite: int = 0
    numbers: NDArray[Any] | None = None
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def valid(self) -> int:
        """Rows with a finite value."""
        return self.rows - self.missing - self.infinite


class Table(Protocol):
    """Named columns of equal length, read when asked for."""

    names: list[str]
    rows: int

    def column(self, name: str) -> Column:
        """The column ``name``; each call reads it anew."""
        ...


def open_table(path: Path) -> Table:
    """The table in a CSV or Parquet file; an empty CSV file is a table without columns.

    Raises
    ------
    NotFound
        If there is no such file.
    InvalidInput
        If it is neither, or cannot be parsed.
    MissingDependency
        If Parquet support is not installed.
    """
    if not path.is_file():
        raise NotFound(f"There is no file {path.name!r}.", hint="Check the path.")
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return FrameTable(_read_csv(path))
    if suffix in (".parquet", ".pq"):
        return ParquetTable(path)
    raise InvalidInput(f"{path.name} is neither .csv nor .parquet.", hint="Convert the file.")


def rows_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The table of ``rows``; a name that a row lacks is missing there."""
    import pandas as pd

    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: pd.Series([row.get(name) for row in rows], dtype=object) for name in names}
    return FrameTable(pd.DataFrame(columns, index=range(len(rows))))


class FrameTable:
    """A pandas DataFrame as a table."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame
        self.names = [str(name) for name in frame.columns]
        self.rows = len(frame)

    def column(self, name: str) -> Column:
        """The column ``name``."""
        from pandas.api.types import infer_dtype

        values = self._frame.iloc[:, self.names.index(name)]
        missing = int(values.isna().sum())
        present = values.dropna() if missing else values
        if not len(present):
            return Column("empty", self.rows, missing)
        kind = _INFERRED.get(infer_dtype(present, skipna=True), "mixed")
        if kind == "numeric":
            whole = not missing and present.dtype.kind in "iu"
            try:
                numbers = present.to_numpy() if whole else present.to_numpy(dtype="float64")
                return _numeric(numbers, self.rows, missing)
            except OverflowError:
                return Column("mixed", self.rows, missing)
        if kind in ("boolean", "text"):
            counts = {str(key): int(n) for key, n in present.value_counts().items() if n}
            return Column(kind, self.rows, missing, counts=counts)
        return Column(_nested(present) if kind == "mixed" else kind, self.rows, missing)


class ParquetTable:
    """A Parquet file as a table."""

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise MissingDependency("Reading Parquet", "monitor", "pyarrow") from error
        try:
            self._file = pq.ParquetFile(path, memory_map=True)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(path, error) from error
        self._path = path
        self.names = [name for name in self._file.schema_arrow.names if not _index(name)]
        self.rows = int(self._file.metadata.num_rows)
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise InvalidInput(f"{path.name} has two columns {twice[0]!r}.", hint="Rename one.")

    def column(self, name: str) -> Column:
        """The column ``name``."""
        import pyarrow as pa

        try:
            return self._judged(self._file.read(columns=[name]).column(name))
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(self._path, error) from error

    def _judged(self, values: pa.ChunkedArray) -> Column:
        import pyarrow as pa

        missing, arrow = values.null_count, values.type
        if pa.types.is_dictionary(arrow):
            arrow = arrow.value_type
            if not _is_text(arrow):
                values = values.cast(arrow)
        kind = _kind(arrow)
        if missing == self.rows:
            return Column("empty", self.rows, missing)
        if kind in ("boolean", "text"):
            keys, counts = (part.to_pylist() for part in values.value_counts().flatten())
            counted = {str(k): n for k, n in zip(keys, counts, strict=True) if k is not None}
            return Column(kind, self.rows, missing, counts=counted)
        if kind != "numeric":
            return Column(kind, self.rows, missing)
        if missing or not pa.types.is_integer(arrow):
            values = values.drop_null().cast(pa.float64(), safe=False)
        return _numeric(values.to_numpy(), self.rows, missing)


def _kind(arrow: pa.DataType) -> ColumnKind:
    import pyarrow as pa

    kinds: list[tuple[Callable[[pa.DataType], bool], ColumnKind]] = [
        (_is_text, "text"),
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_integer, "numeric"),
        (pa.types.is_floating, "numeric"),
        (pa.types.is_decimal, "numeric"),
        (pa.types.is_temporal, "time"),
    ]
    return next((kind for holds, kind in kinds if holds(arrow)), "nested")


def _numeric(values: NDArray[Any], rows: int, missing: int) -> Column:
    """The column of ``values`` without nulls, which may hold NaN and infinities."""
    import numpy as np

    values = np.sort(values)
    infinite = 0
    if values.dtype.kind == "f":
        nan = int(np.count_nonzero(np.isnan(values)))
        finite = np.isfinite(values)
        infinite = len(values) - int(np.count_nonzero(finite)) - nan
        missing += nan
        if nan or infinite:
            values = values[finite]
    kind: ColumnKind = "numeric" if len(values) or infinite else "empty"
    return Column(kind, rows, missing, infinite, numbers=values)


def _nested(present: pd.Series[Any]) -> ColumnKind:
    return "nested" if isinstance(present.iloc[0], list | tuple | dict | set | bytes) else "mixed"


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _index(name: str) -> bool:
    """Whether ``name`` is what pandas calls a stored row index."""
    return name.startswith(("Unnamed: ", "__index_level_"))


def _read_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    options: dict[str, Any] = {"low_memory": False, "encoding": "utf-8-sig"}
    if tuple(int(part) for part in pd.__version__.split(".")[:2]) < (3, 1):
        options["float_precision"] = "round_trip"  # later versions always read floats exactly
    try:
        frame: pd.DataFrame = pd.read_csv(path, **options)
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except (ValueError, OSError) as error:
        raise _unreadable(path, error) from error
    return frame.loc[:, [not _index(str(name)) for name in frame.columns]]


def _unreadable(path: Path, error: Exception) -> InvalidInput:
    line = next(iter(str(error).replace(str(path), path.name).strip().splitlines()), "")[:200]
    return InvalidInput(f"{path.name} cannot be read: {line}", hint="Check the file.")
