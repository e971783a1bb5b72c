"""What cells log with MLflow is in the run also where their steps come from the cache."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipelines_support import play

from mlops_jupyter import deferred
from mlops_jupyter._mlflow import Tracking, ledger
from mlops_jupyter._mlflow.contents import Contents
from mlops_jupyter._mlflow.ledger import Ledger, _Known
from mlops_jupyter._mlflow.logged import Data, Logged, identity
from mlops_jupyter._store import Store
from mlops_jupyter.blobs import Blobs
from mlops_jupyter.models import PipelineRun

pytest_plugins = ("pipelines_fixtures",)

IMPORT = "import mlflow, mlflow.sklearn, pandas, sklearn.dummy"
FIGURES = """\
for number, value in enumerate([0.5, float("nan"), 0.7]):
    mlflow.log_metric("accuracy", value, step=number)
mlflow.log_param("depth", 3)
mlflow.set_tag("stage", "draft")
mlflow.set_tag("mlflow.note.content", "as seen")"""
FILES = """\
_ = open("a note.txt", "w").write("hello")
mlflow.log_artifact("a note.txt", "notes/old")
mlflow.log_text("top", "top.txt")"""
LINKS = """\
model = sklearn.dummy.DummyClassifier().fit([[0], [1]], [0, 1])
_ = mlflow.sklearn.log_model(model, name="tree", step=4)
about = mlflow.data.from_pandas(pandas.DataFrame({"x": [1.5]}), name="iris")
mlflow.log_input(about, context="training")"""
ALL = (IMPORT, f"{FIGURES}\n{FILES}\n{LINKS}")


def content(workspace, run_id):
    """All that cells logged to a run, without what differs between any two."""
    tracking = Tracking(workspace)
    held = Contents(tracking, run_id, Blobs(workspace.state / "cache")).read()
    logged = held.logged
    files = {path: tracking.text(run_id, path) for path in held.files if path != "a.ipynb"}
    return {
        "metrics": sorted(identity(point) for point in logged.metrics if point[0] != "seconds"),
        "texts": [logged.parameters, logged.tags],
        "links": [logged.models, logged.used, logged.data],
        "files": files,
    }


def figures(workspace, run_id):
    """Key, value and step of all points."""
    return [(key, value, step) for key, value, _, step in content(workspace, run_id)["metrics"]]


def delivered(workspace, run, until):
    """The MLflow run of a pipeline run in which nothing changed."""

    def made():
        deferred.deliver(workspace)  # or the courier does
        return Store(workspace).get(PipelineRun, run.id).run_id

    return until(made, 120)


def latest(workspace, run_id):
    return Tracking(workspace).run(run_id).metrics


def test_steps_from_the_cache_are_in_the_run_with_all_that_they_logged(ready, until):
    first = play(ready, *ALL, "1")
    there = content(ready, first.run.run_id)
    assert [step for _, _, _, step in there["metrics"]] == [0, 2, 1]
    assert there["texts"][0] == {"depth": "3"}
    assert there["texts"][1] == {"stage": "draft", "mlflow.note.content": "as seen"}
    assert there["files"] == {"notes/old/a note.txt": "hello", "top.txt": "top"}
    (((_, step),), _, (data,)) = there["links"]
    assert (step, data.name, data.tags) == (4, "iris", {"mlflow.data.context": "training"})

    second = play(ready, *ALL, "2")
    assert second.did == "ccr"
    assert content(ready, second.run.run_id) == there

    third = play(ready, *ALL, "2")
    assert (third.did, third.run.run_id) == ("ccc", None)
    assert content(ready, delivered(ready, third.run, until)) == there

    edited = FIGURES.replace("0.7", "0.9").replace("draft", "final").replace("depth", "width")
    fourth = play(ready, IMPORT, edited, "2")
    assert fourth.did[:2] == "cr", fourth.why
    found = content(ready, fourth.run.run_id)
    assert sorted(v for _, v, _, _ in found["metrics"]) == ["0.5", "0.9", "nan"]
    assert found["texts"][0] == {"width": "3"} and found["texts"][1]["stage"] == "final"
    assert (found["links"], found["files"]) == ([[], [], []], {})


def test_a_child_says_from_which_run_it_comes(ready, until):
    cells = ("n = 1", "print(n)")
    first = play(ready, *cells)
    second = play(ready, cells[0], "print(n + 1)")
    third = play(ready, cells[0], "print(n + 1)")
    delivered(ready, third.run, until)
    tracking, sources = Tracking(ready), []
    for run in (first, second, third):
        steps = Store(ready).get(PipelineRun, run.run.id).steps
        sources.append([tracking.tags(step.run_id).get("mlops.cached_from") for step in steps])
    one, two = first.run.id, second.run.id
    assert sources == [[None, None], [one, None], [one, two]]


def test_each_step_has_its_own(ready):
    both = "mlflow.log_metric('m{0}', {0})\nmlflow.log_param('p{0}', {0})"
    cells = [IMPORT, both.format(1), both.format(2)]
    play(ready, *cells)
    changed = play(ready, IMPORT, "mlflow.log_metric('m3', 3)", cells[2])
    assert changed.did == "crc"
    run = Tracking(ready).run(changed.run.run_id)
    assert run.metrics.keys() == {"m2", "m3", "seconds"}
    assert run.parameters == {"p2": "2"}


def test_the_last_value_is_that_of_the_last_step(ready, until):
    """What the earlier step logs comes first, also where it alone ran again."""
    cells = [IMPORT, "mlflow.log_metric('a', 1)\nmlflow.set_tag('t', 'x')"]
    cells += ["for v in (5, 3):\n    mlflow.log_metric('a', v)\nmlflow.set_tag('t', 'y')", "1"]
    play(ready, *cells)
    cells[1] = cells[1].replace("1", "2").replace("x", "z")
    again = play(ready, *cells)
    assert again.did == "crcc"
    assert latest(ready, again.run.run_id)["a"] == 3
    assert Tracking(ready).tags(again.run.run_id)["t"] == "y"
    unchanged = play(ready, *cells)
    run_id = delivered(ready, unchanged.run, until)
    assert latest(ready, run_id)["a"] == 3
    assert sorted(figures(ready, run_id)) == [("a", v, 0) for v in ("2.0", "3.0", "5.0")]


def test_steps_that_run_again_in_the_kernel_count_once(ready):
    """What starts a run changes what is around it, so a fresh kernel runs it again."""
    start = (
        "mlflow.start_run()\nmlflow.log_metric('a', 1)\nmlflow.log_text('x', 'x.txt')\n"
        "mlflow.log_param('p', 1)"
    )
    late = "mlflow.log_metric('a', {})"
    play(ready, IMPORT, start, late.format(2), "1")
    for value in (3, 4, 5):
        played = play(ready, IMPORT, start, late.format(value), "1")
        expected = [("a", "1.0", 0), ("a", f"{value}.0", 0)]
        assert sorted(figures(ready, played.run.run_id)) == expected, played.did
    played = play(ready, IMPORT, start, late.format(5), "2")
    assert sorted(figures(ready, played.run.run_id)) == [("a", "1.0", 0), ("a", "5.0", 0)]
    played = play(ready, IMPORT, "1", late.format(5), "2")  # and they are nobody else's
    assert figures(ready, played.run.run_id) == [("a", "5.0", 0)]


def test_an_attempt_that_failed_does_not_count(ready):
    source = """\
