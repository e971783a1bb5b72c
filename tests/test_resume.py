"""Continuing runs that failed or were interrupted: real kernels, a real socket, real signals."""

from __future__ import annotations

import json
import signal
import socketserver
import threading
from dataclasses import replace

import nbformat
import psutil
import pytest
from pipelines_support import play, python, save

from mlops_jupyter import pipelines
from mlops_jupyter._store import Store
from mlops_jupyter.errors import Conflict, InvalidInput, NotFound
from mlops_jupyter.models import PipelineRun
from mlops_jupyter.pipelines.resume import find, resume

pytest_plugins = ("pipelines_fixtures",)

CLI = "from mlops_jupyter.cli import main; main()"
BROKEN = ("## A", "a = 1", "## B", "a += 1\nprint(a)", "## C", "print(a / 0)", "## D", "a")
MENDED = (*BROKEN[:5], "print(a / 2)", *BROKEN[6:])


def mlops(ready, *arguments, code=0, **environment):
    process = python(CLI, *arguments, cwd=ready.root, env=environment)
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, out + err
    return out, err


def status(run):
    return "".join(step.status[0] for step in run.steps)


@pytest.fixture
def server():
    """Counts who connects: ``server.asked``."""

    class Answer(socketserver.BaseRequestHandler):
        def handle(self):
            self.server.asked.append(self.request.recv(9).decode())
            self.request.sendall(b"answer")

    with socketserver.TCPServer(("127.0.0.1", 0), Answer) as made:
        made.asked = []
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def ask(server, what):
    """Code of a step that asks the server."""
    return (
        "import socket\n"
        f"with socket.create_connection({server.server_address!r}) as s:\n"
        f"    s.sendall(b'{what}')\n"
        f"    {what} = s.recv(9).decode()\n"
        "del s"
    )


def test_only_what_is_left_runs(ready):
    failed = play(ready, *BROKEN)
    assert failed.did == "rrfs"
    save(ready.root / "a.ipynb", *MENDED)
    done = resume(ready, str(ready.root / "a.ipynb"))
    assert (status(done), done.status, done.resumed) == ("ccrr", "succeeded", failed.run.id)
    assert Store(ready).get(PipelineRun, done.id) == done
    executed = nbformat.read(ready.root / done.output, as_version=4)
    shown = [cell.outputs for cell in executed.cells if cell.cell_type == "code"]
    assert [out[0].get("text") for out in shown[1:3]] == ["2\n", "1.0\n"]


def test_with_its_parameters(ready):
    cells = (
        ("parameters", "n = 1\nsizes = []\nwhat = None"),
        "n, sizes, what",
        "1 / 0",
    )
    given = {"n": "5", "sizes": "[1, 2]", "what": [1, {"a": None}]}
    failed = play(ready, *cells, parameters=given)
    done = resume(ready, failed.run.id)
    assert (done.status, done.parameters) == ("failed", failed.run.parameters)
    assert status(done) == "ccf"
    executed = nbformat.read(ready.root / done.output, as_version=4)
    shown = executed.cells[2].outputs[0].data["text/plain"]
    assert shown == "(5, [1, 2], [1, {'a': None}])"


def test_what_a_cache_must_not_answer_for_counts_in_a_chain(ready, server):
    """A step that asks a network runs once in a run and those that continue it, however often they
    fail, and again in any other run."""
    cells = ["## One", ask(server, "one"), "## Two", "1 / 0", "## Three", "one"]
    first = play(ready, *cells)
    assert (first.did, server.asked) == ("rfs", ["one"])

    cells[3] = ask(server, "two")
    cells[5] = "1 / 0"
    save(ready.root / "a.ipynb", *cells)
    second = resume(ready, str(ready.root / "a.ipynb"))
    assert (status(second), server.asked) == ("crf", ["one", "two"])

    cells[5] = "print(one, two)\n1 / 0"
    save(ready.root / "a.ipynb", *cells)
    third = resume(ready, "a.ipynb")
    assert (status(third), third.resumed) == ("ccf", second.id)

    cells[5] = "print(one, two)"
    save(ready.root / "a.ipynb", *cells)
    assert status(resume(ready, third.id)) == "ccr"
    assert status(resume(ready, first.run.id)) == "ccc", "also where it began"
    assert server.asked == ["one", "two"]
    assert play(ready, *cells).did == "rrc"
    assert server.asked == ["one", "two", "one", "two"]


