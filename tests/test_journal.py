"""The journal: whole records survive anything, nothing is read that was not written."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_jupyter import journal
from mlops_jupyter.errors import Conflict, Unavailable
from mlops_jupyter.workspace import Workspace

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
records = st.lists(st.dictionaries(st.text(), plain, min_size=1), max_size=6)


def _read(path: Path, data: bytes) -> list[dict[str, object]]:
    path.write_bytes(data)
    return journal.read(path)[0]


@given(records)
def test_what_is_written_is_read(tmp_path: Path, items: list[dict[str, object]]) -> None:
    data = b"".join(journal.frame(item) for item in items)
    assert _read(tmp_path / "j", data) == items


@given(records, st.integers(min_value=0))
def test_a_torn_tail_costs_only_itself(
    tmp_path: Path, items: list[dict[str, object]], cut: int
) -> None:
    lines = [journal.frame(item) for item in items]
    data = b"".join(lines)
    cut %= len(data) + 1
    whole = sum(1 for n in range(1, len(lines) + 1) if len(b"".join(lines[:n])) <= cut)
    (tmp_path / "j").write_bytes(data[:cut])
    found, size = journal.read(tmp_path / "j")
    assert found == items[:whole]
    assert size == len(b"".join(lines[:whole]))


@given(records.filter(bool), st.integers(min_value=0), st.integers(1, 255))
def test_damage_is_seen(
    tmp_path: Path, items: list[dict[str, object]], place: int, flip: int
) -> None:
    data = bytearray(b"".join(journal.frame(item) for item in items))
    data[place % len(data)] ^= flip
    found = _read(tmp_path / "j", bytes(data))
    damaged = {"t": "damaged"}
    # upper-case hex digits are the same checksum
    assert all(item in items or item == damaged for item in found)


def test_the_lock_is_held_while_the_session_lives(workspace: Workspace) -> None:
    one = journal.Journal(workspace)
    one.append("session", format=journal.FORMAT)
    assert journal.sessions(workspace) == [one.session]
    assert workspace.held(journal.lock_name(one.session))
    one.close()
    one.close()
    one.append("late")
    assert not workspace.held(journal.lock_name(one.session))
    found, _ = journal.read(journal.path(workspace, one.session))
    assert found == [{"t": "session", "format": 1}]


def test_a_newer_format_is_refused(workspace: Workspace) -> None:
    one = journal.Journal(workspace)
    one.append("session", format=journal.FORMAT + 1)
    one.close()
    with pytest.raises(Conflict, match="format 2, this mlops_jupyter knows 1"):
        journal.read(journal.path(workspace, one.session))


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / ".mlops").write_text("a file is in the way")
    with pytest.raises(Unavailable):
        journal.Journal(Workspace(tmp_path))


FULL_DISK = """
import resource, signal, sys
from mlops_jupyter import journal
from mlops_jupyter.errors import Unavailable
from mlops_jupyter.workspace import Workspace
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
workspace = Workspace(sys.argv[1])
one = journal.Journal(workspace)
one.append("first")
size = journal.path(workspace, one.session).stat().st_size
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
for room in (10, 0):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, hard))
    try:
        one.append("second", text="x" * 100)
    except Unavailable as error:
        print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
one.append("third")
print(journal.read(journal.path(workspace, one.session))[0])
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no file size limit here")
def test_a_full_disk_costs_only_what_did_not_fit(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True
    )
    first, second, found = done.stdout.splitlines()
    assert first.startswith("Cannot write the journal in .mlops/journals/")
    assert second.startswith("Cannot write the journal in .mlops/journals/")
    assert found == "[{'t': 'first'}, {'t': 'damaged'}, {'t': 'third'}]"