import pathlib
mlflow.log_metric("a", 1)
mlflow.log_param("p", 1)
mlflow.log_text("x", "x.txt")
mark = pathlib.Path("mark")
if not mark.exists():
    mark.touch()
    raise ValueError
mlflow.log_metric("b", 1)"""
    first = play(ready, IMPORT, ("retries:1,cache", source), "1")
    assert len(figures(ready, first.run.run_id)) == 3
    (ready.root / "mark").touch()
    trace = newest(ready, "p")
    assert [point[0] for point in trace.metrics] == ["a", "b"]
    assert trace.parameters == {"p": "1"}


def newest(workspace, parameter):
    """What is kept of the step that logged a parameter."""
    blobs = Blobs(workspace.state / "cache")
    traces = [json.loads(note[note.index(b"{") :]) for note in blobs.notes("traces/").values()]
    found = []
    for trace in (trace for trace in traces if trace["logged"]):
        found.append(Logged.decode(blobs.get(trace["logged"])))
        assert {trace["logged"], *found[-1].artifacts.values()} <= set(trace["blobs"])
    (one,) = [logged for logged in found if parameter in logged.parameters]
    return one


def test_a_run_that_fails_has_what_cached_steps_logged(ready):
    play(ready, *ALL, "1")
    failed = play(ready, *ALL, "1/0")
    assert (failed.did, failed.run.status) == ("ccf", "failed")
    assert "accuracy" in latest(ready, failed.run.run_id)


def test_a_step_that_runs_finds_what_cached_ones_logged(ready):
    ask = "print(mlflow.get_run(mlflow.active_run().info.run_id).data.params)"
    start = "mlflow.log_param('first', 1)"
    cells = [IMPORT, start, "mlflow.log_param('p', 1)"]
    play(ready, *cells, ask)
    ask = "import os\nprint(mlflow.get_run(os.environ['MLFLOW_RUN_ID']).data.params)"
    again = play(ready, *cells, ask)
    assert (again.did, again.shown[3]) == ("cccr", "{'first': '1', 'p': '1'}")


def test_branches_that_run_at_the_same_time_lose_nothing(ready):
    branch = "import mlflow as m{0}\nm{0}.log_metric('a{0}', {0})\nm{0}.set_tag('t{0}', '{0}')"
    cells = [branch.format(number) for number in range(4)]
    for last in ("print(1)", "print(2)"):
        played = play(ready, *cells, last, workers=2)
        tracking = Tracking(ready)
        run = tracking.run(played.run.run_id)
        assert run.metrics.keys() == {"a0", "a1", "a2", "a3", "seconds"}
        assert {f"t{number}" for number in range(4)} <= tracking.tags(run.run_id).keys()
    assert played.did[-1] == "r" and "c" in played.did


def test_secrets_are_masked_in_what_is_kept(ready, monkeypatch):
    monkeypatch.setenv("TOKEN", "hunter2-hunter2")
    cells = [("parameters", "token = ''"), IMPORT, "mlflow.set_tag('said', token)", "1"]
    play(ready, *cells, secrets={"token": "TOKEN"})
    cells[3] = "2"
    again = play(ready, *cells, secrets={"token": "TOKEN"})
    assert Tracking(ready).tags(again.run.run_id)["said"] == "***"


def test_notebooks_that_do_not_speak_of_mlflow_are_not_watched(ready, monkeypatch):
    monkeypatch.setattr(Contents, "read", None)  # would raise
    assert play(ready, "1", "%load_ext mlops_jupyter").did == "rr"
    with pytest.raises(TypeError):
        play(ready, "import mlflow")


def test_a_cache_whose_url_is_secret_is_not_written_down(ready):
    """The courier could not open it: the long way copies what there is to copy."""
    url = "memory://user:hunter2@place/cache"
    play(ready, *ALL, cache=url)
    again = play(ready, *ALL, cache=url)
    assert again.did == "cc" and again.run.run_id is not None
    assert "accuracy" in latest(ready, again.run.run_id)


def test_a_remote_cache(ready, tmp_path, until):
    url = f"simplecache::file://{tmp_path}/cache"
    first = play(ready, *ALL, cache=url)
    again = play(ready, *ALL, cache=url)
    assert again.did == "cc"
    run_id = again.run.run_id or delivered(ready, again.run, until)
    assert content(ready, run_id) == content(ready, first.run.run_id)


# --- the ledger by itself -------------------------------------------------------------------------


@pytest.fixture
def make(ready, tmp_path):
    """Runs with a ledger each, on one store."""
    tracking, blobs = Tracking(ready), Blobs(tmp_path / "blobs")

    def new():
        run_id = tracking.start_run("run")
        return tracking, run_id, Ledger(tracking, run_id, blobs)

    return new


def test_files_that_are_too_big_are_named(make, monkeypatch):
    monkeypatch.setattr(ledger, "LARGEST", 3)
    tracking, run_id, watch = make()
    watch.begin()
    tracking.log_text(run_id, "1234", "big.txt")
    tracking.log_text(run_id, "123", "small.txt")
    keys = watch.look(0, 0).keys
    assert len(keys) == 2
    _, other, copy = make()
    assert copy.write(keys[0]).omitted == ["big.txt"]
    copy.write(keys[0])
    assert tracking.tags(other)["mlops.not_copied"] == "big.txt"
    assert tracking.text(other, "small.txt") == "123"
    assert tracking.text(other, "big.txt") is None


def test_what_the_run_has_already_stays(make):
    tracking, run_id, watch = make()
    watch.begin()
    tracking.log(run_id, parameters={"a": 1, "b": 2}, metrics={"m": math.inf})
    (key,) = watch.look(0, 0).keys
    _, other, copy = make()
    tracking.log(other, parameters={"a": 7})
    for _ in range(2):
        copy.write(key)
        assert tracking.run(other).parameters == {"a": "7", "b": "2"}


def test_writing_it_again_shows_no_second_time(make):
    """As when a courier died: another one begins from the start."""
    tracking, run_id, watch = make()
    watch.begin()
    keys = []
    for value in (1.0, 2.0):
        tracking.log(run_id, metrics={"m": value}, tags={"t": str(value)})
        tracking._client.log_outputs(run_id, [])
        keys += watch.look(len(keys), 0).keys
    _, other, copy = make()
    for key in reversed(keys):
        copy.write(key)
    there = Contents(tracking, other, copy._content).read()
    assert there.logged.tags == {"t": "1.0"} and len(there.logged.metrics) == 2
    assert tracking.run(other).metrics == {"m": 1.0}  # the one that was written last
    second = Ledger(tracking, other, copy._content)
    for key in reversed(keys):
        second.write(key)
    assert Contents(tracking, other, copy._content).read() == there


def test_content_that_is_gone_is_said(make):
    tracking, run_id, watch = make()
    watch.write("0" * 64)
    assert tracking.tags(run_id)["mlops.not_copied"] == "what a step logged"


def test_a_step_that_is_still_going_has_the_last_word(make):
    tracking, run_id, watch = make()
    watch.begin()
    tracking.log(run_id, tags={"t": "cached"})
    tracking.log_text(run_id, "cached", "f.txt")
    key, _ = watch.look(0, 0).keys
    _, other, copy = make()
    copy.begin()
    copy.begins(2, [])
    tracking.log(other, tags={"t": "later"})
    tracking.log_text(other, "later", "f.txt")
    copy.cached(1, key)
    copy.flush()
    assert (tracking.tags(other)["t"], tracking.text(other, "f.txt")) == ("later", "later")
    assert len(copy.look(2, 0).keys) == 2


def test_a_repaired_step_has_its_parameters_again(make):
    tracking, run_id, watch = make()
    watch.begin()
    watch.begins(0, [])
    tracking.log(run_id, parameters={"p": 1}, tags={"t": "1"}, metrics={"m": 1})
    (first,) = watch.look(0, 0).keys
    watch.repaired(0)
    watch.begins(0, [])
    tracking.log(run_id, parameters={"p": 1}, tags={"t": "1"}, metrics={"m": 2})
    (second,) = watch.look(0, 0).keys
    kept = [Logged.decode(watch._content.get(key)) for key in (first, second)]
    assert [(one.parameters, one.tags) for one in kept] == [({"p": "1"}, {"t": "1"})] * 2
    assert [[point[1] for point in one.metrics] for one in kept] == [[1.0], [2.0]]


def test_a_cached_step_that_is_repaired_was_never_logged(make):
    tracking, run_id, watch = make()
    watch.begin()
    tracking.log(run_id, metrics={"m": 1})
    (key,) = watch.look(0, 0).keys
    _, other, copy = make()
    copy.cached(0, key)
    copy.repaired(0)
    copy.flush()
    assert tracking.run(other).metrics == {}
    copy.cached(0, key)
    copy.flush()
    copy.cached(0, key)
    copy.flush()
    assert len(Contents(tracking, other, copy._content).read().logged.metrics) == 1


def test_what_a_step_that_ran_again_left_out_is_logged_for_it(make):
    tracking, run_id, watch = make()
    watch.begin()
    tracking.log(run_id, tags={"own": "1", "other": "1"}, metrics={"own": 1, "other": 1})
    tracking.log_text(run_id, "x", "x.txt")
    key, _ = watch.look(0, 0).keys
    _, second, copy = make()
    copy.begin()
    copy.cached(0, key)
    copy.begins(1, [0])
    assert tracking.run(second).metrics == {}
    tracking.log(second, tags={"own": "1"}, metrics={"own": 1})
    tracking.log(second, metrics={"late": 1})
    began = max(p[2] for p in Contents(tracking, second, copy._content).read().logged.metrics)
    (kept,) = copy.look(1, began).keys
    held = Contents(tracking, second, copy._content).read()
    assert sorted(point[0] for point in held.logged.metrics) == ["late", "other", "own"]
    assert held.logged.tags == {"own": "1", "other": "1"} and held.files.keys() == {"x.txt"}
    own = Logged.decode(copy._content.get(kept))
    assert (own.tags, own.artifacts) == ({}, {})
    assert "late" in [point[0] for point in own.metrics]


def test_a_step_repaired_while_others_go_on_is_not_cached(make):
    tracking, run_id, watch = make()
    watch.begin()
    for step in (0, 1):
        watch.begins(step, [])
    tracking.log(run_id, tags={"zero": "0", "one": "1"})
    watch.begins(2, [])
    watch.repaired(1)
    assert watch.look(0, 0).doubt == ""
    watch.begins(1, [])
    assert watch.look(1, 0).doubt


points = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.floats(),
        st.integers(1, 9),
        st.integers(0, 2),
    )
)


@given(points, points)
def test_what_comes_later_in_the_notebook_is_later(earlier, later):
    known = _Known()
    held = ledger.Held(Logged(metrics=earlier), {}, [])
    known.add(held)
    moved = known.after(later)
    assert [(k, repr(v), s) for k, v, _, s in moved] == [(k, repr(v), s) for k, v, _, s in later]
    for key, step in {(p[0], p[3]) for p in later}:
        olds = [p[2] for p in earlier if (p[0], p[3]) == (key, step)]
        pairs = [
            (a[2], b[2]) for a, b in zip(later, moved, strict=True) if (a[0], a[3]) == (key, step)
        ]
        assert all(new >= max(olds, default=0) for _, new in pairs)
        ranks = [sorted({pair[side] for pair in pairs}) for side in (0, 1)]
        assert [ranks[0].index(a) for a, _ in pairs] == [ranks[1].index(b) for _, b in pairs]
        if min((a for a, _ in pairs), default=0) >= max(olds, default=0):
            assert all(a == b for a, b in pairs)


@given(
    st.builds(
        Logged,
        st.dictionaries(st.text(), st.text()),
        points,
        st.dictionaries(st.text(), st.text()),
        st.dictionaries(st.text(), st.text()),
        st.lists(st.text()),
        st.lists(st.tuples(st.text(), st.integers())),
        st.lists(st.text()),
        st.lists(st.builds(Data, *[st.text()] * 4, st.none(), st.text(), st.just({"a": "b"}))),
    )
)
def test_it_is_kept_as_it_is(logged):
    again = Logged.decode(logged.encode())
    assert repr(again) == repr(logged)
    assert bool(again) == bool(logged)
