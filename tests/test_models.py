"""models.py: what goes out as JSON comes back as the same dataclass."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_jupyter import models

DATACLASSES = [
    value
    for value in vars(models).values()
    if isinstance(value, type) and dataclasses.is_dataclass(value)
]

# AuditEntry.detail may hold any JSON object, so the values of Any are drawn from JSON's own.
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))


def instances(cls: type) -> st.SearchStrategy:
    if cls is models.AuditEntry:
        return st.builds(cls, detail=st.dictionaries(st.text(), json_values, max_size=3))
    return st.from_type(cls)


def test_there_are_dataclasses():
    assert len(DATACLASSES) > 20


@pytest.mark.parametrize("cls", DATACLASSES, ids=lambda cls: cls.__name__)
def test_all_are_frozen(cls):
    assert cls.__dataclass_params__.frozen


@pytest.mark.parametrize("cls", DATACLASSES, ids=lambda cls: cls.__name__)
def test_round_trip_through_json(cls):
    @settings(max_examples=30)
    @given(instances(cls))
    def round_trip(item):
        assert models.from_dict(cls, json.loads(models.to_json(item))) == item

    round_trip()


@given(st.from_type(models.PipelineRun), st.text(), json_values)
def test_a_newer_version_may_add_keys(item, key, value):
    data = models.to_dict(item)
    data.setdefault(f"new {key}", value)
    data["steps"] = [{**step, f"new {key}": value} for step in data["steps"]]
    assert models.from_dict(models.PipelineRun, data) == item


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_cannot_say_becomes_null(value):
    column = models.ColumnDrift("age", "psi", value, None, 0.1, drift=False)
    text = models.to_json([{"columns": (column,)}])
    assert json.loads(text, parse_constant=pytest.fail)[0]["columns"][0]["value"] is None


def test_a_missing_field_is_not_made_up():
    with pytest.raises(TypeError, match="time"):
        models.from_dict(models.Event, {"noun": "runs", "id": "1", "change": "created"})


def test_now_is_utc_to_the_millisecond():
    assert dataclasses.is_dataclass(models.Event)
    stamp = models.now()
    assert len(stamp) == len("2026-01-01T00:00:00.000Z")
    assert stamp.endswith("Z")
    assert stamp <= models.now()
