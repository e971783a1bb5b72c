from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from mlops_jupyter import plugins
from mlops_jupyter._tables import open_table, rows_table
from mlops_jupyter.errors import InvalidInput, NotFound
from mlops_jupyter.models import ColumnDrift, Report, to_json
from mlops_jupyter.monitoring import compare
from mlops_jupyter.monitoring.drift import compare_tables, summarize

Write = Callable[[pd.DataFrame, Path], None]
SUFFIXES = ["csv", "parquet"]


def normal(n: int) -> np.ndarray:
    return ndtri((np.arange(n) + 0.5) / n)


def write(frame: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


def files(folder: Path, suffix: str, reference: Any, current: Any) -> tuple[Path, Path]:
    return (
        write(pd.DataFrame(reference), folder / f"reference.{suffix}"),
        write(pd.DataFrame(current), folder / f"current.{suffix}"),
    )


def column(report: Report, name: str) -> ColumnDrift:
    return next(item for item in report.columns if item.column == name)


def about(report: Report, name: str) -> str:
    return " | ".join(text for text in report.findings if repr(name) in text)


MIXED = {
    "number": normal(900),
    "count": np.arange(900) % 40,
    "flag": np.arange(900) % 3 == 0,
    "plan": np.array(["a", "b", "c"])[np.arange(900) % 3],
    "rating": np.arange(900) % 4,
}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_each_column_gets_its_statistic(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame(MIXED)
    report = compare(*files(tmp_path, suffix, frame, frame))
    assert {item.column: item.statistic for item in report.columns} == {
        "number": "ks",
        "count": "ks",
        "flag": "z",
        "plan": "chisquare",
        "rating": "chisquare",
    }
    assert (report.status, report.drifted_share, report.findings) == ("ok", 0.0, [])
    assert (report.rows_reference, report.rows_current) == (900, 900)

    large = pd.concat([frame, frame])
    report = compare(*files(tmp_path, suffix, large, frame))
    assert {item.column: item.statistic for item in report.columns} == {
        "number": "wasserstein",
        "count": "wasserstein",
        "flag": "jensenshannon",
        "plan": "jensenshannon",
        "rating": "jensenshannon",
    }


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("n", "statistic"), [(1000, "ks"), (20000, "wasserstein")])
def test_files_give_the_golden_figures(tmp_path: Path, suffix: str, n: int, statistic: str) -> None:
    reference, current = files(tmp_path, suffix, {"x": normal(n)}, {"x": 1.1 * normal(n) + 0.3})
    report = compare(reference, current)
    golden = {"ks": 0.12, "wasserstein": 0.30008560785}
    assert (report.status, report.columns[0].statistic) == ("drift", statistic)
    assert report.columns[0].value == pytest.approx(golden[statistic], abs=1e-11)
    psi = {1000: 0.10142922035, 20000: 0.09966798914}
    by_psi = compare(reference, current, statistic="psi").columns[0]
    assert by_psi.value == pytest.approx(psi[n], abs=1e-11)
    assert by_psi.drift == (n == 1000)


def test_csv_and_parquet_give_the_same_figures(tmp_path: Path) -> None:
    frame, shifted = pd.DataFrame(MIXED), pd.DataFrame(MIXED).iloc[200:700]
    shifted = shifted.assign(number=shifted["number"] * 1.3, plan=shifted["plan"].replace("a", "b"))
    reports = [compare(*files(tmp_path, suffix, frame, shifted)) for suffix in SUFFIXES]
    assert reports[0].columns == reports[1].columns
    assert reports[0].findings == reports[1].findings


# --- bad data: a finding, never an exception, never a silent zero -------------------------------

N = 300
NAN = math.nan
SOUND = normal(N)
TEXT = ["a", "b", "c"] * (N // 3)

NOT_JUDGED = {
    "no values now": (SOUND, [NAN] * N, "has no values in the current data"),
    "no values before": ([NAN] * N, SOUND, "has no values in the reference"),
    "number becomes text": (SOUND, TEXT, "was numeric in the reference and is text now"),
    "text becomes number": (TEXT, SOUND, "was text in the reference and is numeric now"),
    "boolean becomes number": ([True, False] * 150, SOUND, "was boolean"),
    "only infinities": (SOUND, [math.inf] * N, "only infinite values in the current data"),
    "one value left": (SOUND, [1.0, *[NAN] * (N - 1)], "a single value in the current data"),
    "ids": ([f"id-{i}" for i in range(N)], [f"id-{i}" for i in range(9, N + 9)], "300 different"),
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("case", NOT_JUDGED)
def test_a_column_that_cannot_be_judged_says_so(tmp_path: Path, suffix: str, case: str) -> None:
    before, now, text = NOT_JUDGED[case]
    report = compare(
        *files(tmp_path, suffix, {"bad": before, "good": SOUND}, {"bad": now, "good": SOUND})
    )
    bad = column(report, "bad")
    assert (bad.value, bad.p_value, bad.drift) == (None, None, False)
    assert text in about(report, "bad")
    assert "not judged" in about(report, "bad")
    assert column(report, "good").value == 0
    assert (report.status, report.drifted_share) == ("ok", 0.0)


def test_columns_that_parquet_knows_but_statistics_do_not(tmp_path: Path) -> None:
    odd = {
        "time": [datetime(2026, 1, 1 + i % 28) for i in range(N)],
        "list": [[1, 2]] * N,
        "bytes": [b"x"] * N,
        "good": SOUND,
    }
    report = compare(*files(tmp_path, "parquet", odd, odd))
    for name, text in (("time", "time values"), ("list", "nested"), ("bytes", "nested")):
        assert column(report, name).value is None
        assert text in about(report, name)
    assert report.status == "ok"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_findings_beside_the_figures(tmp_path: Path, suffix: str) -> None:
    gaps = SOUND.copy()
    gaps[:90] = NAN
    spikes = SOUND.copy()
    spikes[:7] = math.inf
    before = {"gaps": SOUND, "spikes": SOUND, "same": [3.0] * N, "plan": TEXT, "gone": SOUND}
    now = {
        "gaps": gaps,
        "spikes": spikes,
        "same": [3.0] * N,
        "plan": ["z", *TEXT[1:]],
        "new": SOUND,
    }
    report = compare(*files(tmp_path, suffix, before, now))
    assert "missing values rose from 0.00% to 30.00%" in about(report, "gaps")
    assert "7 infinite values in the current data" in about(report, "spikes")
    assert "constant in the reference" in about(report, "same")
    assert "'z' not in the reference (1 of 300 rows)" in about(report, "plan")
    assert "missing from the current data" in about(report, "gone")
    assert "missing from the reference" in about(report, "new")
    assert [item.column for item in report.columns] == ["gaps", "spikes", "same", "plan"]
    assert column(report, "same").value == 0
    assert column(report, "same").p_value == 1
    plan = column(report, "plan")
    assert (plan.value, plan.p_value, plan.drift) == (None, 0.0, True)


def test_missing_values_are_left_out_of_the_figure(tmp_path: Path) -> None:
    gaps = np.insert(SOUND, [3, 100, 200], NAN)
    report = compare(*files(tmp_path, "csv", {"x": SOUND}, {"x": gaps}))
    assert report.columns[0].value == 0
    assert "rose from 0.00% to 0.99%" in report.findings[0]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("reference", "current", "text"),
    [
        ({"x": SOUND}, {"x": SOUND[:0]}, "the current data has no rows"),
        ({"x": SOUND[:0]}, {"x": SOUND}, "the reference has no rows"),
        ({"x": SOUND}, {"y": SOUND}, "no column in common"),
        ({"x": SOUND}, {"x": SOUND[:1]}, "1 row only"),
        ({"x": [NAN] * 9}, {"x": [NAN] * 9}, "has no values"),
    ],
)
def test_nothing_to_judge_is_invalid(
    tmp_path: Path, suffix: str, reference: Any, current: Any, text: str
) -> None:
    report = compare(*files(tmp_path, suffix, reference, current))
    assert (report.status, report.drifted_share) == ("invalid", 0.0)
    assert text in " | ".join(report.findings)
    assert all(item.value is None and not item.drift for item in report.columns)


def test_an_empty_csv_is_a_window_without_columns(tmp_path: Path) -> None:
    reference = write(pd.DataFrame({"x": SOUND}), tmp_path / "reference.csv")
    (tmp_path / "current.csv").write_text("")
    report = compare(reference, tmp_path / "current.csv")
    assert report.status == "invalid"
    assert "the current data has no rows" in report.findings


@pytest.mark.parametrize(
    ("name", "content", "error", "text"),
    [
        ("current.csv", b"\xff\xfe\x00a,b\n\x9f", InvalidInput, "current.csv cannot be read"),
        ("current.csv", b"x,y\n1,2\n3,4,5\n", InvalidInput, "current.csv cannot be read"),
        ("current.parquet", b"PAR1 no", InvalidInput, "current.parquet cannot be read"),
        ("current.xlsx", b"x", InvalidInput, "neither .csv nor .parquet"),
        ("current.csv", None, NotFound, "no file 'current.csv'"),
    ],
)
def test_files_that_cannot_be_read(
    tmp_path: Path, name: str, content: bytes | None, error: type[Exception], text: str
) -> None:
    reference = write(pd.DataFrame({"x": SOUND}), tmp_path / "reference.csv")
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=text) as caught:
        compare(reference, tmp_path / name)
    assert str(tmp_path) not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_row_index_is_no_column(tmp_path: Path) -> None:
    for name in ("reference.csv", "current.csv"):
        pd.DataFrame({"x": SOUND}).to_csv(tmp_path / name)
    report = compare(tmp_path / "reference.csv", tmp_path / "current.csv")
    assert [item.column for item in report.columns] == ["x"]


def test_a_chosen_statistic_judges_what_it_can(tmp_path: Path) -> None:
    pair = files(tmp_path, "csv", MIXED, MIXED)
    by_ks = compare(*pair, statistic="ks")
    assert column(by_ks, "plan").value is None
    assert "is categorical, which ks does not judge" in about(by_ks, "plan")
    assert column(by_ks, "rating").p_value == 1
    by_z = compare(*pair, statistic="z")
    assert column(by_z, "flag").p_value == 1
    assert "two categories, there are 3" in about(by_z, "plan")
    assert "is numeric, which z does not judge" in about(by_z, "number")
    assert compare(*pair, statistic="psi").status == "ok"
    with pytest.raises(NotFound, match="no statistic named 'kss'"):
        compare(*pair, statistic="kss")


def test_the_drifted_share_is_of_judged_columns(tmp_path: Path) -> None:
    before = {"a": SOUND, "b": SOUND, "c": SOUND, "d": TEXT}
    now = {"a": SOUND + 5, "b": SOUND, "c": SOUND, "d": SOUND}
    pair = files(tmp_path, "csv", before, now)
    report = compare(*pair)
    assert report.drifted_share == pytest.approx(1 / 3)
    assert report.status == "ok"
    assert compare(*pair, drift_share=0.3).status == "drift"


# --- tables -------------------------------------------------------------------------------------


def test_parquet_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "dictionary": pa.array(["a", "b", None, "a"]).dictionary_encode(),
            "codes": pa.array([1, 2, 1, None]).dictionary_encode(),
            "decimal": pa.array([Decimal("1.5"), None, Decimal("2.5"), Decimal("0.5")]),
            "big": pa.array([2**62, None, 1, 2]),
            "small": pa.array([3, 1, 2, 2], pa.int8()),
            "half": pa.array(np.array([2, 1, np.inf, np.nan], np.float16)),
            "null": pa.nulls(4),
            "a.b": pa.array([1.0, 2.0, 3.0, NAN]),
            "large": pa.array(["x", "y", "x", "x"], pa.large_string()),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    found = open_table(tmp_path / "t.parquet")
    assert found.column("dictionary").counts == {"a": 2, "b": 1}
    assert found.column("dictionary").missing == 1
    assert found.column("large").counts == {"x": 3, "y": 1}
    numbers = {
        "codes": [1, 1, 2],
        "decimal": [0.5, 1.5, 2.5],
        "big": [1, 2, 2**62],
        "small": [1, 2, 2, 3],
        "half": [1, 2],
        "a.b": [1, 2, 3],
    }
    for name, expected in numbers.items():
        values = found.column(name).numbers
        assert values is not None
        assert values.tolist() == expected
    half = found.column("half")
    assert (half.missing, half.infinite, half.valid) == (1, 1, 2)
    assert found.column("null").kind == "empty"


def test_parquet_with_a_name_twice(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(InvalidInput, match="two columns 'x'"):
        open_table(tmp_path / "t.parquet")


def test_rows_in_memory() -> None:
    rows: list[dict[str, Any]] = [
        {"n": 2, "f": 1.5, "b": True, "t": "x", "m": 1, "l": [1]},
        {"n": None, "f": 2, "b": None, "t": "y", "m": "one", "l": [2]},
        {"n": 10**400, "f": 0, "b": False, "t": "x"},
    ]
    table = rows_table(rows)
    assert (table.rows, table.names) == (3, ["n", "f", "b", "t", "m", "l"])
    assert [table.column(name).kind for name in table.names] == [
        "mixed",
        "numeric",
        "boolean",
        "text",
        "mixed",
        "nested",
    ]
    assert table.column("b").counts == {"True": 1, "False": 1}
    assert table.column("m").missing == 1
    assert rows_table([]).names == []


cells = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.just("a")
)
messy = st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys("abc", cells)), max_size=25)


