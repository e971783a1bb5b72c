"""The truth about predictions, which comes later: labels joined to records by request id.

``.mlops/labels/<deployment>.labels.csv`` holds what is known now, one ``request_id`` a line; it is
replaced as a whole, so readers see all of an addition or nothing of it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from pathlib import Path

from .. import records
from .._frames import read_table
from .._store import Store
from ..errors import InvalidInput, NotFound
from ..models import Deployment, LabelsAdded, Scalar
from ..workspace import Workspace, os_errors, write_atomic

ID = "request_id"
_NAME = re.compile(r"[\w][\w.-]*")


def add_labels(workspace: Workspace, deployment: str, file: Path) -> LabelsAdded:
    """Add the labels in ``file`` to the deployment's records.

    The same label again changes nothing; another one for the same request corrects it; a request
    id without a record is kept, its record may come later.

    Parameters
    ----------
    file:
        CSV or Parquet with the column ``request_id`` and one more, the label, whose name is kept.

    Raises
    ------
    NotFound
        If there is no such deployment or file.
    InvalidInput
        If the file is not of that form; nothing is added then.
    """
    require_deployment(workspace, deployment)
    name, new = _read(file)
    with workspace.lock(f"labels-{deployment}"):
        known_name, known = _stored(workspace, deployment)
        if known and known_name != name:
            raise InvalidInput(
                f"The labels of {deployment!r} are called {known_name!r}, "
                f"in {file.name} they are called {name!r}.",
                hint="Rename the column.",
            )
        corrected = sum(known.get(key, label) != label for key, label in new.items())
        merged = {**known, **new}
        if merged != known:
            text = _csv([ID, name], merged.items())
            write_atomic(_path(workspace, deployment), text)
    ids = [record.request_id for record in records.read(workspace, deployment)]
    seen = set(ids)
    labelled_rows = sum(key in merged for key in ids)
    matched = sum(key in seen for key in new)
    workspace.announce("deployments", deployment, "labels added")
    return LabelsAdded(
        deployment=deployment,
        label=name,
        matched=matched,
        unknown=len(new) - matched,
        corrected=corrected,
        labelled=labelled_rows,
        records=len(ids),
        coverage=labelled_rows / len(ids) if ids else 0.0,
    )


def labelled(workspace: Workspace, deployment: str) -> Path:
    """Write the records that have a label as CSV: their inputs and the label, oldest first.

    Of several records with one request id the newest counts.

    Returns
    -------
    Path
        ``.mlops/labels/<deployment>-labelled.csv``, absolute.

    Raises
    ------
    NotFound
        If there is no such deployment.
    InvalidInput
        If no record has a label yet, or an input is called like the label.
    """
    require_deployment(workspace, deployment)
    name, known = _stored(workspace, deployment)
    found = {
        record.request_id: record.inputs
        for record in records.read(workspace, deployment)
        if record.request_id in known
    }
    if not found:
        raise InvalidInput(
            f"No record of {deployment!r} has a label yet.",
            hint="Add them with: mlops labels add",
        )
    columns = list(dict.fromkeys(column for inputs in found.values() for column in inputs))
    if name in columns:
        raise InvalidInput(
            f"{name!r} is both an input and the label of {deployment!r}.",
            hint="Call the label's column something else.",
        )
    rows = (
        [*(inputs.get(column) for column in columns), known[key]] for key, inputs in found.items()
    )
    path = workspace.path("labels", f"{deployment}-labelled.csv")
    write_atomic(path, _csv([*columns, name], rows))
    return path


def require_deployment(workspace: Workspace, deployment: str) -> None:
    """Refuse the name of a deployment that was never there.

    Raises
    ------
    NotFound
        If it is neither in the store nor has records.
    """
    if _NAME.fullmatch(deployment):
        if any(item.name == deployment for item in Store(workspace).all(Deployment)):
            return
        if records.read(workspace, deployment, last=1):
            return
    raise NotFound(f"There is no deployment {deployment!r}.", hint="See: mlops deployments list")


def _path(workspace: Workspace, deployment: str) -> Path:
    return workspace.path("labels", f"{deployment}.labels.csv")


def _stored(workspace: Workspace, deployment: str) -> tuple[str, dict[str, str]]:
    path = _path(workspace, deployment)
    return _read(path) if path.exists() else ("", {})


def _read(file: Path) -> tuple[str, dict[str, str]]:
    """The label's column name, and the labels by request id."""
    if not file.is_file():
        raise NotFound(f"There is no labels file {file.name!r}.", hint="Check the path.")
    csv_file = file.suffix.lower() == ".csv"
    header, rows = _csv_rows(file) if csv_file else _table_rows(file)
    others = [name for name in header if name and name != ID]
    if header.count(ID) != 1 or len(others) != 1:
        raise InvalidInput(
            f"{file.name} must have the columns {ID} and one more, the label; "
            f"it has: {', '.join(header) or 'none'}.",
            hint=f"Write it as: {ID},label",
        )
    id_at, label_at = header.index(ID), header.index(others[0])
    labels: dict[str, str] = {}
    for number, row in enumerate(rows, start=1):
        where = f"{file.name}, row {number}"
        if len(row) != len(header):
            raise InvalidInput(
                f"{where} has {len(row)} values, the header {len(header)}.", hint="Correct the row."
            )
        key, label = row[id_at], row[label_at]
        if not key or not label:
            what = "label" if key else ID
            raise InvalidInput(f"{where} has no {what}.", hint="Leave such rows out.")
        if labels.setdefault(key, label) != label:
            raise InvalidInput(
                f"{where}: {key!r} has the label {label!r}, further up it has {labels[key]!r}.",
                hint="Leave one of them.",
            )
    if not labels:
        raise InvalidInput(f"{file.name} has no labels.", hint="Add rows below the header.")
    return others[0], labels


def _csv_rows(file: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with os_errors(file.name):
            text = file.read_bytes().decode("utf-8-sig")
        if "\0" in text:  # Python 3.10's reader refuses it, later ones do not
            raise csv.Error("it holds a NUL byte")
        lines = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{file.name} is not a CSV file: {error}.", hint="Use UTF-8.") from error
    if not lines:
        raise InvalidInput(f"{file.name} is empty.", hint=f"Write it as: {ID},label")
    rows = [[value.strip() for value in row] for row in lines]
    return rows[0], rows[1:]


def _table_rows(file: Path) -> tuple[list[str], list[list[str]]]:
    frame = read_table(file)
    text = frame.astype(object).where(frame.notna(), "")
    rows = [[str(value).strip() for value in row] for row in text.itertuples(index=False)]
    return [str(name).strip() for name in frame.columns], rows


def _csv(header: list[str], rows: Iterable[Iterable[Scalar]]) -> str:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()
