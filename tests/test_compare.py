from __future__ import annotations

import asyncio
import base64
import enum
import functools
import gzip
import importlib.util
import io
import itertools
import pickle
import re
import sqlite3
import sys
import threading
import types
import zipfile
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from mlops_jupyter.pipelines.compare import (
    compare_files,
    compare_outputs,
    equal_namespaces,
    equal_values,
    files_in,
    snapshot,
)
from mlops_jupyter.pipelines.compare.objects import loaded

v4 = nbformat.v4


def cell(*outputs, source="x", count=1):
    return v4.new_code_cell(source, outputs=list(outputs), execution_count=count)


def stream(text, name="stdout"):
    return v4.new_output("stream", name=name, text=text)


def shown(count=1, metadata=None, **data):
    named = {key.replace("__", "+").replace("_", "/", 1): value for key, value in data.items()}
    return v4.new_output(
        "execute_result", data=named, execution_count=count, metadata=metadata or {}
    )


def first(left, right, **options):
    found = compare_outputs([cell(*left)], [cell(*right)], **options)
    return found[0].first_difference if found else None


# --- outputs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "right", "difference"),
    [
        ([shown(text_plain="a 1")], [shown(text_plain="a 2")],
         "output 1, text/plain: 'a 1' != 'a 2'"),
        ([stream("x\ny\n")], [stream("x\nz\n")], "output 1, stdout: line 2: 'y' != 'z'"),
        ([stream("x\n")], [stream("x\ny\n")], "output 1, stdout: line 2: '' != 'y'"),
        ([stream("x")], [], "output 1 is missing: stdout 'x'"),
        ([], [shown(text_plain="1")], "output 1 is extra: execute_result of text/plain"),
        ([stream("x", "stderr")], [stream("x")], "output 1, kind: stderr 'x' != stdout 'x'"),
        ([shown(text_plain="1", text_html="<b>")], [shown(text_plain="1")],
         "output 1, text/html is missing"),
        ([shown(text_plain="1")], [shown(count=2, text_plain="1")],
         "output 1, execution count: 1 != 2"),
        ([shown(application_json={"a": [1, 2]})], [shown(application_json={"a": [1, 3]})],
         "output 1, application/json['a'][1]: 2 != 3"),
        ([shown(text_plain="1", metadata={"isolated": True})], [shown(text_plain="1")],
         "output 1, metadata: 1 keys != 0 keys, 'isolated' is on one side only"),
    ],
)  # fmt: skip
def test_the_first_difference_of_outputs_is_told(left, right, difference):
    assert first(left, right) == difference


def test_cells_are_compared_by_place():
    left = [cell(stream("1")), cell(stream("2"), count=2), v4.new_markdown_cell("a")]
    right = [cell(stream("1")), cell(stream("2"), count=3), v4.new_markdown_cell("b")]
    assert [(d.index, d.first_difference) for d in compare_outputs(left, right)] == [
        (1, "execution count: 2 != 3"),
        (2, "source: 'a' != 'b'"),
    ]
    assert [d.first_difference for d in compare_outputs(left, left[:2])] == ["the cell is missing"]
    assert [d.first_difference for d in compare_outputs(left[:2], left)] == ["the cell is extra"]


def test_when_a_stream_was_sent_does_not_count_but_what_it_says_does():
    whole = [stream("a\nb\n"), stream("e", "stderr"), shown(text_plain="1"), stream("c")]
    parts = [stream("e", "stderr"), stream("a\n"), stream("b\n"), shown(text_plain="1")]
    assert first(whole, [*parts, stream("c")]) is None
    assert first(whole, [*parts[:3], stream("c"), parts[3]]) == (
        "output 1, stdout: line 3: '' != 'c'"
    )


def error(value="bad", traceback=("a", "b"), name="ValueError"):
    return v4.new_output("error", ename=name, evalue=value, traceback=list(traceback))


def test_errors():
    assert first([error()], [error()]) is None
    assert first([error()], [error(name="KeyError")]) == "output 1, error: ValueError != KeyError"
    assert first([error()], [error("x")]) == "output 1, ValueError: 'bad' != 'x'"
    assert first([error()], [error(traceback=["a", "c"])]) == (
        "output 1, traceback: line 2: 'b' != 'c'"
    )


