"""Fingerprints: equal data, equal digest; anything else, another."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from mlops_jupyter.capture.fingerprint import fingerprint, sample

TABLE = {
    "number": [1.0, 2.0, float("nan")],
    "text": ["a", "b", None],
    "whole": [1, 2, 3],
    "when": pandas.to_datetime(["2024-01-01", "2024-01-02", None]),
    "kind": pandas.Categorical(["x", "y", "x"]),
    "lists": [[1], [2], []],
}


def digest(data: Any) -> str:
    return fingerprint(data, "X").digest


def test_a_frame() -> None:
    frame = pandas.DataFrame(TABLE)
    found = fingerprint(frame, "X")
    assert (found.role, found.rows, found.columns) == ("X", 3, list(TABLE))
    assert found.digest == digest(frame.copy())
    assert found.digest == digest(frame.set_index(pandas.Index([7, 8, 9])))
    for column, value in (("number", 5.0), ("text", "c"), ("whole", 0), ("kind", "y")):
        changed = frame.copy()
        changed.loc[2, column] = value
        assert digest(changed) != found.digest, column
    assert digest(frame.rename(columns={"text": "words"})) != found.digest
    assert digest(frame.astype({"whole": "int32"})) != found.digest
    assert digest(frame.iloc[::-1]) != found.digest


@given(st.lists(st.floats(width=64), min_size=1), st.integers(min_value=0), st.floats())
def test_one_changed_value_changes_it(values: list[float], place: int, other: float) -> None:
    array = numpy.array(values)
    changed = array.copy()
    changed[place % len(values)] = other
    assert (digest(array) == digest(changed)) == (array.tobytes() == changed.tobytes())


def test_arrays() -> None:
    array = numpy.arange(6.0).reshape(3, 2)
    assert fingerprint(array, "X").columns == ["x0", "x1"]
    assert fingerprint(array[:, 0], "y").columns == ["y"]
    assert digest(array) == digest(numpy.asfortranarray(array)) == digest(array.tolist())
    assert digest(array) != digest(array.reshape(2, 3))
    assert digest(array) != digest(array.astype("float32"))
    assert digest(numpy.array(["a", "b"], dtype=object)) != digest(numpy.array(["a", "c"], object))
    assert digest(sparse.csr_matrix(array)) == digest(sparse.csc_matrix(array))
    assert fingerprint(sparse.csr_matrix(array), "X").rows == 3
    assert fingerprint(pandas.Series([1, 2], name="label"), "y").columns == ["label"]
    assert fingerprint((row for row in array), "X").digest == ""
    assert digest(numpy.empty((0, 3))) != ""


def test_the_digest_is_the_same_in_another_process() -> None:
    code = (
        "import pandas; from mlops_jupyter.capture.fingerprint import fingerprint\n"
        "print(fingerprint(pandas.DataFrame({'a': [1, 2], 'b': ['x', 'ü']}), 'X').digest)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(pandas.DataFrame({"a": [1, 2], "b": ["x", "ü"]}))


@pytest.mark.parametrize(
    "data",
    [
        numpy.arange(20.0).reshape(10, 2),
        pandas.DataFrame({"a": range(10)}),
        sparse.csr_matrix(numpy.eye(10)),
        [[1]] * 10,
    ],
    ids=["array", "frame", "sparse", "list"],
)
def test_a_sample_is_small_and_of_the_same_type(data: Any) -> None:
    few = sample(data)
    assert type(few) is type(data) or sparse.issparse(few)
    assert (few.shape[0] if hasattr(few, "shape") else len(few)) == 5
    assert sample(object()) is None
