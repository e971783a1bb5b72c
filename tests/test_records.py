"""Request records: whole lines survive anything, and can be read while they are written."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_jupyter import records
from mlops_jupyter.records import Record, Writer
from mlops_jupyter.workspace import Workspace

TIME = "2026-11-21T00:00:00.000Z"


def append(writer: Writer, id: str, rows: int = 1, time: str = TIME) -> None:
    values = [[number, "ü"] for number in range(rows)]
    writer.append(id, time, "1", ["a", "b"], values, list(range(rows)), 1.5)


def segments(workspace: Workspace) -> list[Path]:
    return sorted((workspace.state / "records" / "d").iterdir())


def test_what_is_written_is_read(workspace: Workspace) -> None:
    writer = Writer(workspace, "d")
    append(writer, "one")
    append(writer, "many", 3)
    found = records.read(workspace, "d")
    assert found[0] == Record("one", TIME, "1", {"a": 0, "b": "ü"}, 0, 1.5)
    assert [record.request_id for record in found] == ["one", "many/0", "many/1", "many/2"]
    assert records.count(workspace, "d") == 4


def test_a_deployment_without_records(workspace: Workspace) -> None:
    assert records.read(workspace, "never") == []
    assert records.count(workspace, "never") == 0
    assert not workspace.state.exists()


def test_last_and_since_across_segments(workspace: Workspace) -> None:
    writer = Writer(workspace, "d", segment_bytes=400)
    for number in range(20):
        append(writer, str(number), time=f"2026-11-21T00:00:{number:02d}.000Z")
    assert len(segments(workspace)) > 3

    def ids(**narrow: object) -> list[int]:
        return [int(record.request_id) for record in records.read(workspace, "d", **narrow)]  # type: ignore[arg-type]

    assert ids() == list(range(20))
    assert ids(last=3) == [17, 18, 19]
    assert ids(last=0) == []
    assert ids(last=99) == list(range(20))
    assert ids(since="2026-11-21T00:00:05.000Z") == list(range(5, 20))
    assert ids(since="2026-11-21T00:00:05.000Z", last=2) == [18, 19]
    assert ids(since="2027") == []


@given(data=st.data(), sizes=st.lists(st.integers(1, 4), min_size=1, max_size=8))
def test_a_torn_tail_loses_only_the_torn_line(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, sizes: list[int]
) -> None:
    workspace = Workspace(tmp_path_factory.mktemp("torn"))
    writer = Writer(workspace, "d")
    for number, rows in enumerate(sizes):
        append(writer, str(number), rows)
    [segment] = segments(workspace)
    whole = segment.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    before = records.read(workspace, "d")
    segment.write_bytes(whole[:cut])
    kept = records.read(workspace, "d")
    lines = whole[:cut].count(b"\n") + (whole[cut : cut + 1] == b"\n")
    assert kept == before[:lines]
    append(Writer(workspace, "d"), "after")  # a restarted server never continues a torn line
    assert [r.request_id for r in records.read(workspace, "d")][-1:] == ["after"]
    assert records.count(workspace, "d") == lines + 1


@given(place=st.integers(0, 10_000), value=st.integers(0, 255))
def test_a_changed_byte_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int
) -> None:
    workspace = Workspace(tmp_path_factory.mktemp("bytes"))
    writer = Writer(workspace, "d")
    for number in range(4):
        append(writer, str(number))
    [segment] = segments(workspace)
    whole = bytearray(segment.read_bytes())
    before = records.read(workspace, "d")
    whole[place % len(whole)] = value
    segment.write_bytes(whole)
    found = records.read(workspace, "d")
    assert len(found) >= 2
    assert all(record in before for record in found)


def test_readers_see_only_whole_records_while_threads_write(workspace: Workspace) -> None:
    writer = Writer(workspace, "d", segment_bytes=20_000)
    threads = [
        threading.Thread(target=lambda n=n: [append(writer, f"{n}-{i}", 3) for i in range(100)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    seen = 0
    while any(thread.is_alive() for thread in threads):
        number = len(records.read(workspace, "d"))
        assert number >= seen
        seen = number
    assert len(records.read(workspace, "d")) == 1200
    assert len(segments(workspace)) > 2
    assert len({record.request_id for record in records.read(workspace, "d")}) == 1200


def test_a_write_that_does_not_fit_leaves_no_half_request(workspace: Workspace) -> None:
    script = """
import resource, sys
from mlops_jupyter.errors import Unavailable
from mlops_jupyter.records import Writer
from mlops_jupyter.workspace import Workspace

writer = Writer(Workspace(sys.argv[1]), "d")
def append(id, rows):
    values = [[number] for number in range(rows)]
    writer.append(id, "2026-11-21T00:00:00.000Z", "1", ["a"], values, [0] * rows, 1.0)
append("before", 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    append("large", 50)
except Unavailable as error:
    print(error.message)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
append("after", 1)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(workspace.root)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("Cannot write the records")
    found = [record.request_id for record in records.read(workspace, "d")]
    assert found == ["before", "after"]


def test_records_hold_no_path_of_the_machine(workspace: Workspace) -> None:
    append(Writer(workspace, "d"), "one")
    assert str(workspace.root).encode() not in b"".join(p.read_bytes() for p in segments(workspace))
