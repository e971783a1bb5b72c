"""blobs.py, folder.py, _fsspec.py: content and notes are whole or not there, whatever happens."""

from __future__ import annotations

import array
import errno
import json
import os
import random
import signal
import subprocess
import sys
import uuid

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_jupyter._fsspec import Remote
from mlops_jupyter.blobs import Blobs, hash_file, hash_of
from mlops_jupyter.errors import InvalidInput, MissingDependency, NotFound, Unavailable

OLD = 7200


@pytest.fixture(params=["folder", "file", "memory"])
def blobs(request, tmp_path):
    """A store in a folder, at a file:// URL, and in a remote file system."""
    if request.param == "folder":
        return Blobs(tmp_path / "cache")
    if request.param == "file":
        return Blobs(f"file://{tmp_path}/cache")
    return Blobs(f"memory://{uuid.uuid4().hex}", tmp_path / "copies")


@pytest.fixture
def folder(tmp_path):
    return Blobs(tmp_path / "cache")


def age(path, seconds=OLD):
    """Make a file as old as if that time had passed."""
    then = path.stat().st_mtime_ns - seconds * 10**9
    os.utime(path, ns=(then, then))


def files(blobs):
    return sorted(path for path in blobs.folder.rglob("*") if path.is_file())


def all_whole(blobs):
    """Every file that has its name is what the name says; the number of blobs and notes."""
    found = list(blobs.entries("blobs/"))
    for entry in found:
        assert hash_file(blobs.folder / entry.name) == entry.name.rpartition("/")[2]
    names = {entry.name for entry in blobs.entries("traces/")}
    assert set(blobs.notes("traces/")) == names
    return len(found), len(names)


def run(code, *arguments, **options):
    """Python code in a process of its own, its output a pipe."""
    return subprocess.Popen(
        [sys.executable, "-u", "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        **options,
    )


# --- content --------------------------------------------------------------------------------------


@given(contents=st.lists(st.binary(max_size=300)), more=st.lists(st.binary(max_size=10)))
def test_what_was_put_is_got(blobs, tmp_path, contents, more):
    keys = {}
    for number, content in enumerate([*contents, *more]):
        if number % 2:
            source = tmp_path / "source"
            source.write_bytes(content)
            keys[blobs.put_file(source)] = content
        else:
            keys[blobs.put(bytearray(content))] = content
    for key, content in keys.items():
        assert key == hash_of(content)
        assert blobs.has(key)
        assert blobs.get(key) == blobs.path(key).read_bytes() == content
        blobs.take(key, tmp_path / "target")
        assert (tmp_path / "target").read_bytes() == content


def test_any_contiguous_buffer_is_content(folder):
    figures = array.array("d", [1.5, 2.5])
    assert folder.get(folder.put(figures)) == figures.tobytes()
    assert folder.get(folder.put(memoryview(figures).cast("B").cast("B", (2, 8)))) == bytes(figures)
    assert folder.get(folder.put(b"")) == b""
    with pytest.raises(BufferError):
        folder.put(memoryview(b"abcd")[::2])


def test_large_content_is_hashed_and_copied_whole(folder, tmp_path):
    content = random.Random(1).randbytes((40 << 20) + 7)
    key = folder.put(content)
    assert folder.path(key).read_bytes() == content
    (tmp_path / "large").write_bytes(content)
    assert hash_file(tmp_path / "large") == Blobs(tmp_path / "other").put_file(tmp_path / "large")
    folder.take(key, tmp_path / "taken")
    assert hash_file(tmp_path / "taken") == key


def test_making_and_asking_writes_nothing(folder):
    assert not folder.has("0" * 64)
    assert folder.notes("traces/") == {}
    assert not folder.touch_note("traces/a/b.json")
    folder.remove_note("traces/a/b.json")
    assert not folder.folder.exists()


def test_what_is_there_is_touched_not_written(folder):
    key = folder.put(b"content")
    path = folder.path(key)
    inode = path.stat().st_ino
    age(path)
    before = path.stat().st_mtime
    assert folder.put(b"content") == key
    assert path.stat().st_ino == inode
    assert path.stat().st_mtime > before + OLD - 10
    assert [path] == files(folder)


@pytest.mark.parametrize("key", ["", "-", "0" * 64, "../" * 20 + "etc/passwd", "Z" * 64])
def test_no_such_content(blobs, tmp_path, key):
    assert not blobs.has(key)
    with pytest.raises(NotFound, match="no content"):
        blobs.get(key)
    with pytest.raises(NotFound):
        blobs.path(key)
    with pytest.raises(NotFound):
        blobs.take(key, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def damage(path, how):
    status = path.stat()
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-1])
        os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))  # as after a power failure
    elif how == "empty":
        path.write_bytes(b"")
    else:
        path.write_bytes(b"c0ntent")