VOLATILE = {
    "memory addresses": ("<A object at 0x7f11aa22bb33>", "<A object at 0x5611aa22bb33>"),
    "cells' files": ("/tmp/ipykernel_1/99.py:3: Warn", "C:\\T\\ipykernel_22/98.py:3: Warn"),
    "time": (
        "CPU times: user 3 ms, sys: 0 ns, total: 3 ms\nWall time: 2.9 ms",
        "CPU times: user 1 s, sys: 1 s, total: 2 s\nCompiler : 111 ms\nWall time: 1min 2s",
    ),
    "timeit": (
        "The slowest run took 5.1 times longer than the fastest. So.\n"
        "1.2 µs ± 30 ns per loop (mean ± std. dev. of 7 runs, 1,000,000 loops each)",
        "3 ms ± 0 ns per loop (mean ± std. dev. of 7 runs, 100 loops each)",
    ),
    "tqdm": (
        "\rw:   0%|      | 0/4 [00:00<?, ?it/s]\rw: 100%|████| 4/4 [00:00<00:00, 9.00it/s]\n",
        "\rw:   0%|      | 0/4 [00:00<?, ?it/s]\rw:  50%|██  | 2/4 [00:01<00:01, 1.90it/s]"
        "\rw: 100%|████| 4/4 [00:02<00:00, 1.90it/s]\n",
    ),
    "tqdm without a total": ("\r0it [00:00, ?it/s]\r7it [00:00, 9.1it/s]", "\r7it [00:01, 5it/s]"),
    "joblib": (
        "[Parallel(n_jobs=2)]: Done 4 out of 4 | elapsed:    0.1s finished",
        "[Parallel(n_jobs=2)]: Done 4 out of 4 | elapsed:   1.3min finished",
    ),
    "keras": ("4/4 1s 2ms/step - loss: 0.1", "4/4 3s 12ms/step - loss: 0.1"),
    "logging": ("2024-01-01 10:00:00,123 INFO x", "2025-02-01 11:00:00,001 INFO x"),
}  # fmt: skip
STEADY = {
    "hexadecimal values": ("0xdeadbeef", "0xdeadbeee"),
    "bars that end elsewhere": (
        "\rw: 100%|████| 4/4 [00:00<00:00, 9it/s]", "\rw: 100%|████| 5/5 [00:00<00:00, 9it/s]"),
    "text beside a bar": (
        "a\n\r100%|██| 4/4 [00:00<00:00, 9it/s]", "b\n\r100%|██| 4/4 [00:00<00:00, 9it/s]"),
    "dates": ("2024-01-01 10:00:00", "2024-01-02 10:00:00"),
    "durations in data": ("half-life 5.3 s", "half-life 5.4 s"),
    "runs of timeit": (
        "1 s ± 0 ns per loop (mean ± std. dev. of 7 runs, 1 loop each)",
        "1 s ± 0 ns per loop (mean ± std. dev. of 2 runs, 1 loop each)"),
    "losses": ("4/4 1s 2ms/step - loss: 0.1", "4/4 1s 2ms/step - loss: 0.2"),
    "carriage returns": ("\rstep 1\rstep 2", "\rstep 2"),
    "ids in text": ("T_ab12c", "T_ab12d"),
}  # fmt: skip


@pytest.mark.parametrize("what", VOLATILE)
def test_volatile_text_is_ignored(what):
    left, right = VOLATILE[what]
    assert first([stream(left)], [stream(right)]) is None
    assert first([shown(text_plain=left)], [shown(text_plain=right)]) is None


@pytest.mark.parametrize("what", STEADY)
def test_other_text_is_not(what):
    left, right = STEADY[what]
    assert first([stream(left)], [stream(right)]) is not None


MARKUP = [
    ('<style>#T_ab12c_row0_col1 {}</style><td id="T_ab12c_row0_col1">1</td>', "T_ab12c", "T_ff12c"),
    ('<div id="sk-container-id-1"><label for="sk-estimator-id-2">', "id-1", "id-7"),
    ('<div id="123e4567-e89b-12d3-a456-426614174000">', "123e4567", "00000000"),
    ('<use xlink:href="#m0123456789"/><path id="m0123456789"/>', "m0123456789", "mabcdef0123"),
    ("<dc:date>2024-01-01T00:00:00</dc:date>", "2024", "2025"),
]


