from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.spatial import distance
from scipy.special import ndtri

from mlops_jupyter import plugins
from mlops_jupyter.errors import InvalidInput
from mlops_jupyter.statistics.base import Outcome
from mlops_jupyter.statistics.binning import filled, shares
from mlops_jupyter.statistics.selection import default_statistic
from mlops_jupyter.testing import StatisticConformance

NAMES = plugins.names("statistics")
SYMMETRIC = {"ks", "z", "jensenshannon", "psi"}


def compute(name: str, reference: object, current: object) -> Outcome:
    return plugins.load("statistics", name).compute(reference, current)


def shifted_normal(n: int) -> tuple[np.ndarray, np.ndarray]:
    reference = ndtri((np.arange(n) + 0.5) / n)
    return reference, 1.1 * reference + 0.3


# --- conformance: the registered ones, each through the inheritable suite -----------------------


def suite(name: str) -> type[StatisticConformance]:
    return type(
        f"Test_{name}",
        (StatisticConformance,),
        {"statistic": plugins.load("statistics", name), "symmetric": name in SYMMETRIC},
    )


globals().update({f"Test_{name}": suite(name) for name in NAMES})


def test_all_six_are_registered() -> None:
    assert set(NAMES) >= {"chisquare", "jensenshannon", "ks", "psi", "wasserstein", "z"}
    for name in NAMES:
        assert plugins.load("statistics", name).name == name


# --- golden vectors -----------------------------------------------------------------------------

GOLDEN = [
    (1000, "psi", 0.10142922035),
    (1000, "jensenshannon", 0.11072577129),
    (1000, "wasserstein", 0.30025344483),
    (1000, "ks", 0.12),
    (20000, "psi", 0.09966798914),
    (20000, "jensenshannon", 0.10922915185),
    (20000, "wasserstein", 0.30008560785),
    (20000, "ks", 0.11945),
]


@pytest.mark.parametrize(("n", "name", "value"), GOLDEN)
def test_golden_numeric(n: int, name: str, value: float) -> None:
    assert compute(name, *shifted_normal(n)).value == pytest.approx(value, abs=6e-12, rel=0)


def test_golden_ks_p_value() -> None:
    assert compute("ks", *shifted_normal(1000)).p_value == pytest.approx(1.08453e-6, rel=1e-6)


@pytest.mark.parametrize(("name", "value"), [("jensenshannon", 0.14664229), ("psi", 0.34358048)])
def test_golden_categorical(name: str, value: float) -> None:
    reference = {"a": 500, "b": 300, "c": 200}
    current = {"a": 400, "b": 300, "c": 250, "d": 50}
    assert compute(name, reference, current).value == pytest.approx(value, abs=5e-9, rel=0)


# --- equal to scipy and to textbook formulas ----------------------------------------------------

finite = st.floats(-1e6, 1e6, allow_nan=False, width=64)
numbers = arrays(np.float64, st.integers(1, 80), elements=finite)
coarse = arrays(np.int64, st.integers(1, 300), elements=st.integers(-40, 40))
table = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 500), min_size=1)


@pytest.mark.filterwarnings("ignore:ks_2samp")
@given(numbers | coarse, numbers | coarse)
def test_ks_equals_scipy(reference: np.ndarray, current: np.ndarray) -> None:
    expected = stats.ks_2samp(reference, current)
    outcome = compute("ks", reference, current)
    assert outcome.value == pytest.approx(expected.statistic, abs=1e-12)
    assert outcome.p_value == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-300)


@given(numbers | coarse, numbers | coarse)
def test_wasserstein_equals_scipy(reference: np.ndarray, current: np.ndarray) -> None:
    norm = max(np.std(reference), 0.001)
    expected = stats.wasserstein_distance(reference, current) / norm
    assert compute("wasserstein", reference, current).value == pytest.approx(
        expected, rel=1e-9, abs=1e-9
    )


@given(table, table)
def test_chisquare_equals_scipy(reference: dict[str, int], current: dict[str, int]) -> None:
    keys = sorted(reference | current)
    outcome = compute("chisquare", reference, current)
    if set(current) - set(reference):
        assert (outcome.value, outcome.p_value) == (math.inf, 0.0)
    elif len(keys) == 1:
        assert (outcome.value, outcome.p_value) == (0.0, 1.0)
    else:
        observed = np.array([current.get(key, 0) for key in keys])
        proportions = np.array([reference[key] for key in keys]) / sum(reference.values())
        expected = stats.chisquare(observed, proportions * observed.sum())
        assert outcome.value == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
        assert outcome.p_value == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-12)


