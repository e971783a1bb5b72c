from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlops_jupyter import records
from mlops_jupyter.errors import InvalidInput, NotFound
from mlops_jupyter.monitoring import labels
from mlops_jupyter.workspace import Workspace

NAME = "tumour"


def serve(workspace: Workspace, ids: list[str], *, start: int = 0, version: str = "1") -> None:
    """Put predictions on record, as the scoring server does."""
    writer = records.Writer(workspace, NAME)
    for number, request_id in enumerate(ids, start=start):
        row: list[Any] = [number + 0.1, number % 2 == 0, None if number == 1 else 'x,"y"', 10**15]
        names = ["mean area", "flag", "note", "count"]
        writer.append(request_id, "2026-01-01T00:00:00.000Z", version, names, [row], ["M"], 1.0)
    writer.close()


@pytest.fixture
def served(workspace: Workspace) -> Workspace:
    serve(workspace, [f"r{i}" for i in range(10)])
    return workspace


def file(workspace: Workspace, text: str, name: str = "labels.csv") -> Path:
    path = workspace.root / name
    path.write_text(text)
    return path


def add(workspace: Workspace, text: str) -> Any:
    return labels.add_labels(workspace, NAME, file(workspace, text))


def test_labels_join_by_request_id(served: Workspace) -> None:
    added = add(served, "request_id,diagnosis\nr1,M\nr3,B\nr99,B\n")
    assert (added.matched, added.unknown, added.corrected) == (2, 1, 0)
    assert (added.labelled, added.records, added.coverage) == (2, 10, 0.2)
    assert (added.deployment, added.label) == (NAME, "diagnosis")

    path = labels.labelled(served, NAME)
    assert path == served.root / ".mlops" / "labels" / "tumour-labelled.csv"
    frame = pd.read_csv(path)
    assert list(frame.columns) == ["mean area", "flag", "note", "count", "diagnosis"]
    assert frame["mean area"].tolist() == [1.1, 3.1]
    assert frame["flag"].tolist() == [False, False]
    assert frame["note"].isna().tolist() == [True, False]
    assert frame["note"][1] == 'x,"y"'
    assert frame["count"].tolist() == [10**15] * 2
    assert frame["diagnosis"].tolist() == ["M", "B"]


def test_the_same_again_changes_nothing(served: Workspace) -> None:
    text = "request_id,label\nr1,M\nr2,B\nr2,B\n"
    first = add(served, text)
    stored = served.path("labels", f"{NAME}.labels.csv")
    before = stored.read_bytes()
    assert add(served, text) == first
    assert stored.read_bytes() == before


def test_a_different_label_is_a_correction(served: Workspace) -> None:
    add(served, "request_id,label\nr1,M\nr2,B\n")
    corrected = add(served, "label,request_id\nB,r1\nB,r2\nM,r4\n")
    assert (corrected.matched, corrected.corrected, corrected.labelled) == (3, 1, 3)
    assert pd.read_csv(labels.labelled(served, NAME))["label"].tolist() == ["B", "B", "M"]


def test_labels_may_come_before_their_record(served: Workspace) -> None:
    assert add(served, "request_id,label\nlate,M\n").unknown == 1
    with pytest.raises(InvalidInput, match="No record of 'tumour' has a label yet"):
        labels.labelled(served, NAME)
    serve(served, ["late"], start=10)
    assert pd.read_csv(labels.labelled(served, NAME))["label"].tolist() == ["M"]
    again = add(served, "request_id,label\nlate,M\n")
    assert (again.matched, again.unknown, again.records) == (1, 0, 11)


def test_of_a_repeated_request_the_newest_counts(served: Workspace) -> None:
    serve(served, ["r1"], start=50)
    added = add(served, "request_id,label\nr1,M\n")
    assert (added.matched, added.labelled, added.records) == (1, 2, 11)
    assert pd.read_csv(labels.labelled(served, NAME))["mean area"].tolist() == [50.1]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1, 0], ["1", "0"]), ([0.5, 2.0], ["0.5", "2.0"]), ([True, False], ["True", "False"])],
)
def test_parquet_labels(served: Workspace, values: list[Any], expected: list[str]) -> None:
    path = served.root / "labels.parquet"
    pd.DataFrame({"request_id": ["r1", "r2"], "label": values}).to_parquet(path)
    assert labels.add_labels(served, NAME, path).matched == 2
    frame = pd.read_csv(labels.labelled(served, NAME), dtype=str)
    assert frame["label"].tolist() == expected


