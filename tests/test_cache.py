"""cache.py and ``mlops cache``: where the cache is, what is in it, and what pruning spares."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_jupyter import cache, cli
from mlops_jupyter.errors import InvalidInput, MissingDependency, Unavailable
from mlops_jupyter.workspace import Workspace

HOUR = 3600.0
DAY = 24 * HOUR


def age(path, seconds):
    """Make a file as old as if that time had passed."""
    then = path.stat().st_mtime_ns - int(seconds * 1e9)
    os.utime(path, ns=(then, then))


class Filled:
    """A cache in a folder, filled as pipelines do."""

    def __init__(self, workspace):
        self.workspace = workspace
        self.blobs = cache.open_cache(workspace)
        self._count = itertools.count()

    def put(self, content, old=DAY):
        key = self.blobs.put(content)
        age(self.blobs.path(key), old)
        return key

    def trace(self, step, *keys, old=DAY, **body):
        number = next(self._count)
        name = f"traces/{step}/{number}.json"
        body = {
            "step": step,
            "notebook": "n.ipynb",
            "created": f"2024-01-01T00:00:{number:02}Z",
            "seconds": 1.5,
            "size": 10,
            "blobs": list(keys),
            **body,
        }
        self.blobs.write_note(name, json.dumps(body).encode())
        age(self.blobs.folder / name, old)
        return name

    def has(self, *keys):
        return [self.blobs.has(key) for key in keys]

    def steps(self):
        return [entry.step for entry in cache.show(self.workspace).entries]

    def size(self):
        return sum(
            path.stat().st_size
            for path in self.blobs.folder.rglob("*")
            if path.is_file() and path.name != "prune.lock"
        )


@pytest.fixture
def filled(workspace):
    return Filled(workspace)


# --- where ----------------------------------------------------------------------------------------


def test_where_the_cache_is(workspace, monkeypatch):
    assert cache.open_cache(workspace).folder == workspace.root / ".mlops" / "cache"
    (workspace.root / "mlops.toml").write_text("cache = 'shared/cache'")
    assert cache.open_cache(Workspace(workspace.root)).folder == workspace.root / "shared/cache"
    assert cache.open_cache(workspace, "other").folder == workspace.root / "other"
    monkeypatch.setenv("MLOPS_CACHE", "memory://team")
    assert cache.open_cache(Workspace(workspace.root)).url == "memory://team"
    monkeypatch.setenv("MLOPS_CACHE", "~/cache")
    monkeypatch.setenv("HOME", str(workspace.root / "home"))
    assert cache.open_cache(Workspace(workspace.root)).folder == workspace.root / "home/cache"


def test_urls_that_do_not_work(workspace, monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    for url, error in (
        ("nothing://bucket", InvalidInput),
        ("s3://bucket/team", MissingDependency),
        ("ftp://127.0.0.1:1/team", Unavailable),
    ):
        with pytest.raises(error) as caught:
            cache.open_cache(workspace, url)
        assert caught.value.hint and "\n" not in str(caught.value)


def test_looking_makes_nothing(tmp_path):
    workspace = Workspace(tmp_path)
    assert cache.show(workspace).entries == []
    assert cache.prune(workspace, older_than=0).freed == 0
    assert cache.clear(workspace).freed == 0
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_folders_place(workspace):
    (workspace.root / "file").write_text("")
    with pytest.raises(Unavailable, match="the cache: part of the path is a file"):
        cache.show(workspace, "file")
    with pytest.raises(Unavailable, match="the cache: part of the path is a file"):
        cache.clear(workspace, "file/cache")


# --- what is in it --------------------------------------------------------------------------------


def test_show_is_newest_first_with_sizes(filled):
    key = filled.put(b"x" * 1000)
    filled.trace("load", key, size=1000)
    filled.trace("fit", key, size=1500, seconds=2.25, old=2 * DAY)
    found = cache.show(filled.workspace)
    assert [entry.step for entry in found.entries] == ["fit", "load"]
    fit = found.entries[0]
    assert (fit.id, fit.notebook, fit.created) == ("1", "n.ipynb", "2024-01-01T00:00:01Z")
    assert (fit.seconds, fit.size) == (2.25, 1500)
    assert fit.used < found.entries[1].used
    assert found.url == ".mlops/cache"
    assert found.size == filled.size() > 1000
    assert (found.removed, found.freed) == ([], None)


def test_a_trace_under_a_seal_and_one_that_makes_no_sense(filled):
    filled.blobs.write_note("traces/a/sealed.json", b'0f0f\n{"step": "sealed"}')
    for number, body in enumerate((b"", b"[1]", b"{", b'{"seconds": "long"}', b'{"blobs": 3}')):
        filled.blobs.write_note(f"traces/b/{number}.json", body)
    assert sorted(filled.steps()) == ["", "", "", "", "", "sealed"]
    assert cache.prune(filled.workspace, older_than=0, grace=0).entries == []


# --- pruning --------------------------------------------------------------------------------------


def test_what_no_trace_needs_goes(filled):
    needed, lost, new = filled.put(b"needed"), filled.put(b"lost"), filled.put(b"new", old=0)
    filled.trace("load", needed)
    result = cache.prune(filled.workspace)
    assert filled.has(needed, lost, new) == [True, False, True]
    assert (result.removed, result.freed) == ([], len(b"lost"))
    assert [entry.step for entry in result.entries] == ["load"]


def test_older_than(filled):
    mine, shared = filled.put(b"mine"), filled.put(b"shared")
    filled.trace("old", mine, shared, old=31 * DAY)
    filled.trace("new", shared, old=29 * DAY)
    before = filled.size()
    result = cache.prune(filled.workspace, older_than=30 * DAY)
    assert [entry.step for entry in result.removed] == ["old"]
    assert filled.has(mine, shared) == [False, True]
    assert result.freed == before - filled.size()
    assert result.size == filled.size()
    assert not (filled.blobs.folder / "traces" / "old").exists()


def test_max_size_removes_what_was_used_longest_ago(filled):
    keys = [filled.put(bytes([number]) * 10_000) for number in range(4)]
    shared = filled.put(b"s" * 10_000)
    for number, old in enumerate((3, 9, 5, 7)):
        filled.trace(f"s{number}", keys[number], shared, old=old * DAY)
    assert cache.prune(filled.workspace, max_size=filled.size()).removed == []
    result = cache.prune(filled.workspace, max_size=35_000)
    assert {entry.step for entry in result.removed} == {"s1", "s3"}
    assert filled.has(*keys, shared) == [True, False, True, False, True]
    assert result.size == filled.size() <= 35_000
    cache.prune(filled.workspace, max_size=0)
    assert filled.steps() == [] and not any(filled.has(*keys, shared))


def test_what_was_used_a_moment_ago_stays(filled):
    key = filled.put(b"content")
    name = filled.trace("load", key)
    filled.blobs.touch_note(name)
    for limits in ({"older_than": 0}, {"max_size": 0}):
        assert cache.prune(filled.workspace, **limits).removed == []
    assert filled.has(key) == [True]
    assert len(cache.prune(filled.workspace, older_than=0, grace=0).removed) == 1
    assert filled.has(key) == [False]


def test_a_new_blob_of_an_old_trace_outlives_it(filled):
    key = filled.put(b"put again by a step whose trace is not written yet", old=0)
    filled.trace("old", key)
    assert len(cache.prune(filled.workspace, older_than=0).removed) == 1
    assert filled.has(key) == [True]


def test_dry_run_says_what_would_be_removed(filled):
    filled.trace("load", filled.put(b"content"))
    filled.put(b"lost")
    before = sorted(filled.blobs.folder.rglob("*"))
    would = cache.prune(filled.workspace, older_than=0, dry_run=True)
    assert sorted(filled.blobs.folder.rglob("*")) == before
    assert would.dry_run and len(would.entries) == 1
    done = cache.prune(filled.workspace, older_than=0)
    assert (done.removed, done.freed) == (would.removed, would.freed)


def test_a_running_pipeline_keeps_what_it_uses(filled):
    old, new = filled.put(b"old"), filled.put(b"new")
    trace = filled.trace("used", new)
    filled.trace("unused", old)
    code = (
        "import sys; from mlops_jupyter.blobs import Blobs\n"
        "blobs = Blobs(sys.argv[1])\n"
        "with blobs.lease():\n"
        "    blobs.touch_note(sys.argv[2]); blobs.put(b'made'); print('using'); sys.stdin.read()"
    )
    command = [sys.executable, "-u", "-c", code, filled.blobs.folder, trace]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as pipeline:
        assert pipeline.stdout.readline() == "using\n"
        made = filled.blobs.put(b"made")
        cache.prune(filled.workspace, older_than=0, grace=0)
        cache.clear(filled.workspace)
        assert filled.has(old, new, made) == [False, True, True]
        assert filled.steps() == ["used"]
        pipeline.kill()
        pipeline.wait()
    cache.clear(filled.workspace)
    assert filled.steps() == [] and filled.has(old, new, made) == [False] * 3


def test_damaged_traces_and_dead_temporaries_go(filled):
    name = filled.trace("half", filled.put(b"content"))
    path = filled.blobs.folder / name
    path.write_bytes(path.read_bytes()[:50])
    age(path, DAY)
    code = (
        "import sys; from pathlib import Path; from mlops_jupyter.folder import Folder, write\n"
        "with Folder(Path(sys.argv[1])).temporary() as file:\n"
        "    write(file, b'half'); print('half'); sys.stdin.read()"
    )
    command = [sys.executable, "-u", "-c", code, filled.blobs.folder]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout.readline() == "half\n"
        (half,) = (filled.blobs.folder / "incoming").iterdir()
        age(half, DAY)
        assert cache.prune(filled.workspace).freed == 50 + len(b"content")
        assert half.exists() and not path.exists()
        writer.kill()
        writer.wait()
    assert cache.prune(filled.workspace).freed == len(b"half")
    assert filled.size() == 0


def test_clear_takes_all(filled):
    key = filled.put(b"content", old=0)
    filled.trace("load", key, old=0)
    size = filled.size()
    result = cache.clear(filled.workspace)
    assert (result.freed, result.size, result.entries) == (size, 0, [])
    assert [entry.step for entry in result.removed] == ["load"]
    assert filled.has(key) == [False]
    assert filled.put(b"content") == key  # it goes on working


@given(data=st.data())
def test_pruning_never_takes_what_a_trace_needs(tmp_path_factory, data):
    filled = Filled(Workspace(tmp_path_factory.mktemp("pruned")))
    old = st.sampled_from([0, 0.5 * HOUR, 2 * HOUR, 2 * DAY, 40 * DAY])
    ages = data.draw(st.lists(old, min_size=1, max_size=6))
    keys = [filled.put(bytes([n]) * 100 * (n + 1), old=seconds) for n, seconds in enumerate(ages)]
    needs = st.lists(st.sampled_from(keys), unique=True)
    traces = {}
    for number, seconds in enumerate(data.draw(st.lists(old, max_size=6))):
        traces[f"s{number}"] = (seconds, data.draw(needs))
        filled.trace(f"s{number}", *traces[f"s{number}"][1], old=seconds)
    limits = {
        "older_than": data.draw(st.none() | st.sampled_from([0, DAY, 30 * DAY])),
        "max_size": data.draw(st.none() | st.integers(0, 5000)),
    }
    would = cache.prune(filled.workspace, dry_run=True, **limits)
    before = filled.size()
    result = cache.prune(filled.workspace, **limits)
    assert {entry.step for entry in result.removed} == {entry.step for entry in would.removed}
    assert result.freed == would.freed == before - filled.size()
    left = set(filled.steps())
    assert left == {step for step, (seconds, _) in traces.items() if seconds < HOUR} | left
    needed = {key for step in left for key in traces[step][1]}
    young = {key for key, seconds in zip(keys, ages, strict=True) if seconds < HOUR}
    assert {key for key in keys if filled.blobs.has(key)} == needed | young
    if limits["older_than"] is not None:
        assert all(traces[step][0] < max(HOUR, limits["older_than"] + 60) for step in left)
    if limits["max_size"] is not None and filled.size() > limits["max_size"]:
        assert all(traces[step][0] < HOUR for step in left)


RUNNING = """
import json, os, sys
from mlops_jupyter.blobs import Blobs
blobs, me = Blobs(sys.argv[1]), sys.argv[2]
for number in range(150):
    mine = [f"{me} {number % 5} {part}".encode() for part in range(3)]
    keys = [blobs.put(content) for content in mine]  # perhaps old, and being removed right now
    name = f"traces/{number % 5}/{me}.json"
    blobs.write_note(name, json.dumps({"step": me, "blobs": keys}).encode())
    assert [blobs.get(key) for key in keys] == mine
    assert name in blobs.notes("traces/")
    blobs.remove_note(name)
    for key in keys:  # and then nobody uses them for a long time
        then = blobs.path(key).stat().st_mtime_ns - 7200 * 10**9
        os.utime(blobs.path(key), ns=(then, then))