def test_a_secret_has_to_be_given_again(ready, monkeypatch):
    monkeypatch.setenv("DOOR", "sesame-42")
    cells = (("parameters", "key = ''\nn = 1"), "size = len(key)", "1 / 0")
    failed = play(ready, *cells, parameters={"n": 2}, secrets={"key": "DOOR"})
    with pytest.raises(InvalidInput, match=r"'key' was a secret.*--param-env key=VARIABLE"):
        resume(ready, failed.run.id)
    done = resume(ready, failed.run.id, secrets={"key": "DOOR"})
    assert done.parameters == {"key": "***", "n": 2}
    assert done.steps[-1].status == "failed"
    # with the prefixes of a step that may hold the secret: it may have to run, but not more
    assert [step.status for step in done.steps][1] == "cached"


def test_a_parameter_that_is_not_there_any_more(ready):
    failed = play(ready, ("parameters", "n = 1"), "1 / 0", parameters={"n": 2})
    save(ready.root / "a.ipynb", ("parameters", "m = 1"), "1")
    with pytest.raises(InvalidInput, match=r"'n', which a.ipynb does not have any more"):
        resume(ready, failed.run.id)


def test_nothing_to_resume(ready):
    with pytest.raises(NotFound, match="no pipeline run 'nobody'"):
        resume(ready, "nobody")
    with pytest.raises(NotFound, match=r"no notebook 'no.ipynb'"):
        resume(ready, "no.ipynb")
    place = save(ready.root / "a.ipynb", "1")
    with pytest.raises(NotFound, match=r"a.ipynb was never run here\. Run it"):
        resume(ready, "a.ipynb")
    done = pipelines.run(ready, place, {})
    for what in ("a.ipynb", done.id):
        with pytest.raises(Conflict, match="succeeded: there is nothing to resume"):
            resume(ready, what)
    with pytest.raises(NotFound, match="no pipeline run 'nobody'"):
        pipelines.run(ready, place, {}, resume="nobody")
    running = replace(done, id="goes-on", status="running")
    Store(ready).put(running)
    with ready.lock("pipeline-goes-on"), pytest.raises(Conflict, match="is going on"):
        resume(ready, "goes-on")
    assert find(ready, "a.ipynb").status == "cancelled", "its runner is gone"
    place.unlink()
    with pytest.raises(NotFound, match=r"no notebook 'a.ipynb'"):
        resume(ready, "goes-on")


RUNNER = """
import sys
from mlops_jupyter import pipelines
from mlops_jupyter.workspace import Workspace
workspace = Workspace(sys.argv[1])
pipelines.run(workspace, workspace.root / "a.ipynb", {}, id="long")
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_after_ctrl_c_and_after_kill(ready, until, server, number):
    wait = "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\n"
    cells = ("## One", ask(server, "one"), "## Long", wait + "time.sleep(600)", "## Last", "one")
    save(ready.root / "a.ipynb", *cells)
    process = python(RUNNER, str(ready.root), cwd=ready.root)
    pid = ready.root / "pid"
    until(lambda: pid.exists() and pid.read_text(), 120)
    kernel = psutil.Process(int(pid.read_text()))
    # the trace of the first step is written beside the steps
    until(lambda: list((ready.state / "cache").rglob("traces/*/*.json")), 60)
    process.send_signal(number)
    process.communicate(timeout=120)
    until(lambda: not kernel.is_running() or kernel.status() == psutil.STATUS_ZOMBIE, 60)
    save(ready.root / "a.ipynb", *cells[:3], "two = one * 2", *cells[4:])
    done = resume(ready, "a.ipynb")
    assert (status(done), done.resumed, done.status) == ("crr", "long", "succeeded")
    assert server.asked == ["one"]


@pytest.mark.slow
def test_on_the_command_line(ready):
    save(ready.root / "my notes.ipynb", *BROKEN)
    out, _ = mlops(ready, "run", "my notes.ipynb", code=1)
    assert out.splitlines()[-2:] == [
        "Debug it: mlops pipeline debug 'my notes.ipynb'",
        "Resume: mlops pipeline resume 'my notes.ipynb'",
    ]
    out, err = mlops(ready, "pipeline", "resume", "my notes.ipynb", code=1)
    assert err.startswith("Resuming run ") and "which failed." in err
    assert "Failed: step c, cell 6" in err
    save(ready.root / "my notes.ipynb", *MENDED)
    out, err = mlops(
        ready, "pipeline", "resume", "my notes.ipynb", "-o", "out.ipynb", "--json", "--workers", "2"
    )
    done = json.loads(out)
    assert [step["status"] for step in done["steps"]] == ["cached", "cached", "ran", "ran"]
    assert (done["output"], err) == ("out.ipynb", "")
    assert (ready.root / "out.ipynb").is_file()
    out, err = mlops(ready, "pipeline", "resume", "my notes.ipynb", code=2)
    assert (out, len(err.splitlines())) == ("", 1)
    assert err.startswith("Error: Run ") and "there is nothing to resume" in err
    _, err = mlops(ready, "pipeline", "resume", "20200101-000000-abcdef", code=2)
    assert err.startswith("Error: ") and len(err.splitlines()) == 1