@pytest.mark.parametrize(("text", "old", "new"), MARKUP)
def test_ids_of_elements_are_ignored(text, old, new):
    other = text.replace(old, new)
    assert other != text
    assert first([shown(text_html=text)], [shown(text_html=other)]) is None
    assert first([shown(text_html=text)], [shown(text_html=text + "x")]) is not None


def test_ids_that_refer_elsewhere_are_not():
    left = '<p id="T_00001"><p id="T_00002"><a href="#T_00001">'
    right = '<p id="T_00003"><p id="T_00004"><a href="#T_00004">'
    assert "line" not in (first([shown(text_html=left)], [shown(text_html=right)]) or "line")


def test_the_folder_of_a_run_is_ignored():
    left, right = [stream("/tmp/a/x.csv\n")], [stream("/tmp/b/x.csv\n")]
    assert first(left, right) is not None
    assert first(left, right, folders=("/tmp/a", "/tmp/b")) is None


def test_the_order_of_keys_in_json_is_not_kept_by_files():
    left, right = ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1})
    assert first([shown(application_json=left)], [shown(application_json=right)]) is None


def test_models_of_widgets_are_ignored():
    view = "application/vnd.jupyter.widget-view+json"
    left, right = (
        v4.new_output("display_data", data={view: {"model_id": model, "version_major": 2}})
        for model in ("a1", "b2")
    )
    assert first([left], [right]) is None


def picture(pixel=0, kind="PNG", **options):
    from PIL import Image

    image = Image.new("RGB", (4, 3))
    image.putpixel((1, 1), (pixel, 0, 0))
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def test_pictures_are_compared_by_pixels():
    from PIL.PngImagePlugin import PngInfo

    note = PngInfo()
    note.add_text("Software", "another")
    same, other = picture(pnginfo=note), picture(pixel=9)
    assert same != picture()
    code = lambda data: shown(image_png=base64.b64encode(data).decode())  # noqa: E731
    assert first([code(picture())], [code(same)]) is None
    assert first([code(picture())], [code(other)]) == ("output 1, image/png: 1 of 12 pixels differ")


# --- files ----------------------------------------------------------------------------------------


def told(left, right, **options):
    return [(d.name, d.first_difference) for d in compare_files(left, right, **options)]


def packed(**members):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, (year, text) in members.items():
            archive.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), text)
    return target.getvalue()


def test_files_are_compared_by_what_they_mean():
    assert told({"a": b"1", "b": b"2"}, {"b": b"2", "c": b"3"}) == [
        ("a", "the file is missing"),
        ("c", "the file is extra"),
    ]
    assert told({"a": b"x\ny"}, {"a": b"x\nz"}) == [("a", "line 2: 'y' != 'z'")]
    assert told({"a": b"\xff\x00"}, {"a": b"\xff\x01\x02"}) == [
        ("a", "the bytes differ from 1 on (2 != 3 bytes)")
    ]
    times = [gzip.compress(b"same", mtime=at) for at in (1, 2)]
    assert told({"a": times[0]}, {"a": times[1]}) == []
    assert told({"a": times[0]}, {"a": gzip.compress(b"sane")}) == [("a", "'same' != 'sane'")]
    assert told({"a": packed(m=(2000, "x"))}, {"a": packed(m=(2001, "x"))}) == []
    assert told({"a": packed(m=(2000, "x"))}, {"a": packed(m=(2000, "y"))}) == [
        ("a", "m in it: 'x' != 'y'")
    ]
    assert told({"a": picture()}, {"a": picture(1)}) == [("a", "1 of 12 pixels differ")]
    assert told({"a": b"\x1f\x8bbroken"}, {"a": b"\x1f\x8brocken"}) == [
        ("a", "the bytes differ from 2 on (8 != 8 bytes)")
    ] or told({"a": b"\x1f\x8bbroken"}, {"a": b"\x1f\x8brocken"})
    assert told({"a": b"at 0x7f0011"}, {"a": b"at 0x7f0022"}) == []


def test_the_files_of_a_folder(tmp_path: Path):
    for name in ("x.txt", "deep/er/y.txt", ".mlops/cache", "executed/n.ipynb", "__pycache__/z"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "empty").mkdir()
    (tmp_path / "dangling").symlink_to("nowhere")
    found = files_in(tmp_path)
    assert set(found) == {"x.txt", "deep/er/y.txt", "empty/", "dangling"}
    assert compare_files(found, found) == []
    assert told(found, {**found, "dangling": b"elsewhere"}) == [
        ("dangling", "'nowhere' != 'elsewhere'")
    ]


