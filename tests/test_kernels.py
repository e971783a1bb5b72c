"""The border to kernels: real ones, as nbclient runs cells in them, and as step kernels."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import threading
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest
import zmq
import zmq.asyncio
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.session import Session
from nbformat.v4 import new_code_cell

from mlops_jupyter import _kernels
from mlops_jupyter._kernels import CellFailed, CellTimedOut, Kernel, KernelDied
from mlops_jupyter.errors import Unavailable
from mlops_jupyter.models import from_dict
from mlops_jupyter.stepkernel.protocol import Finish, Finished, Prepare, Prepared


@pytest.fixture
def made():
    kernels = []

    def make(folder, *, name="python3", environment=None, cache=None, **options):
        kernels.append(Kernel(name, folder, environment or {}, cache, **options))
        return kernels[-1]

    yield make
    for kernel in kernels:
        kernel.close()
        assert kernel.process.poll() is not None


def cell(source, *tags):
    return new_code_cell(source, metadata={"tags": list(tags)})


def ask(kernel, kind, **fields):
    request = {"request": kind.__name__, **_plain(kind(**fields))}
    return kernel.ask(request)


def _plain(item):
    return asdict(item)


def test_the_kernel_gets_its_folder_and_environment_and_this_process_keeps_its_own(tmp_path, made):
    before, here = dict(os.environ), Path.cwd()
    kernel = made(tmp_path, environment={"MLOPS_NOTEBOOK": "x.ipynb"})
    asked = cell("import os\n(os.getcwd(), os.environ['MLOPS_NOTEBOOK'], os.environ['HOME'])")
    kernel.run(asked, 0)
    shown = asked.outputs[0].data["text/plain"]
    assert eval(shown) == (str(tmp_path), "x.ipynb", os.environ["HOME"])
    assert (dict(os.environ), Path.cwd()) == (before, here)


def test_kernels_that_cannot_start(tmp_path, made):
    with pytest.raises(Unavailable, match="'no-such-kernel'"):
        made(tmp_path, name="no-such-kernel")
    with pytest.raises(Unavailable, match="'no-such-kernel'"):
        _kernels.takes_steps("no-such-kernel")
    with pytest.raises(Unavailable, match="'python3'"):
        made(tmp_path / "no")


def test_a_cell_that_raises_and_one_that_may(tmp_path, made):
    kernel = made(tmp_path)
    failing = cell("print('a')\n1/0")
    with pytest.raises(CellFailed) as caught:
        kernel.run(failing, 3)
    assert (caught.value.index, caught.value.name) == (3, "ZeroDivisionError")
    assert caught.value.message == "division by zero"
    assert [output.output_type for output in failing.outputs] == ["stream", "error"]
    expected = cell("1/0", "raises-exception")
    kernel.run(expected, 4)
    assert expected.outputs[0].ename == "ZeroDivisionError"


def test_a_cell_that_takes_too_long(tmp_path, made):
    kernel = made(tmp_path)
    with pytest.raises(CellTimedOut, match="longer than 1 s"):
        kernel.run(cell("import time; time.sleep(600)"), 0, 0.4)
    limited = made(tmp_path, options={"timeout": 1})
    with pytest.raises(CellTimedOut, match="longer than 1 s"):
        limited.run(cell("import time; time.sleep(600)"), 0, 300)


def test_a_kernel_that_dies(tmp_path, made):
    kernel = made(tmp_path)
    with pytest.raises(KernelDied):
        kernel.run(cell("import os; os._exit(1)"), 0)
    steps = made(tmp_path, cache=str(tmp_path / "cache"))
    steps.process.kill()
    steps.process.wait()
    with pytest.raises(KernelDied):
        ask(steps, Prepare, bundles=[])


def test_killed_from_another_thread(tmp_path, made, until):
    kernel = made(tmp_path)
    ended = []

    def work():
        try:
            kernel.run(cell("open('there', 'w'); import time; time.sleep(600)"), 0)
        except BaseException as error:  # noqa: BLE001  # it is what the test looks at
            ended.append(type(error))

    thread = threading.Thread(target=work)
    thread.start()
    until((tmp_path / "there").exists)
    kernel.kill()
    thread.join(60)
    assert ended == [KernelDied]
    assert not psutil.pid_exists(kernel.process.pid)


def test_ending_gently_lets_the_kernel_finish(tmp_path, made):
    kernel = made(tmp_path)
    kernel.run(cell("file = open('left.txt', 'w')\nlength = file.write('buffered')"), 0)
    kernel.close()
    assert (tmp_path / "left.txt").read_text() == "buffered"
    kernel.close()


# --- what is displayed ------------------------------------------------------------------------


def test_displays_and_their_updates(tmp_path, made):
    kernel = made(tmp_path)
    shows = "h = display('a', display_id='x')\nprint(1)\n_ = display('b', display_id='y')"
    kernel.run(cell(shows), 2)
    shown = kernel.displayed()
    assert shown.ids == {"x": [[2, 0]], "y": [[2, 2]]}
    kernel.run(cell("h.update('c')"), 3)
    after = kernel.displayed()
    assert after.ids == {}
    assert [(id, data["text/plain"]) for id, data, _ in after.updates] == [("x", "'c'")]
    kernel.run(cell("1"), 4)
    last = kernel.displayed()
    assert (last.ids, last.updates) == ({}, [])


def test_states_of_widgets_do_not_change_afterwards(tmp_path, made):
    pytest.importorskip("ipywidgets")
    kernel = made(tmp_path)
    kernel.run(cell("import ipywidgets\ns = ipywidgets.IntSlider(value=3)\ns"), 0)
    first = kernel.displayed().widgets
    kernel.run(cell("s.value = 4"), 1)
    second = kernel.displayed().widgets
    values = [state["state"]["value"] for state in first.values() if "value" in state["state"]]
    assert values == [3]
    assert [state["state"]["value"] for state in second.values()] == [4]


# --- step kernels -----------------------------------------------------------------------------


def test_a_step_kernel_is_ipykernels_with_one_more_message(tmp_path, made):
    assert _kernels.takes_steps("python3")
    kernel = made(tmp_path, cache=str(tmp_path / "cache"))
    assert kernel.steps
    prepared = from_dict(Prepared, ask(kernel, Prepare, bundles=[], count=7))
    assert prepared.missing == []
    ran = cell("a = [1]\nb = a\nopen('f', 'w').write('x')\n(__name__, len(a))")
    kernel.run(ran, 0)
    assert ran.execution_count == 7
    finished = from_dict(Finished, ask(kernel, Finish, touched=None, label="l"))
    assert ("a", "b") in [bundle.names for bundle in finished.bundles]
    assert list(finished.observed.written) == [str(tmp_path / "f")]

    other = made(tmp_path, cache=str(tmp_path / "cache"))
    ask(other, Prepare, bundles=finished.bundles)
    shown = cell("a is b, a")
    other.run(shown, 0)
    assert shown.outputs[0].data["text/plain"] == "(True, [1])"
    assert from_dict(Finished, ask(other, Finish, touched=["a"], label="m")).bundles == []


def test_what_the_user_sees_is_as_in_ipykernel(tmp_path, made):
    code = (
        "import os, sys\n"
        "(sys.path, sys.argv[0].rsplit('/', 1)[-1] != '', __name__, 'mlops_jupyter' in dir(),\n"
        " os.environ.get('PYTHONHASHSEED'), type(get_ipython()).__name__)"
    )
    plain, steps = cell(code), cell(code)
    made(tmp_path).run(plain, 0)
    made(tmp_path, cache=str(tmp_path / "cache")).run(steps, 0)
    ours, theirs = (eval(c.outputs[0].data["text/plain"]) for c in (steps, plain))
    assert ours[0][-3:] == theirs[0][-3:]
    assert ours[1:4] == theirs[1:4] and ours[5] == theirs[5]


def test_a_missing_value_is_said(tmp_path, made):
    kernel = made(tmp_path, cache=str(tmp_path / "cache"))
    ask(kernel, Prepare, bundles=[])
    kernel.run(cell("a = [1]"), 0)
    finished = from_dict(Finished, ask(kernel, Finish, touched=None, label="l"))
    shutil.rmtree(tmp_path / "cache")
    other = made(tmp_path, cache=str(tmp_path / "cache"))
    with pytest.raises(Unavailable, match="cache"):
        ask(other, Prepare, bundles=finished.bundles)


def test_a_kernel_of_another_interpreter_takes_no_steps(tmp_path, monkeypatch, made):
    spec = tmp_path / "kernels" / "other"
    spec.mkdir(parents=True)
    link = tmp_path / "bin" / "python-other"
    link.parent.mkdir()
    link.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    link.chmod(0o755)
    argv = [str(link), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "Other", "language": "python"})
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert KernelSpecManager().get_kernel_spec("other").argv[0] == str(link)
    assert not _kernels.takes_steps("other")
    kernel = made(tmp_path, name="other", cache=str(tmp_path / "cache"))
    assert not kernel.steps
    asked = cell("1 + 1")
    kernel.run(asked, 0)
    assert asked.outputs[0].data["text/plain"] == "2"


def test_a_reply_that_comes_while_something_is_sent_is_not_missed():
    """What is sent takes the event of the arrival with it, as when nbclient answers widgets."""

    async def play():
        context = zmq.asyncio.Context()
        peer = zmq.Context.shadow(context).socket(zmq.DEALER)
        socket = context.socket(zmq.DEALER)
        try:
            port = peer.bind_to_random_port("tcp://127.0.0.1")
            socket.connect(f"tcp://127.0.0.1:{port}")
            session = Session(key=b"")
            channel = _kernels._ShellChannel(socket, session)
            waiting = asyncio.ensure_future(channel.get_msg())
            await asyncio.sleep(0)
            session.send(peer, "execute_reply", {"status": "ok"})
            here = zmq.Socket.shadow(socket)
            while not here.get(zmq.EVENTS) & zmq.POLLIN:  # reading it is what a send does
                pass
            return (await asyncio.wait_for(waiting, 60))["msg_type"]
        finally:
            socket.close(0)
            peer.close(0)
            context.term()

    assert asyncio.run(play()) == "execute_reply"
