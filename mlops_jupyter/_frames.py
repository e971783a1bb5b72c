"""Tables in files: CSV and Parquet as pandas DataFrames, behind one border."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .errors import InvalidInput, MissingDependency, NotFound

if TYPE_CHECKING:
    import pandas as pd


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV or Parquet file whole.

    Raises
    ------
    NotFound
        If there is no such file.
    InvalidInput
        If it is neither, is empty, or cannot be parsed.
    MissingDependency
        If Parquet support is not installed.
    """
    import pandas as pd

    suffix = path.suffix.lower()
    try:
        if suffix == ".csv":
            return pd.read_csv(path)
        if suffix in (".parquet", ".pq"):
            return pd.read_parquet(path)
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path.name!r}.", hint="Check the path.") from error
    except ImportError as error:
        raise MissingDependency("Reading Parquet", "monitor", "pyarrow") from error
    except (ValueError, OSError) as error:
        line = str(error).strip().splitlines()[0][:200]
        raise InvalidInput(f"{path.name} cannot be read: {line}", hint="Check the file.") from error
    raise InvalidInput(f"{path.name} is neither .csv nor .parquet.", hint="Convert the file.")