# --- values ---------------------------------------------------------------------------------------


class Color(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass
class Point:
    x: float
    tags: list


Pair = namedtuple("Pair", "left right")


class Slotted:
    __slots__ = ("a", "b")


def slotted(a):
    made = Slotted()
    made.a = a
    return made


def counter(start):
    def up():
        nonlocal start
        start += 1
        return start

    return up


def model(slope=1.0):
    return LinearRegression().fit([[0.0], [1.0]], [0.0, slope])


def frame(**changes):
    return pd.DataFrame({"a": [1, 2], "b": ["x", None], **changes})


def cached(*calls):
    @functools.lru_cache
    def square(x):
        return x * x

    for call in calls:
        square(call)
    return square


def ring(n):
    made = [n]
    made.append(made)
    return made


def chain(end):
    made = end
    for n in range(5000):
        made = [n, made]
    return made


def own_class(body):
    namespace = {"__name__": "__main__"}
    exec(f"class Own:\n    {body}", namespace)
    return namespace["Own"]


PAIRS = [  # what makes a value, and another one that differs, and how
    (lambda: 1, 2, "v: 1 != 2"),
    (lambda: 1, 1.0, "v: int != float"),
    (lambda: 1, True, "v: int != bool"),
    (lambda: 0.0, -0.0, "v: 0.0 != -0.0"),
    (lambda: float("nan"), 1.0, "v: nan != 1.0"),
    (lambda: complex(0, float("nan")), 0j, "v: nanj != 0j"),
    (lambda: "a" * 100 + "b", "a" * 100 + "c", "v: from 70 on "),
    (lambda: [1, [2, 3]], [1, [2, 4]], "v[1][1]: 3 != 4"),
    (lambda: (1, 2), (1, 2, 3), "v: 2 items != 3 items"),
    (lambda: {"a": 1, "b": 2}, {"b": 2, "a": 1}, "v key: 'a' != 'b'"),
    (lambda: {"a": {"b": 1}}, {"a": {"b": 2}}, "v['a']['b']: 1 != 2"),
    (lambda: {"a": 1}, {"a": 1, "c": 2}, "v: 1 keys != 2 keys, 'c' is on one side only"),
    (lambda: {1, "x"}, {1, "y"}, "v: 'x' is on one side only"),
    (lambda: {1}, {True}, "v: 1 is on one side only"),
    (lambda: {(1, Color.RED)}, {(1, Color.BLUE)}, "v element[1].name: 'RED' != 'BLUE'"),
    (lambda: bytearray(b"a"), bytearray(b"b"), "v"),
    (lambda: Pair(1, [2]), Pair(1, [3]), "v.right[0]: 2 != 3"),
    (lambda: OrderedDict(a=1), OrderedDict(a=2), "v['a']: 1 != 2"),
    (lambda: Counter("ab"), Counter("aa"), "v: 2 keys != 1 keys"),
    (lambda: deque([1], 3), deque([1], 4), "v"),
    (lambda: defaultdict(list), defaultdict(dict), "v.default_factory"),
    (lambda: Color.RED, Color.BLUE, "v.name: 'RED' != 'BLUE'"),
    (lambda: Point(1.0, [1]), Point(1.0, [2]), "v.tags[0]: 1 != 2"),
    (lambda: slotted(1), slotted(2), "v.a: 1 != 2"),
    (lambda: re.compile("a"), re.compile("b"), "v argument 0: 'a' != 'b'"),
    (lambda: range(3), range(4), "v: range(0, 3) != range(0, 4)"),
    (lambda: io.StringIO("ab"), io.StringIO("ac"), "v"),
    (lambda: itertools.islice(itertools.count(5), 1), 1, "v: itertools.islice != int"),
    (lambda: iter([1, 2]), iter([1]), "v"),
    (lambda: eval("lambda x: x + 1"), eval("lambda x: x + 2"), "v.__code__.co_consts"),
    (lambda: eval("lambda x, y=[1]: x"), eval("lambda x, y=[2]: x"), "v.__defaults__[0][0]: "),
    (lambda: counter(1), counter(2), "v.__closure__[0].cell_contents[0]: 1 != 2"),
    (lambda: functools.partial(max, 1), functools.partial(max, 2), "v"),
    (lambda: cached(1), cached(1, 2), "v.cache_info()[1]: 1 != 2"),
    (lambda: [].append, [1].append, "v.__self__: 0 items != 1 items"),
    (lambda: own_class("n = 1"), own_class("n = 2"), "v.n: 1 != 2"),
    (lambda: own_class("def f(self): return 1"), own_class("def f(self): return 2"), "v.f.__code"),
    (own_class("n = 1"), own_class("n = 2")(), "v type.n: 1 != 2"),
    (lambda: ValueError("a"), ValueError("b"), "v: 'a' != 'b'"),
    (lambda: int, str, "v: class builtins.int != class builtins.str"),
    (lambda: io, re, "v: 'io' != 're'"),
    (lambda: ring(1), ring(2), "v[0]: 1 != 2"),
    (lambda: chain("end"), chain("fin"), "v[1][1][1][1]"),
    (lambda: np.arange(3), np.array([0, 1, 5]), "v[2]: 2 != 5"),
    (lambda: np.arange(3), np.arange(3.0), "v: dtype int64 != dtype float64"),
    (lambda: np.zeros((2, 3)), np.zeros((3, 2)), "v: shape (2, 3) != shape (3, 2)"),
    (lambda: np.zeros((2, 3)), np.asfortranarray(np.zeros((2, 3))), "v: c_contiguous True"),
    (lambda: np.array([np.nan, 0.0]), np.array([np.nan, -0.0]), "v[1]: "),
    (lambda: np.array(["NaT", "2024"], "M8[D]"), np.array(["NaT", "2025"], "M8[D]"), "v[1]: "),
    (lambda: np.array([1, [2]], object), np.array([1, [3]], object), "v[1][0]: 2 != 3"),
    (lambda: np.array([(1, 2.0)], "i4,f4"), np.array([(1, 3.0)], "i4,f4"), "v['f1'][0]: "),
    (lambda: np.ma.array([1, 2], mask=[0, 1]), np.ma.array([1, 2], mask=[0, 0]), "v.mask"),
    (lambda: np.float32(1), np.float64(1), "v: numpy.float32 != numpy.float64"),
    (lambda: np.array(5), np.array(6), "v: "),
    (lambda: np.random.default_rng(1), np.random.default_rng(2), "v"),
    (lambda: np.random.RandomState(1), np.random.RandomState(2), "v"),
    (frame, frame(a=[1, 3]), "v['a'][1]: 2 != 3"),
    (frame, frame(b=["x", "y"]), "v['b'].isna()"),
    (frame, frame().rename(columns={"a": "c"}), "v.columns"),
    (frame, frame().set_axis([5, 6]), "v.index: "),
    (frame, frame(a=[1.0, 2.0]), "v['a']: dtype int64 != dtype float64"),
    (lambda: pd.Series([1], name="x"), pd.Series([1], name="y"), "v.name: 'x' != 'y'"),
    (lambda: pd.Categorical(["a"], ["a", "b"]), pd.Categorical(["a"], ["a"]), "v.categories"),
    (lambda: pd.array([1, None], "Int64"), pd.array([1, 2], "Int64"), "v.isna()[1]: "),
    (lambda: pd.date_range("2024", periods=2, tz="UTC"),
     pd.date_range("2024", periods=2, tz="Europe/Berlin"), "v: dtype datetime64"),
    (lambda: pd.MultiIndex.from_tuples([("a", 1)]), pd.MultiIndex.from_tuples([("a", 2)]), "v.lev"),
    (lambda: pd.Timestamp("2024"), pd.Timestamp("2025"), "v"),
    (model, model(2.0), "v.coef_[0]: "),
]  # fmt: skip


@pytest.mark.parametrize(("make", "other", "difference"), PAIRS)
def test_values(make, other, difference):
    assert equal_values(make(), make()) is None
    found = equal_values(make(), other, "v")
    assert found is not None
    assert found.startswith(difference)
    assert equal_values(other, make()) is not None


def test_what_is_shared_counts():
    def shared():
        inner = [1]
        return {"a": inner, "b": [inner], "n": (1, "x")}

    apart = {"a": [1], "b": [[1]], "n": (1, "x")}
    assert equal_values(shared(), shared()) is None
    assert equal_values(apart, {"a": [1], "b": [[1]], "n": (1, "x")}) is None
    assert equal_values(shared(), apart, "v") == (
        "v['b'][0]: the same object as v['a'] != another object"
    )
    assert equal_values(apart, shared(), "v") == (
        "v['b'][0]: another object != the same object as v['a']"
    )
    array = np.zeros(2)
    frozen = (1, 2)
    assert equal_values([array, array], [np.zeros(2), np.zeros(2)]) is not None
    assert equal_values([frozen, frozen], [(1, 2), (1, 2)]) is None


def test_namespaces_are_compared_as_wholes():
    def namespace(same):
        xs = [1]
        return {"xs": xs, "ys": xs if same else [1], "n": 1}

    assert equal_namespaces(namespace(True), namespace(True)) == {}
    assert equal_namespaces(namespace(True), namespace(False)) == {
        "ys": "ys: the same object as xs != another object"
    }
    assert equal_namespaces({"a": 1, "b": 2}, {"b": 3, "c": 4}) == {
        "a": "a is missing",
        "b": "b: 2 != 3",
        "c": "c is extra",
    }


def going_on():
    """Values that no pickle can hold."""
    return {
        "generator": (n for n in range(3)),
        "connection": sqlite3.connect(":memory:"),
        "lock": threading.Lock(),
        "thread": threading.Thread(target=print),
        "file": open(__file__, encoding="utf-8"),
        "inside": Point(1.0, [threading.RLock()]),
        "queue": asyncio.Queue(),
    }


def test_what_cannot_be_pickled_is_compared_by_type():
    assert equal_namespaces(going_on(), going_on()) == {}
    changed = {**going_on(), "lock": threading.RLock(), "thread": 5}
    assert set(equal_namespaces(going_on(), changed)) == {"lock", "thread"}


def test_snapshots_carry_a_namespace_to_another_process():
    def namespace(n):
        xs = [n]
        kind = own_class(f"n = {n}")
        return {**going_on(), "xs": xs, "ys": xs, "model": model(n), "own": kind(), "f": lambda: n}

    left, right = (pickle.loads(snapshot(namespace(1))) for _ in range(2))
    assert equal_namespaces(left, right) == {}
    other = pickle.loads(snapshot(namespace(2)))
    assert set(equal_namespaces(left, other)) == {"xs", "model", "own", "f"}
    assert left["xs"] is left["ys"]
    lost = equal_namespaces(left, {**right, "lock": 1})
    assert lost == {"lock": "lock: _thread.lock != int"}


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(plain_values)
def test_a_copy_is_equal(value):
    assert equal_values(value, pickle.loads(pickle.dumps(value))) is None


@given(plain_values, plain_values)
def test_equality_is_pythons_but_for_nan_types_and_zeros(a, b):
    if equal_values(a, b) is None:
        assert repr(a) == repr(b)
    else:
        assert repr(a) != repr(b)


def test_a_snapshot_of_classes_that_cannot_be_imported():
    """As those of modules that an import hook of the notebook makes."""
    module = types.ModuleType("made_up")
    exec(
        "class Thing:\n    def __init__(self, n): self.n = n\n"
        "class Many(list): pass\ndef f(): pass",
        module.__dict__,
    )
    sys.modules["made_up"] = module
    try:
        one, same, other = (
            snapshot({"thing": module.Thing(n), "many": module.Many([1, n]), "f": module.f})
            for n in (1, 1, 2)
        )
    finally:
        del sys.modules["made_up"]
    assert equal_namespaces(loaded(one), loaded(same)) == {}
    assert equal_namespaces(loaded(one), loaded(other)).keys() == {"thing", "many"}


def test_a_snapshot_of_a_module_that_cannot_be_imported():
    modules = {name: types.ModuleType(name) for name in ("made_up", "made_otherwise")}
    sys.modules.update(modules)
    for module in modules.values():
        module.__spec__ = importlib.util.spec_from_loader(module.__name__, None)
    try:
        one, other = (snapshot({"m": module, "n": 1}) for module in modules.values())
    finally:
        for name in modules:
            del sys.modules[name]
    assert equal_namespaces(loaded(one), loaded(one)) == {}
    assert equal_namespaces(loaded(one), loaded(other)).keys() == {"m"}
