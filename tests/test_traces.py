"""Traces: what they are as notes, and which of them hold."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipelines_support import notebook, play

from mlops_jupyter.blobs import Blobs, hash_file, hash_of
from mlops_jupyter.heap import Bundle
from mlops_jupyter.pipelines.state import Delta, State, put_back
from mlops_jupyter.pipelines.steps import cut
from mlops_jupyter.pipelines.traces import (
    FileSeen,
    Trace,
    Traces,
    code_keys,
    counts,
    decode,
    distributions_of,
    encode,
    installed,
    variable,
)
from mlops_jupyter.stepkernel.observer import hash_of_listing

pytest_plugins = ("pipelines_fixtures",)
CODE = "c" * 40
A, B = "a" * 64, "b" * 64


def bundle(*names, token="t", **fields):
    return Bundle(names, token, **{"stored": True, **fields})


def trace(outputs=A, **fields):
    plain = Trace(
        code=CODE,
        label="l" * 40,
        notebook="a.ipynb",
        step="s",
        created="2026-01-01T00:00:00.000Z",
        run="r",
        seconds=1.0,
        reads={},
        everything=False,
        ambient={},
        unread=[],
        files={},
        listed={},
        environment={},
        distributions={},
        modules={},
        count=None,
        surroundings="",
        within=[],
        uncertain=[],
        delta=Delta(),
        outputs=outputs,
    )
    return replace(plain, **fields)


@pytest.fixture
def blobs(tmp_path):
    return Blobs(tmp_path / "cache")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "nb").mkdir()
    return tmp_path / "nb"


@pytest.fixture
def traces(blobs, folder):
    return Traces(blobs, folder, sealed=True)


# --- notes ------------------------------------------------------------------------------------

words = st.text(st.characters(codec="utf-8"), max_size=5)
bundles = st.builds(
    Bundle,
    st.lists(words, min_size=1, max_size=3).map(tuple),
    words,
    stored=st.booleans(),
    size=st.integers(0, 10),
    refs=st.lists(words, max_size=2).map(tuple),
    globals=st.lists(words, max_size=2).map(tuple),
)
deltas = st.builds(
    Delta,
    st.lists(bundles, max_size=2).map(tuple),
    st.lists(words, max_size=2).map(tuple),
    *[st.dictionaries(words, words, max_size=2)] * 4,
    st.lists(words, max_size=2).map(tuple),
)
seen = st.builds(FileSeen, words, st.integers(0, 9), st.integers(0, 9))


@given(deltas, st.dictionaries(words, seen, max_size=2), st.none() | st.integers(1, 9))
def test_a_trace_comes_back_as_it_was(delta, files, count):
    item = trace(delta=delta, files=files, count=count)
    assert decode(encode(item), sealed=True) == item


@given(st.data())
def test_whatever_is_changed_in_a_note_it_is_not_taken(data):
    note = encode(trace(reads={"x": "1"}))
    place = data.draw(st.integers(0, len(note) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != note[place]))
    changed = note[:place] + bytes([byte]) + note[place + 1 :]
    assert decode(changed, sealed=True) is None
    assert decode(note[:place], sealed=True) is None


def test_a_seal_of_somebody_else(monkeypatch, tmp_path):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "other"))
    note = encode(trace())
    monkeypatch.undo()
    assert decode(note, sealed=True) is None
    assert decode(note, sealed=False) == trace(), "a URL is trusted as its owner is"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"delta": 1}', b"{", b'"x"', b"1"])
def test_notes_of_another_form(body):
    assert decode(b"\n" + body, sealed=False) is None


# --- code -------------------------------------------------------------------------------------


def keys(*cells, kernel="python3", **given):
    content = notebook(*cells)
    return code_keys(content, cut(content), kernel, given)


def test_what_is_the_same_code():
    (plain,) = keys("x = 1")
    assert keys("x = 1  # one") == keys("\nx   =  1\n\n") == [plain]
    assert keys("x = 2") != [plain]
    assert keys("x = 1", kernel="other") != [plain]
    assert keys(("raises-exception", "x = 1")) != [plain]
    assert keys("x = '#'") != keys("x = '# '")
    assert keys("%%bash\necho 1") != keys("%%bash\necho 1 # one"), "text of another language"
    assert keys("%time x = 1") != [plain]


def test_parameters_count_by_their_values():
    cell = ("injected-parameters", "# Parameters\nx = 1")
    assert keys(cell, x="1") == keys((cell[0], "x   = 1"), x="1")
    assert keys(cell, x="1") != keys(cell, x="2")
    assert keys("x", x="1") == keys("x", x="2"), "only where they are injected"


def test_counts():
    content = notebook("# A", "1", "2", "## B", "3", "## C", "4")
    assert counts(cut(content)) == [1, 3, 4]


# --- which hold -------------------------------------------------------------------------------


def held(traces, blobs, item, state=State(), *, count=1, run=None):  # noqa: B008  # it is frozen
    """Why the only trace does not hold in ``state``; ``""``: it does."""
    traces.write(replace(item, blobs=[], outputs=blobs.put(b"{}")))
    found, why = traces.find(CODE, state, count, run)
    assert bool(found) is (why == "")
    return why


def test_values(traces, blobs):
    reads = trace(reads={"x": "t", "y": ""})
    state = State({"x": bundle("x"), "z": bundle("z")})
    assert held(traces, blobs, reads, state) == ""
    assert held(traces, blobs, reads, State({"x": bundle("x", token="u")})) == "x changed"
    assert held(traces, blobs, reads, State()) == "x changed"
    now_bound = State({"x": bundle("x"), "y": bundle("y")})
    assert held(traces, blobs, reads, now_bound) == "y changed"
    code = trace(reads={"f#1": "t"})
    assert held(traces, blobs, code, State({"f#1": bundle("f#1", token="u")})) == "f changed"


def test_everything(traces, blobs):
    item = trace(everything=True, reads={"x": "t", "unbound": ""})
    assert held(traces, blobs, item, State({"x": bundle("x")})) == ""
    more = State({"x": bundle("x"), "y": bundle("y")})
    assert "everything" in held(traces, blobs, item, more)


def test_ambient_state_and_surroundings(traces, blobs):
    item = trace(ambient={"random": A}, unread=["numpy-random"])
    assert held(traces, blobs, item, State(ambient={"random": A, "numpy-random": B})) == ""
    assert held(traces, blobs, item, State(ambient={"random": B})) == "random state changed"
    assert held(traces, blobs, item) == "random state changed"
    assert held(traces, blobs, trace(), State(live={"hooks": "live:l:hooks"})) == (
        "hooks state changed"
    )
    around = State(surroundings=("one",))
    assert held(traces, blobs, trace(within=["one"]), around) == ""
    assert held(traces, blobs, trace(), around) == "its surroundings changed"
    assert held(traces, blobs, trace(within=["two"]), around) == "its surroundings changed"


def test_files(traces, blobs, folder):
    file = folder / "f"
    item = trace(files={"f": FileSeen(hash_of(b"one"))})
    assert held(traces, blobs, item) == "file f changed"
    file.write_bytes(b"one")
    assert held(traces, blobs, item) == ""
    file.write_bytes(b"two")
    assert held(traces, blobs, item) == "file f changed"
    missing = trace(files={"g": FileSeen("")})
    assert held(traces, blobs, missing) == ""
    (folder / "g").touch()
    assert held(traces, blobs, missing) == "file g changed"


def test_a_file_that_an_earlier_step_writes(traces, blobs, folder):
    """What it holds then counts, not what is there now: it will be put back."""
    item = trace(files={"f": FileSeen(A)})
    assert held(traces, blobs, item, State(files={"f": A})) == ""
    assert held(traces, blobs, item, State(files={"f": B})) == "file f changed"
    assert held(traces, blobs, trace(files={"f": FileSeen("")}), State(files={"f": ""})) == ""


def test_a_file_is_read_again_only_if_its_times_changed(traces, blobs, folder):
    file = folder / "f"
    file.write_bytes(b"one")
    assert traces.seen("f", hash_of(b"one")).changed_ns == 0, "too new to be settled"
    os.utime(file, ns=(10**18, 10**18))
    seen = traces.seen("f", hash_of(b"one"))
    assert (seen.size, seen.changed_ns) == (3, 10**18)
    file.write_bytes(b"two")
    os.utime(file, ns=(10**18, 10**18))
    assert held(traces, blobs, trace(files={"f": seen})) == "", "nobody can tell without reading"
    os.utime(file, ns=(10**18, 10**18 + 1))
    assert held(traces, blobs, trace(files={"f": seen})) == "file f changed"


def test_folders_variables_modules_distributions(traces, blobs, folder, monkeypatch):
    listed = trace(listed={".": hash_of_listing(folder)})
    assert held(traces, blobs, listed) == ""
    (folder / ".mlops").mkdir()
    assert held(traces, blobs, listed) == "", "ours"
    (folder / "x").touch()
    assert held(traces, blobs, listed) == "folder . changed"
    monkeypatch.setenv("TEST_VARIABLE", "1")
    asked = trace(environment={"TEST_VARIABLE": variable("TEST_VARIABLE"), "NONE_SUCH": ""})
    assert variable("TEST_VARIABLE") != "1"
    assert held(traces, blobs, asked) == ""
    monkeypatch.setenv("TEST_VARIABLE", "2")
    assert held(traces, blobs, asked) == "variable TEST_VARIABLE changed"
    loaded = trace(modules={"own.py": A})
    assert held(traces, blobs, loaded, State(modules={"own.py": A})) == ""
    assert held(traces, blobs, loaded, State(modules={"own.py": B})) == "module own changed"
    assert held(traces, blobs, loaded) == "module own changed"
    versions = distributions_of(["blake3", "nbformat", "nothing_like_it"])
    assert versions == {name: installed()[name] for name in ("blake3", "nbformat")}
    assert held(traces, blobs, trace(distributions=versions)) == ""
    older = trace(distributions={"blake3": "0.0.1"})
    assert held(traces, blobs, older) == f"blake3 0.0.1 became {versions['blake3']}"
    gone = trace(distributions={"nothing-like-it": "1"})
    assert held(traces, blobs, gone) == "nothing-like-it 1 became uninstalled"


def test_uncertain_ones_count_for_the_run_that_is_resumed(traces, blobs):
    item = trace(uncertain=["network: example.org"], run="r1")
    assert held(traces, blobs, item) == "not cached: network: example.org"
    assert held(traces, blobs, item, run="r2") == "not cached: network: example.org"
    assert held(traces, blobs, item, run="r1") == ""


def test_numbers_of_cells(traces, blobs):
    assert held(traces, blobs, trace(count=3), count=3) == ""
    assert held(traces, blobs, trace(count=3), count=4) == "its cell numbers changed"
    assert held(traces, blobs, trace(count=None), count=4) == ""


def test_results_that_are_gone(traces, blobs):
    here = blobs.put(b"x")
    traces.write(trace(outputs=here, blobs=[here]))
    assert traces.find(CODE, State(), 1, None)[0]
    (blobs.folder / "blobs" / here[:2] / here).unlink()
    assert traces.find(CODE, State(), 1, None) == (None, "its results were pruned")
    traces.write(trace(outputs=here, delta=Delta(written={"big": "-"})))
    assert traces.find(CODE, State(), 1, None) == (None, "a file that it writes is not stored")


def test_the_newest_that_holds(traces, blobs):
    outputs = blobs.put(b"{}")
    for day, label, token in ((1, "1", "t"), (2, "2", "t"), (3, "3", "u")):
        created = f"2026-01-0{day}T00:00:00.000Z"
        traces.write(trace(outputs, label=label * 40, created=created, reads={"x": token}))
    found, _ = traces.find(CODE, State({"x": bundle("x")}), 1, None)
    assert found.label == "2" * 40
    assert traces.find(CODE, State(), 1, None) == (None, "x changed")
    assert traces.find("d" * 40, State(), 1, None) == (None, "")


def test_what_is_used_is_spared_by_pruning(traces, blobs):
    traces.write(trace(blobs.put(b"{}")))
    (entry,) = blobs.entries("traces/")
    os.utime(blobs.folder / entry.name, (1, 1))
    assert traces.find(CODE, State(), 1, None)[0]
    (entry,) = blobs.entries("traces/")
    assert entry.used > 1


# --- states -----------------------------------------------------------------------------------


def test_what_cannot_be_stored_has_its_makers():
    live = bundle("g", token="live:1:g", stored=False)
    state = State().after(0, Delta((bundle("x"),)), "0")
    state = state.after(1, Delta((live,)), "1")
    assert state.makers == {"live:1:g": (1,)}
    state = state.after(2, Delta((replace(live, token="live:2:g"),)), "2")
    assert state.makers["live:2:g"] == (1, 2), "made in one step, moved on in another"
    state = state.after(3, Delta(live={"hooks": "why"}), "3")
    assert state.live == {"hooks": "live:3:hooks"}
    state = state.after(4, Delta(ambient={"hooks": ""}), "4")
    assert (state.live, state.ambient) == ({}, {})
    state = state.after(5, Delta(deleted=("g",)), "5", keeps=True)
    assert (sorted(state.names), state.surroundings) == (["x"], ("5",))


def test_reach():
    shared = bundle("a", "b", refs=("f#1",))
    code = bundle("f#1", globals=("c", "d"))
    state = State({"a": shared, "b": shared, "f#1": code, "c": bundle("c"), "e": bundle("e")})
    assert set(state.reach(["a"])) == {"a", "b", "f#1", "c", "d"}
    assert state.reach(["a"])["d"] == "" == state.reach(["unbound"])["unbound"]
    assert set(state.reach(None)) == set(state.names) | {"d"}
    assert state.bundles(["a", "b", "nothing"]) == [shared]


def test_a_part_of_what_is_shared_is_not_bound_anew():
    """Unless the rest is code to which nothing refers any more."""
    shared = bundle("a", "g#1", refs=("g#1",))
    state = State().after(0, Delta((shared, bundle("g", refs=("g#1",)))), "0")
    assert not state.torn(Delta((bundle("a", "g#1", token="u"),)))
    assert state.torn(Delta((bundle("a", token="u"),))), "g still is what has the value"
    anew = Delta((bundle("a", token="u"), bundle("g", token="u", refs=("g#2",)), bundle("g#2")))
    assert not state.torn(anew)
    assert sorted(state.after(1, anew, "1").names) == ["a", "g", "g#2"]
    kept = state.after(1, Delta((bundle("h", refs=("g#1",)),)), "1")
    assert kept.torn(anew)
    two = State().after(0, Delta((bundle("a", "b"),)), "0")
    assert two.torn(Delta((bundle("a", token="u"),))) and not two.torn(Delta(deleted=("a", "b")))


def test_files_are_put_back(blobs, folder):
    one = blobs.put(b"one")
    (folder / "old" / "deep").mkdir(parents=True)
    (folder / "old" / "deep" / "f").touch()
    (folder / "kept").mkdir()
    (folder / "kept" / "mine").touch()
    (folder / "right").write_bytes(b"one")
    before = (folder / "right").stat()
    (folder / "wrong").write_bytes(b"two")
    (folder / "link").symlink_to("elsewhere")
    written = dict.fromkeys(["old", "old/deep", "old/deep/f", "kept", "never"], "")
    written |= {"right": one, "wrong": one, "new": "dir", "new/x/f": one, "new/x": "dir"}
    written |= {"link": "link:right", "link2": "link:wrong", "later": one}
    there = put_back(blobs, folder, written, set(written) - {"later"} | {"not written"})
    found = {str(p.relative_to(folder)): p for p in folder.rglob("*")}
    names = ["kept", "kept/mine", "link", "link2", "new", "new/x", "new/x/f", "right", "wrong"]
    assert sorted(found) == names
    assert hash_file(folder / "wrong") == one == hash_file(folder / "new/x/f")
    assert (folder / "right").stat().st_mtime_ns == before.st_mtime_ns, "not touched"
    assert (os.readlink(folder / "link"), os.readlink(folder / "link2")) == ("right", "wrong")
    assert there == {
        **dict.fromkeys(["new", "new/x", "new/x/f", "link2"], ""),
        **{"old": "dir", "old/deep": "dir", "old/deep/f": hash_of(b""), "kept": "dir"},
        **{"wrong": hash_of(b"two"), "link": "link:elsewhere"},
    }
    put_back(blobs, folder, there, there)
    assert (folder / "wrong").read_bytes() == b"two" and os.readlink(folder / "link") == "elsewhere"
    assert (folder / "old" / "deep" / "f").exists() and not os.path.lexists(folder / "new")


# --- damage -----------------------------------------------------------------------------------

CELLS = ("xs = [1, 2]", "ys = [*xs, 3]", "open('f', 'w').write('x')\nprint(ys)")


def damage(path, how):
    data = path.read_bytes()
    changed = data[: len(data) // 2] if how == "short" else data[:-1] + bytes([data[-1] ^ 1])
    path.chmod(0o644)
    path.write_bytes(changed)


@pytest.mark.parametrize("how", ["short", "changed", "gone"])
@pytest.mark.parametrize("what", ["blobs", "traces"])
def test_a_damaged_cache_is_not_used_and_the_run_is_right(ready, what, how):
    play(ready, *CELLS)
    files = [file for file in (ready.state / "cache" / what).rglob("*") if file.is_file()]
    assert files
    for file in files:
        if how == "gone":
            file.unlink()
        else:
            damage(file, how)
    again = play(ready, *CELLS, "print(xs)")
    assert again.run.status == "succeeded", again.run.error
    assert again.shown[2:] == ["[1, 2, 3]", "[1, 2]"]
    assert (ready.root / "f").read_text() == "x"
    assert play(ready, *CELLS, "print(xs)").did == "cccc"


@pytest.mark.parametrize("which", range(6))
def test_one_damaged_blob(ready, which):
    """Also where its trace was already taken when that is noticed."""
    play(ready, *CELLS)
    blobs = sorted(f for f in (ready.state / "cache" / "blobs").rglob("*") if f.is_file())
    file = blobs[which % len(blobs)]
    about = file.stat()
    damage(file, "changed")
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))  # as a failing disk would
    (ready.root / "f").unlink()
    again = play(ready, CELLS[0], CELLS[1], CELLS[2], "print(xs, ys)")
    assert again.run.status == "succeeded", again.run.error
    assert again.shown[2:] == ["[1, 2, 3]", "[1, 2] [1, 2, 3]"]
    assert (ready.root / "f").read_text() == "x"


def test_traces_that_were_made_up_are_not_used(ready):
    play(ready, *CELLS)
    for file in (ready.state / "cache" / "traces").rglob("*.json"):
        whole = file.read_bytes()
        _, seal, body = whole.split(b"\n", 2)
        trace = json.loads(body) | {"outputs": A}
        note = seal + b"\n" + json.dumps(trace).encode()
        file.write_bytes(hash_of(note).encode() + b"\n" + note)
    assert play(ready, *CELLS).did == "rrr"