print("done")
"""

PRUNING = """
import sys
from pathlib import Path
from mlops_jupyter import cache
from mlops_jupyter.workspace import Workspace
workspace, count, freed = Workspace(sys.argv[1]), 0, 0
print("ready")
while not (workspace.root / "stop").exists():
    freed += cache.prune(workspace, older_than=0, max_size=0).freed
    count += 1
print(count and freed)
"""


def test_several_pipelines_and_several_who_prune(filled):
    def start(code, *arguments):
        command = [sys.executable, "-u", "-c", code, *map(str, arguments)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    needed = [filled.put(f"{number}".encode()) for number in range(20)]
    filled.trace("standing", *needed, old=0)
    pruning = [start(PRUNING, filled.workspace.root) for _ in range(2)]
    for process in pruning:
        assert process.stdout.readline() == "ready\n"
    running = [start(RUNNING, filled.blobs.folder, name) for name in "ab"]
    outcomes = [process.communicate()[0] for process in running]
    (filled.workspace.root / "stop").touch()
    freed = [int(process.communicate()[0]) for process in pruning]
    assert outcomes == ["done\n"] * 2
    assert sum(freed) > 0
    assert filled.steps() == ["standing"] and all(filled.has(*needed))


# --- a remote cache -------------------------------------------------------------------------------


def test_a_remote_cache_and_its_copies(workspace, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    url = f"memory://{uuid.uuid4().hex}"
    blobs = cache.open_cache(workspace, url)
    assert blobs.folder.is_relative_to(tmp_path / "home")
    kept, lost = blobs.put(b"kept"), blobs.put(b"lost")
    note = json.dumps({"step": "load", "blobs": [kept]}).encode()
    blobs.write_note("traces/a/b.json", note)
    assert [entry.step for entry in cache.show(workspace, url).entries] == ["load"]
    assert cache.prune(workspace, url=url).freed == 0
    assert cache.prune(workspace, grace=-60, url=url).freed == 2 * len(b"lost")
    assert (blobs.has(kept), blobs.has(lost)) == (True, False)
    result = cache.clear(workspace, url)
    assert (result.entries, result.size, result.url) == ([], 0, url)
    assert list(blobs.copies()) == []


# --- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("1.5h", 5400), ("30d", 30 * DAY), ("2 W", 14 * DAY), ("0d", 0)],
)
def test_ages(text, seconds):
    assert cache.parse_age(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("10", 10), ("5B", 5), ("500MB", 5 * 10**8), ("1.5 GiB", 3 << 29), ("2k", 2000)],
)
def test_sizes(text, size):
    assert cache.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "d", "-1d", "30", "3 months", "1e3s", "nan", "∞d", "٣d"])
def test_what_is_no_age(text):
    with pytest.raises(InvalidInput, match=r"--older-than .* is not an age"):
        cache.parse_age(text, "--older-than")


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "10 apples", "1iB", "1e9", "10GBs", "٣GB"])
def test_what_is_no_size(text):
    with pytest.raises(InvalidInput, match=r"--max-size .* is not a size"):
        cache.parse_size(text, "--max-size")


# --- the command line -----------------------------------------------------------------------------


def mlops(*arguments, cwd, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "mlops_jupyter", "cache", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_the_command_line(filled):
    root = filled.workspace.root
    filled.trace("load", filled.put(b"x" * 2_000_000), size=2_000_000)
    listed = mlops("list", cwd=root).stdout
    assert "load" in listed and "n.ipynb" in listed and "1.50 s" in listed
    assert "1 cached step, 2 MB in .mlops/cache" in listed
    (entry,) = json.loads(mlops("list", "--json", cwd=root).stdout)["entries"]
    assert (entry["step"], entry["size"]) == ("load", 2_000_000)
    would = mlops("prune", "--older-than", "12h", "--dry-run", cwd=root).stdout
    assert "Would remove 1 cached step: 2 MB" in would
    nothing = json.loads(mlops("prune", "--max-size", "10GB", "--json", cwd=root).stdout)
    assert (nothing["removed"], nothing["freed"], len(nothing["entries"])) == ([], 0, 1)
    assert "Removed 1 cached step: 2 MB" in mlops("prune", "--max-size", "1MB", cwd=root).stdout
    filled.trace("again", filled.put(b"x", old=0), old=0)
    assert "Removed 1 cached step" in mlops("clear", cwd=root).stdout
    assert "0 cached steps, 0 B" in mlops("list", cwd=root).stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["prune", "--older-than", "soon"], "--older-than 'soon' is not an age"),
        (["prune", "--max-size", "-1"], "--max-size '-1' is not a size"),
        (["prune", "--grace", "1"], "--grace '1' is not an age"),
    ],
)
def test_bad_values_are_one_clear_line(tmp_path, arguments, says):
    done = mlops(*arguments, cwd=tmp_path, code=2)
    assert done.stdout == "" and done.stderr.count("\n") == 1
    assert says in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_in_a_cell_it_is_the_dataclass(filled, monkeypatch):
    monkeypatch.chdir(filled.workspace.root)
    filled.trace("load")
    assert [entry.step for entry in cli.invoke(["cache", "list"]).entries] == ["load"]
