"""workspace.py: files whole or not at all, locks that die with their holder, events that arrive."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_jupyter import workspace as module
from mlops_jupyter.errors import Conflict, InvalidInput, NotFound, Unavailable
from mlops_jupyter.workspace import Workspace, write_atomic


def python(code: str, *arguments: object, **options) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], **options)


# --- where -----------------------------------------------------------------------------------


def test_making_one_touches_nothing(tmp_path):
    Workspace(tmp_path / "new").held("anything")
    assert list(tmp_path.iterdir()) == []


def test_ensure_makes_the_layout_and_ignores_itself_in_git(workspace):
    workspace.ensure().ensure()
    assert (workspace.state / "version").read_text() == "1\n"
    assert (workspace.state / ".gitignore").read_text() == "*\n"
    assert workspace.path("records").is_dir()


@pytest.mark.parametrize("mark", [".mlops/", "mlops.toml"])
def test_find_goes_up_to_the_nearest_mark(tmp_path, mark):
    deep = tmp_path / "project" / "a" / "b"
    deep.mkdir(parents=True)
    assert Workspace.find(deep).root == deep
    if mark.endswith("/"):
        (tmp_path / "project" / mark).mkdir()
    else:
        (tmp_path / "project" / mark).touch()
    assert Workspace.find(deep).root == tmp_path / "project"


def test_find_follows_the_environment_unless_told_where(tmp_path, monkeypatch):
    monkeypatch.setenv("MLOPS_WORKSPACE", str(tmp_path / "given"))
    assert Workspace.find().root == tmp_path / "given"
    assert Workspace.find(tmp_path).root == tmp_path


def test_a_newer_layout_is_refused(workspace):
    workspace.path("version").write_text("2\n")
    with pytest.raises(Conflict, match="layout 2") as caught:
        workspace.ensure()
    assert "pip install -U" in caught.value.hint


@pytest.mark.parametrize("text", ["", "one", "\x00"])
def test_a_broken_version_file_is_one_clear_line(workspace, text):
    workspace.path("version").write_text(text)
    with pytest.raises(Unavailable, match="version cannot be read"):
        workspace.ensure()


def test_a_file_in_the_folders_place_is_one_clear_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable):
        Workspace(tmp_path / "file").ensure()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder_is_one_clear_line(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(Unavailable, match="permission denied"):
        Workspace(tmp_path).ensure()
    tmp_path.chmod(0o700)


def test_shareable_paths_hold_no_place_of_the_machine(workspace, tmp_path):
    assert workspace.relative(workspace.root / "data" / "x.csv") == "data/x.csv"
    assert workspace.relative(tmp_path.parent / "elsewhere" / "x.csv") == "x.csv"
    assert workspace.relative(workspace.root / "data" / ".." / "x.csv") == "x.csv"


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30))
def test_a_client_reaches_nothing_outside(tmp_path, text):
    root = tmp_path / "project"
    root.mkdir(exist_ok=True)
    (tmp_path / "secret").touch()
    for path in (text, f"../{text}", "../secret", f"/{text}", str(tmp_path / "secret")):
        with pytest.raises((InvalidInput, NotFound)):
            Workspace(root).inside(path)


def test_a_client_does_not_leave_by_a_link(workspace, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "secret"
    outside.touch()
    (workspace.root / "link").symlink_to(outside)
    (workspace.root / "own").touch()
    assert workspace.inside("own") == (workspace.root / "own").resolve()
    with pytest.raises(InvalidInput, match="outside"):
        workspace.inside("link")


# --- files -----------------------------------------------------------------------------------


@given(st.binary())
def test_what_is_written_is_there(tmp_path, data):
    write_atomic(tmp_path / "folder" / "file", data)
    assert (tmp_path / "folder" / "file").read_bytes() == data
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["file"]


def test_readers_never_see_half_a_file(tmp_path):
    path, size = tmp_path / "file", 300_000
    write_atomic(path, b"0" * size)
    seen, done = set(), threading.Event()

    def read() -> None:
        while not done.is_set():
            data = path.read_bytes()
            seen.add((len(data), len(set(data))))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(100):
        write_atomic(path, str(number % 10) * size)
    done.set()
    reader.join()
    assert seen == {(size, 1)}


def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    write_atomic(path, "old")
    # A limit on the size of files stands in for a disk that fills up while it is written.
    code = """