@pytest.mark.parametrize("how", ["cut", "empty", "changed"])
@pytest.mark.parametrize("ask", ["has", "get", "path", "take", "put"])
def test_damaged_content_is_not_there(folder, tmp_path, ask, how):
    key = folder.put(b"content")
    path = folder.path(key)
    damage(path, how)
    if ask == "has":
        assert not folder.has(key)
    elif ask == "put":
        assert folder.put(b"content") == key
        assert folder.get(key) == b"content"
        return
    else:
        target = tmp_path / "target"
        with pytest.raises(NotFound):
            folder.take(key, target) if ask == "take" else getattr(folder, ask)(key)
        assert not target.exists()
    assert not path.exists()


@pytest.mark.parametrize("ask", ["get", "take"])
def test_reading_finds_damage_that_the_seal_does_not_show(folder, tmp_path, ask):
    key = folder.put(b"content")
    path = folder.path(key)
    moment = path.stat().st_mtime_ns
    path.write_bytes(b"c0ntent")
    os.utime(path, ns=(moment, moment))
    with pytest.raises(NotFound):
        folder.get(key) if ask == "get" else folder.take(key, tmp_path / "target")
    assert not path.exists() and not (tmp_path / "target").exists()


def test_a_copy_of_the_store_is_as_good(folder):
    key = folder.put(b"content")
    path = folder.path(key)
    os.utime(path, (1e9, 1e9))  # a tool that copied it without the times
    assert folder.path(key) == path
    assert path.stat().st_mtime_ns % 10**9  # sealed again, and as old as it was
    assert int(path.stat().st_mtime) == 10**9


# --- files from content ---------------------------------------------------------------------------


def test_take_sets_the_mode_and_makes_the_folder(folder, tmp_path):
    key = folder.put(b"#!/bin/sh\n")
    folder.take(key, tmp_path / "a" / "b" / "script", mode=0o750)
    folder.take(key, tmp_path / "plain")
    (tmp_path / "new").write_text("")
    assert (tmp_path / "a" / "b" / "script").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "plain").stat().st_mode == (tmp_path / "new").stat().st_mode


def test_take_follows_a_link_and_leaves_other_names_of_the_content_alone(folder, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "link.csv").symlink_to(tmp_path / "data" / "real.csv")
    folder.take(folder.put(b"a,b"), tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "data" / "real.csv").read_bytes() == b"a,b"
    (tmp_path / "link.csv").write_bytes(b"mine")  # not the store's own file
    assert folder.get(hash_of(b"a,b")) == b"a,b"