@given(messy, messy, st.sampled_from([None, *plugins.names("statistics")]))
def test_any_rows_give_a_report(
    reference: list[dict[str, Any]], current: list[dict[str, Any]], statistic: str | None
) -> None:
    """Whatever is in the rows: no exception, no NaN, and a finding for what is not judged."""
    report = compare_tables(rows_table(reference), rows_table(current), statistic=statistic)
    assert "NaN" not in to_json(report)
    judged = [c for c in report.columns if not (c.value is c.p_value is None)]
    assert (report.status == "invalid") == (not judged)
    for item in report.columns:
        if item not in judged:
            assert not item.drift
            assert "not judged" in about(report, item.column)


def test_summary_names_the_strongest_first() -> None:
    def drifted(name: str, statistic: str, value: float | None, p: float | None) -> ColumnDrift:
        return ColumnDrift(name, statistic, value, p, 0.1 if p is None else 0.05, True)

    calm = ColumnDrift("calm", "ks", 0.01, 0.9, 0.05, False)
    blind = ColumnDrift("blind", "", None, None, 0.0, False)
    columns = [
        calm,
        drifted("weak", "wasserstein", 0.11, None),
        drifted("area", "ks", 0.81, 3e-40),
        drifted("plan", "chisquare", None, 0.0),
        drifted("tax", "ks", 0.3, 1e-9),
        blind,
    ]
    report = Report("drift", 500, 1140, 0.8, columns)
    assert summarize(report) == (
        "4 of 5 columns drifted (plan chisquare chi2=infinite, p=0, n=1,140; "
        "area ks D=0.81, p=3e-40, n=1,140; tax ks D=0.3, p=1e-09, n=1,140; 1 more)"
    )
    assert summarize(Report("ok", 9, 9, 0.0, [calm])) == "0 of 1 columns drifted"