@given(*[st.integers(0, 400)] * 4)
def test_z_squared_is_the_two_by_two_chi_square(a: int, b: int, c: int, d: int) -> None:
    if not (a + b and c + d and a + c and b + d):
        return
    outcome = compute("z", {"no": a, "yes": b}, {"no": c, "yes": d})
    expected = stats.chi2_contingency([[a, b], [c, d]], correction=False)
    assert outcome.value**2 == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
    assert outcome.p_value == pytest.approx(expected.pvalue, rel=1e-7, abs=1e-12)
    assert (outcome.value > 1e-9) == (d * (a + b) > b * (c + d))


@given(coarse, coarse)
def test_jensenshannon_and_psi_on_bins_equal_their_formulas(
    reference: np.ndarray, current: np.ndarray
) -> None:
    p, q = direct_bins(reference, current)
    expected = distance.jensenshannon(p, q)
    assert compute("jensenshannon", reference, current).value == pytest.approx(
        expected, rel=1e-9, abs=1e-7
    )
    p, q = (np.where(s == 0, direct_fill(s), s) for s in (p, q))
    expected_psi = float(sum((a - b) * math.log(a / b) for a, b in zip(p, q, strict=True)))
    assert compute("psi", reference, current).value == pytest.approx(
        expected_psi, rel=1e-9, abs=1e-12
    )


def direct_bins(reference: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The bins again, the slow and plain way."""
    if len(set(reference.tolist())) > 20:
        edges = np.histogram_bin_edges(np.concatenate([reference, current]), "sturges")
        counts = [np.histogram(sample, edges)[0] for sample in (reference, current)]
    else:
        values = sorted({*reference.tolist(), *current.tolist()})
        counts = [
            np.array([sample.tolist().count(value) for value in values])
            for sample in (reference, current)
        ]
    return counts[0] / len(reference), counts[1] / len(current)


def direct_fill(share: np.ndarray) -> float:
    smallest = min(value for value in share.tolist() if value)
    return smallest / 10**6 if smallest <= 0.0001 else 0.0001


@given(st.integers(21, 200).map(float), st.integers(1, 3))
def test_bins_do_not_depend_on_scale(n: float, power: int) -> None:
    reference = np.arange(n)
    p, q = shares(reference, reference[::2])
    scaled, _ = shares(reference * 2.0**power, reference[::2] * 2.0**power)
    assert np.array_equal(p, scaled)
    assert p.sum() == pytest.approx(1)
    assert q.sum() == pytest.approx(1)


def test_empty_bins_are_filled_by_evidently_s_rule() -> None:
    assert filled(np.array([0.0, 0.25, 0.75])).tolist() == [0.0001, 0.25, 0.75]
    assert filled(np.array([0.0, 0.0001, 0.9999]))[0] == pytest.approx(1e-10)


def test_the_p_value_of_z_keeps_its_tail() -> None:
    outcome = compute("z", {"no": 5000, "yes": 5000}, {"no": 4000, "yes": 6000})
    assert outcome.p_value is not None
    assert 0 < outcome.p_value < 1e-40


def test_z_refuses_three_categories() -> None:
    with pytest.raises(InvalidInput, match="two categories, there are 3"):
        compute("z", {"a": 1, "b": 2}, {"c": 3})


def test_a_range_that_has_no_bins_is_refused() -> None:
    wide = np.linspace(-1, 1, 50) * 1.7e308
    with pytest.raises(InvalidInput, match="range"):
        compute("psi", wide, wide)


def test_unequal_sizes_of_wasserstein_at_size() -> None:
    reference, _ = shifted_normal(30011)
    current = shifted_normal(20000)[1]
    expected = stats.wasserstein_distance(reference, current) / np.std(reference)
    assert compute("wasserstein", reference, current).value == pytest.approx(expected, rel=1e-9)


# --- which one by default -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "rows", "distinct", "name"),
    [
        ("numeric", 1000, 6, "ks"),
        ("numeric", 1000, 5, "chisquare"),
        ("numeric", 1000, 2, "z"),
        ("categorical", 1000, 2, "z"),
        ("categorical", 1000, 1, "z"),
        ("categorical", 1000, 3, "chisquare"),
        ("categorical", 1000, 60, "chisquare"),
        ("numeric", 1001, 6, "wasserstein"),
        ("numeric", 1001, 5, "jensenshannon"),
        ("categorical", 1001, 2, "jensenshannon"),
        ("categorical", 1001, 60, "jensenshannon"),
    ],
)
def test_default_by_size_and_type(kind: str, rows: int, distinct: int, name: str) -> None:
    assert default_statistic(kind, rows, distinct) == name  # type: ignore[arg-type]