def test_take_fails_whole(folder, tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(OSError):
        folder.take(folder.put(b"content"), target)
    (tmp_path / "old").write_bytes(b"old")
    with pytest.raises(NotFound):
        folder.take("0" * 64, tmp_path / "old")
    assert (tmp_path / "old").read_bytes() == b"old"
    assert len(files(folder)) == 1


def test_take_to_another_disk(folder, disk):
    key = folder.put(b"content")
    folder.take(key, disk / "target")
    assert [path.name for path in disk.iterdir()] == ["target"]
    assert (disk / "target").read_bytes() == b"content"


# --- notes ----------------------------------------------------------------------------------------

NAMES = st.from_regex(r"\Atraces/[a-c]{1,2}/[a-c]{1,2}\.json\Z")


@given(steps=st.lists(st.tuples(NAMES, st.none() | st.binary(max_size=40))))
def test_notes_are_a_dictionary(tmp_path_factory, steps):
    for blobs in (
        Blobs(tmp_path_factory.mktemp("notes")),
        Blobs(f"memory://{uuid.uuid4().hex}", tmp_path_factory.mktemp("copies")),
    ):
        expected = {}
        for name, data in steps:
            if data is None:
                blobs.remove_note(name)
                expected.pop(name, None)
            else:
                blobs.write_note(name, data)
                expected[name] = data
        assert blobs.notes("traces/") == expected
        for code in {name.split("/")[1] for name in expected}:
            prefix = f"traces/{code}/"
            below = {name: data for name, data in expected.items() if name.startswith(prefix)}
            assert blobs.notes(prefix) == below
        assert blobs.notes("traces/none/") == {}


@pytest.mark.parametrize(
    "name",
    [
        "traces",
        "../a/b",
        "traces/../../b",
        "/etc/passwd",
        "blobs/aa/b",
        "a//b",
        "a/.b",
        "a/b+c",
        "",
    ],
)
def test_names_that_are_refused(folder, name):
    with pytest.raises(InvalidInput, match="cannot name a note"):
        folder.write_note(name, b"")
    assert not folder.folder.exists()


@pytest.mark.parametrize("cut", [0, 10, 64, 65, 70])
def test_half_a_note_is_never_seen(folder, cut):
    folder.write_note("traces/a/b.json", b"{'whole': 1}")
    folder.write_note("traces/a/c.json", b"{}")
    path = folder.folder / "traces/a/b.json"
    path.write_bytes(path.read_bytes()[:cut])
    assert list(folder.notes("traces/a/")) == ["traces/a/c.json"]


def test_touching_a_note(blobs):
    assert not blobs.touch_note("traces/a/b.json")
    blobs.write_note("traces/a/b.json", b"{}")
    assert blobs.touch_note("traces/a/b.json")
    assert blobs.notes("traces/") == {"traces/a/b.json": b"{}"}
    blobs.remove_note("traces/a/b.json")
    assert not blobs.touch_note("traces/a/b.json")


# --- removing -------------------------------------------------------------------------------------


def test_discard_spares_what_was_used_since(folder):
    name = folder.path(folder.put(b"content")).relative_to(folder.folder).as_posix()
    folder.write_note("traces/a/b.json", b"{}")
    now = (folder.folder / name).stat().st_mtime
    for file in (name, "traces/a/b.json"):
        assert not folder.discard(file, now - 60)
        assert (folder.folder / file).exists()
        assert folder.discard(file, now + 60)
        assert not (folder.folder / file).exists()
        assert not folder.discard(file, now + 60)
    assert not (folder.folder / "traces/a").exists()
    assert files(folder) == []


def test_who_misses_what_is_being_removed_takes_it_back(folder):
    key = folder.put(b"content")
    path = folder.path(key)
    folder.write_note("traces/a/b.json", b"{}")
    trash = folder.folder / "trash"
    trash.mkdir()

    def removing():
        """As a pruner does that is killed half-way."""
        path.rename(trash / f"blobs+{key[:2]}+{key}+1")
        (folder.folder / "traces/a/b.json").rename(trash / "traces+a+b.json+1")
        (folder.folder / "traces/a").rmdir()

    removing()
    assert folder.has(key) and folder.get(key) == b"content"
    assert folder.touch_note("traces/a/b.json")
    removing()
    folder.discard_dead(path.parent.stat().st_mtime - 60)  # used since: it comes back
    assert path.exists() and len(folder.notes("traces/")) == 1
    removing()
    folder.discard_dead(path.parent.stat().st_mtime + 60)
    assert files(folder) == []


def test_a_lease_lasts_as_long_as_its_process(folder):
    assert folder.oldest_lease() is None
    with folder.lease():
        began = folder.oldest_lease()
        with folder.lease():
            assert folder.oldest_lease() == began
    assert folder.oldest_lease() is None
    code = (
        "import sys; from mlops_jupyter.blobs import Blobs\n"
        "with Blobs(sys.argv[1]).lease(): print('held'); sys.stdin.read()"
    )
    with run(code, folder.folder) as other:
        assert other.stdout.readline() == "held\n"
        assert folder.oldest_lease() is not None
        other.kill()
        other.wait()
        assert folder.oldest_lease() is None
    assert files(folder) == []


# --- killed, many, full ---------------------------------------------------------------------------

WRITER = """
import random, sys
from pathlib import Path
from mlops_jupyter.blobs import Blobs
blobs, source = Blobs(sys.argv[1]), Path(sys.argv[2])
dice = random.Random(int(sys.argv[3]))
for number in range(10**9):
    content = dice.randbytes(12) + bytes(dice.choice([10, 10_000, 8_000_000]))
    if number % 3:
        key = blobs.put(content)
    else:
        source.write_bytes(content)
        key = blobs.put_file(source)
    blobs.write_note(f"traces/{dice.randrange(5)}/{key}.json", content[:3_000_000])
    print(number)
"""


@pytest.mark.slow
def test_killed_writers_leave_nothing_half(folder, tmp_path):
    dice, left, incoming = random.Random(), 0, folder.folder / "incoming"
    for round in range(50):
        with run(WRITER, folder.folder, tmp_path / "source", round) as writer:
            for _ in range(dice.randrange(1, 10)):
                assert writer.stdout.readline()
            while round % 2 and not any(incoming.iterdir()):
                pass  # while it writes; in the other rounds at any moment
            writer.send_signal(signal.SIGKILL)
            writer.wait()
        blobs, notes = all_whole(folder)
        assert blobs and notes
        left += len(list(incoming.iterdir()))
        for path in incoming.iterdir():
            age(path)
        folder.discard_dead(0)
        assert not any(incoming.iterdir())
        if round % 10 == 9:  # not to fill the disk
            for entry in [*folder.entries("blobs/"), *folder.entries("traces/")]:
                folder.discard(entry.name, float("inf"))
    assert left, "no writer was killed while it wrote: the test shows nothing"


def test_the_temporary_file_of_a_living_writer_stays(folder):
    code = (
        "import sys; from pathlib import Path; from mlops_jupyter.folder import Folder, write\n"
        "folder = Folder(Path(sys.argv[1]))\n"
        "with folder.temporary() as file:\n"
        "    write(file, b'half'); print('half'); sys.stdin.readline(); write(file, b'whole')\n"
        "    folder.land(file, 'traces/a/b.json')\n"
    )
    with run(code, folder.folder) as writer:
        assert writer.stdout.readline() == "half\n"
        (path,) = (folder.folder / "incoming").iterdir()
        age(path)
        assert folder.discard_dead(float("inf")) == []
        writer.communicate("\n")
    assert writer.returncode == 0
    assert (folder.folder / "traces/a/b.json").read_bytes() == b"halfwhole"


BUSY = """
import os, sys
from mlops_jupyter.blobs import Blobs
blobs, me = Blobs(sys.argv[1]), sys.argv[2]
name = "traces/shared/" + me + ".json"
for number in range(400):
    mine = [f"{me} {number % 7} {part}".encode() for part in range(3)] + [b"everybody's"]
    keys = [blobs.put(content) for content in mine]  # perhaps old, and being removed right now
    blobs.write_note(name, b"{}")
    assert [blobs.get(key) for key in keys] == mine
    assert blobs.touch_note(name)
    for key in keys[:3]:
        path = blobs.path(key)
        then = path.stat().st_mtime_ns - 7200 * 10**9
        os.utime(path, ns=(then, then))
print("done")
"""

PRUNER = """
import sys, time
from mlops_jupyter.blobs import Blobs
blobs, removed = Blobs(sys.argv[1]), 0
print("ready")
while not blobs.folder.joinpath("stop").exists():
    for prefix in ("blobs/", "traces/"):
        for entry in list(blobs.entries(prefix)):
            removed += blobs.discard(entry.name, time.time() - 3600)
    blobs.discard_dead(time.time() - 3600)
print(removed)
"""


def test_writers_and_pruners_at_once(folder):
    pruners = [run(PRUNER, folder.folder) for _ in range(2)]
    for pruner in pruners:
        assert pruner.stdout.readline() == "ready\n"
    writers = [run(BUSY, folder.folder, name) for name in "abc"]
    outcomes = [writer.communicate()[0] for writer in writers]
    (folder.folder / "stop").touch()
    removed = [int(pruner.communicate()[0]) for pruner in pruners]
    assert outcomes == ["done\n"] * 3
    assert min(removed) > 0
    (folder.folder / "stop").unlink()
    all_whole(folder)
    assert list(folder.entries("incoming/")) == list(folder.entries("trash/")) == []


@pytest.fixture
def disk(tmp_path):
    """A real disk of 4 MB; only root may have one."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk(disk, tmp_path):
    blobs = Blobs(disk / "cache")
    kept = blobs.put(b"kept")
    source = tmp_path / "source"
    source.write_bytes(random.Random(2).randbytes(5 << 20))
    for write in (
        lambda: blobs.put(source.read_bytes()),
        lambda: blobs.put_file(source),
        lambda: blobs.write_note("traces/a/b.json", source.read_bytes()),
        lambda: Blobs(tmp_path / "other").take(
            Blobs(tmp_path / "other").put_file(source), disk / "target"
        ),
    ):
        with pytest.raises(OSError) as caught:
            write()
        assert caught.value.errno == errno.ENOSPC
    assert files(blobs) == [blobs.path(kept)]
    assert sorted(path.name for path in disk.iterdir()) == ["cache"]
    small = [blobs.put(f"{number}".encode()) for number in range(100)]
    assert all(blobs.has(key) for key in small)


LIMITED = """
import resource, signal, sys
from mlops_jupyter.blobs import Blobs
blobs = Blobs(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for write in (lambda: blobs.put(bytes(200_000)), lambda: blobs.write_note("a/b", bytes(200_000))):
    try:
        write()
    except OSError as error:
        print(error.errno)
print(blobs.get(blobs.put(b"small")))
"""


def test_a_disk_that_takes_only_a_part(folder):
    with run(LIMITED, folder.folder) as writer:
        assert writer.communicate()[0].split() == [str(errno.EFBIG)] * 2 + ["b'small'"]
    assert [path.name for path in files(folder)] == [hash_of(b"small")]


def test_a_file_in_the_folders_place(tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(NotADirectoryError):
        Blobs(tmp_path / "cache").put(b"content")


# --- remote stores --------------------------------------------------------------------------------


def machines(tmp_path):
    """Two machines that share a remote store, and the store's URL."""
    url = f"memory://{uuid.uuid4().hex}"
    return Blobs(url, tmp_path / "one"), Blobs(url, tmp_path / "two"), url


def test_one_machine_reads_what_the_other_wrote(tmp_path):
    one, two, _ = machines(tmp_path)
    key = one.put(b"content")
    one.write_note("traces/a/b.json", b"{}")
    assert two.has(key) and two.path(key).is_relative_to(tmp_path / "two")
    assert two.get(key) == b"content"
    assert two.notes("traces/") == {"traces/a/b.json": b"{}"}
    two.remove_note("traces/a/b.json")
    assert one.notes("traces/") == {}


def test_a_damaged_copy_is_fetched_anew_and_a_damaged_original_removed(tmp_path):
    one, two, url = machines(tmp_path)
    key = one.put(b"content")
    for ask in (two.get, lambda key: two.take(key, tmp_path / "target")):
        path = two.path(key)
        moment = path.stat().st_mtime_ns
        path.write_bytes(b"c0ntent")
        os.utime(path, ns=(moment, moment))
        assert ask(key) in (b"content", None)
        assert two.get(key) == b"content"
    store = fsspec.filesystem("memory")
    place = f"{url.removeprefix('memory:/')}/blobs/{key[:2]}/{key}"
    store.pipe_file(place, b"c0ntent")
    two.path(key).unlink()
    with pytest.raises(NotFound):
        two.get(key)
    assert not store.exists(place)
    assert one.put(b"content") == key  # and is put anew
    assert two.get(key) == b"content"


def test_half_a_note_in_a_remote_store_is_never_seen(tmp_path):
    one, _, url = machines(tmp_path)
    one.write_note("traces/a/b.json", b"{}")
    place = f"{url.removeprefix('memory:/')}/traces/a/b.json"
    fsspec.filesystem("memory").pipe_file(place, hash_of(b"{}").encode()[:30])
    assert one.notes("traces/") == {}


@pytest.fixture(params=["file", "memory"])
def remote(request, tmp_path):
    """A store where files have to be moved into their place, and one where they need not."""
    place = tmp_path if request.param == "file" else uuid.uuid4().hex
    return Remote(f"{request.param}://{place}/store")


def test_a_store_of_any_kind(remote, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"content")
    assert not remote.has("blobs/aa/k") and list(remote.entries("blobs/")) == []
    assert remote.read_all("traces/") == {}
    remote.upload(source, "blobs/aa/k", 60)
    assert remote.has("blobs/aa/k")
    assert b"".join(remote.chunks("blobs/aa/k")) == b"content"
    (entry,) = remote.entries("blobs/")
    assert (entry.name, entry.size) == ("blobs/aa/k", 7)
    assert not remote.discard("blobs/aa/k", entry.used - 60)
    source.write_bytes(b"changed")  # shows whether it is written again
    remote.upload(source, "blobs/aa/k", 60)
    assert b"".join(remote.chunks("blobs/aa/k")) == b"content"
    remote.upload(source, "blobs/aa/k", -60)
    assert b"".join(remote.chunks("blobs/aa/k")) == b"changed"
    for data in (b"one", b"two"):
        remote.write("traces/a/b.json", data)
        remote.write("traces/c/d.json", data)
        assert remote.read_all("traces/") == {"traces/a/b.json": data, "traces/c/d.json": data}
    (before, _) = remote.entries("traces/")
    assert remote.touch(before.name, -60) and not remote.touch("traces/a/none", 0)
    after = next(entry for entry in remote.entries("traces/") if entry.name == before.name)
    assert after.used > before.used
    assert remote.discard("traces/a/b.json", after.used + 60)
    remote.remove("traces/a/b.json")
    assert list(remote.read_all("traces/")) == ["traces/c/d.json"]
    with pytest.raises(FileNotFoundError):
        next(remote.chunks("blobs/aa/none"))
    assert list(remote.entries("incoming/")) == []


def test_unfinished_uploads_are_removed(remote):
    remote.write("incoming/half", b"half")
    (entry,) = remote.entries("incoming/")
    assert remote.discard_dead(entry.used - 60) == []
    assert remote.discard_dead(entry.used + 60) == [entry]
    assert list(remote.entries("incoming/")) == []


# --- URLs that do not work ------------------------------------------------------------------------


def test_an_unknown_protocol():
    with pytest.raises(InvalidInput, match="unknown protocol 'nothing'") as caught:
        Blobs("nothing://bucket/team")
    assert "\n" not in str(caught.value) and "s3://" in caught.value.hint


def test_a_protocol_whose_package_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingDependency, match="A cache at s3://bucket/team") as caught:
        Blobs("s3://bucket/team")
    assert "s3fs" in caught.value.hint and "\n" not in str(caught.value)


def test_a_store_that_does_not_answer():
    with pytest.raises(Unavailable, match="cannot be used") as caught:
        Blobs("ftp://somebody:secret@127.0.0.1:1/team")
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_store_that_fails_later(tmp_path):
    remote = Remote(f"file://{tmp_path}/store")
    (tmp_path / "store").write_text("")  # a file in the folder's place
    for use in (
        lambda: remote.write("traces/a/b.json", b""),
        lambda: remote.upload(tmp_path / "store", "blobs/aa/k", 60),
        lambda: next(remote.chunks("blobs/aa/k")),
        lambda: remote.read_all("traces/"),
        lambda: list(remote.entries("blobs/")),
        lambda: remote.has("blobs/aa/k"),
    ):
        with pytest.raises(Unavailable, match="cannot be used") as caught:
            use()
        assert "\n" not in str(caught.value) and caught.value.hint


# --- what it costs to import ----------------------------------------------------------------------


def test_a_folder_needs_no_more_than_blake3(tmp_path):
    code = (
        "import json, sys; from mlops_jupyter.blobs import Blobs\n"
        "blobs = Blobs(sys.argv[1]); blobs.get(blobs.put(b'x'))\n"
        "print(json.dumps([name for name in sys.modules if '.' not in name]))"
    )
    with run(code, tmp_path) as process:
        found = set(json.loads(process.communicate()[0])) - set(sys.stdlib_module_names)
    started = {name for name in found if name.startswith("_") or "editable" in name}
    assert found - started == {"blake3", "mlops_jupyter"}