def test_parquet_ids_may_be_numbers(workspace: Workspace) -> None:
    serve(workspace, ["1", "2"])
    path = workspace.root / "labels.parquet"
    pd.DataFrame({"request_id": [1, 2], "label": ["a", "b"]}).to_parquet(path)
    assert labels.add_labels(workspace, NAME, path).matched == 2


def test_a_byte_order_mark_crlf_and_an_index_column(served: Workspace) -> None:
    text = "\ufeff,request_id,label\r\n0, r1 ,M\r\n1,r2,B\r\n\r\n"
    assert add(served, text).matched == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "labels.csv is empty"),
        ("request_id,label\n", "labels.csv has no labels"),
        ("request,label\nr1,M\n", "must have the columns request_id and one more"),
        ("request_id\nr1\n", "must have the columns request_id and one more"),
        ("request_id,label,more\nr1,M,2\n", "it has: request_id, label, more"),
        ("request_id,label\nr1,M\nr1,B\n", "row 2: 'r1' has the label 'B', further up it has 'M'"),
        ("request_id,label\nr1,M\nr2,\n", "row 2 has no label"),
        ("request_id,label\n,M\n", "row 1 has no request_id"),
        ("request_id,label\nr1,M\nr2\n", "row 2 has 1 values, the header 2"),
        ('request_id,label\nr1,"M\n', "is not a CSV file"),
    ],
)
def test_a_wrong_file_is_one_clear_line(served: Workspace, text: str, message: str) -> None:
    add(served, "request_id,label\nr5,M\n")
    stored = served.path("labels", f"{NAME}.labels.csv")
    before = stored.read_bytes()
    with pytest.raises(InvalidInput, match=message) as caught:
        add(served, text)
    assert "\n" not in str(caught.value)
    assert str(served.root) not in str(caught.value)
    assert caught.value.hint
    assert stored.read_bytes() == before


def test_bytes_that_are_no_text(served: Workspace) -> None:
    path = served.root / "labels.csv"
    path.write_bytes(b"request_id,label\nr1,\xff\n")
    with pytest.raises(InvalidInput, match="is not a CSV file"):
        labels.add_labels(served, NAME, path)
    path.write_bytes(b"request_id,label\nr1,\x00\n")
    with pytest.raises(InvalidInput, match="NUL"):
        labels.add_labels(served, NAME, path)


def test_a_parquet_label_that_is_missing(served: Workspace) -> None:
    path = served.root / "labels.parquet"
    pd.DataFrame({"request_id": ["r1", "r2"], "label": ["a", None]}).to_parquet(path)
    with pytest.raises(InvalidInput, match="row 2 has no label"):
        labels.add_labels(served, NAME, path)


def test_the_label_keeps_its_name(served: Workspace) -> None:
    add(served, "request_id,diagnosis\nr1,M\n")
    with pytest.raises(InvalidInput, match=r"are called 'diagnosis', in labels\.csv .* 'truth'"):
        add(served, "request_id,truth\nr1,M\n")


def test_an_input_called_like_the_label(served: Workspace) -> None:
    add(served, "request_id,flag\nr1,M\n")
    with pytest.raises(InvalidInput, match="'flag' is both an input and the label"):
        labels.labelled(served, NAME)


@pytest.mark.parametrize("name", ["nobody", "../records/tumour", "", "a/b"])
def test_no_such_deployment(served: Workspace, name: str) -> None:
    path = file(served, "request_id,label\nr1,M\n")
    with pytest.raises(NotFound, match="There is no deployment"):
        labels.add_labels(served, name, path)
    with pytest.raises(NotFound, match="There is no deployment"):
        labels.labelled(served, name)


def test_no_such_file(served: Workspace) -> None:
    with pytest.raises(NotFound, match=r"no labels file 'none\.csv'"):
        labels.add_labels(served, NAME, Path("none.csv"))