import resource, sys
from pathlib import Path
from mlops_jupyter.errors import Unavailable
from mlops_jupyter.workspace import write_atomic
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_atomic(Path(sys.argv[1]), "new" * 4096)
except Unavailable as error:
    print(error.message)
"""
    child = python(code, path, stdout=subprocess.PIPE, text=True)
    said, _ = child.communicate(timeout=60)
    assert said.startswith("Cannot write file:")
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_writing_below_a_file_is_one_clear_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="Cannot write") as caught:
        write_atomic(tmp_path / "file" / "below", "x")
    assert str(tmp_path) not in str(caught.value)


# --- locks -----------------------------------------------------------------------------------

HOLD = """
import sys
from mlops_jupyter.workspace import Workspace
with Workspace(sys.argv[1]).lock("session-1"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_is_freed_when_its_holder_is_killed(workspace, until):
    with python(
        HOLD, workspace.root, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout.readline() == "held\n"
        assert workspace.held("session-1")
        assert not workspace.held("session-2")
        child.send_signal(signal.SIGKILL)
        child.wait(timeout=30)
    until(lambda: not workspace.held("session-1"))


def test_a_lock_that_cannot_be_made_is_one_clear_line(workspace):
    (workspace.path("locks")).rmdir()
    (workspace.state / "locks").write_text("")
    with pytest.raises(Unavailable, match=r"\.mlops/locks/"):
        workspace.lock("x").acquire()


def test_asking_whether_it_is_held_does_not_take_it(workspace):
    with workspace.lock("store"):
        assert workspace.held("store")
        assert workspace.held("store")
    assert not workspace.held("store")


# --- events ----------------------------------------------------------------------------------


def ids(tail: module.EventTail) -> list[str]:
    return [event.id for event in tail.read()]


def test_a_follower_hears_what_comes_and_only_that(workspace):
    early = workspace.follow()
    workspace.announce("runs", "1", "created")
    late = workspace.follow()
    workspace.announce("models", "2", "version 1")
    assert ids(early) == ["1", "2"]
    assert ids(late) == ["2"]
    assert ids(early) == ids(late) == []


def test_half_a_line_waits_for_its_end(workspace):
    tail = workspace.follow()
    workspace.announce("runs", "1", "created")
    path = workspace.path("events.jsonl")
    line = path.read_bytes()
    path.write_bytes(line + line[:20])
    assert ids(tail) == ["1"]
    assert ids(tail) == []
    path.write_bytes(line + line)
    assert ids(tail) == ["1"]


def test_a_line_that_is_no_event_is_passed_over(workspace):
    tail = workspace.follow()
    workspace.path("events.jsonl").write_text('nonsense\n{"noun": "runs"}\n[1]\n\n')
    workspace.announce("runs", "1", "created")
    assert ids(tail) == ["1"]


def test_a_log_cut_short_is_read_from_its_start(workspace):
    tail = workspace.follow()
    for number in range(3):
        workspace.announce("runs", str(number), "created")
    assert len(ids(tail)) == 3
    os.truncate(workspace.path("events.jsonl"), 0)
    workspace.announce("runs", "after", "created")
    assert ids(tail) == ["after"]


def test_nothing_is_lost_when_the_log_is_rotated(workspace, monkeypatch):
    monkeypatch.setattr(module, "_EVENTS_LIMIT", 500)
    tail = workspace.follow()
    heard = []
    for number in range(50):
        workspace.announce("runs", str(number), "created")
        if number % 3 == 0:
            heard += ids(tail)
    heard += ids(tail)
    assert heard == [str(number) for number in range(50)]
    assert Path(workspace.path("events.old")).is_file()


ANNOUNCE = """
import sys
from mlops_jupyter import workspace
workspace._EVENTS_LIMIT = 100_000
project = workspace.Workspace(sys.argv[1])
for number in range(600):
    project.announce("runs", f"{sys.argv[2]}-{number}", "created")
"""


def test_nothing_is_lost_among_several_writers(workspace):
    tail = workspace.follow()
    writers = [python(ANNOUNCE, workspace.root, name) for name in range(4)]
    heard = []
    while any(writer.poll() is None for writer in writers):
        heard += ids(tail)
    heard += ids(tail)
    assert [writer.returncode for writer in writers] == [0] * 4
    assert sorted(heard) == sorted(f"{name}-{number}" for name in range(4) for number in range(600))
    for name in range(4):
        own = [int(id.split("-")[1]) for id in heard if id.startswith(f"{name}-")]
        assert own == sorted(own)
