"""The extension and its magics in a real shell."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from kernels import kernel

from mlops_jupyter import journal
from mlops_jupyter.sessions import Session
from mlops_jupyter.workspace import Workspace

LOAD = """
import json, sys, time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
started = time.process_time()
shell.run_line_magic("load_ext", "mlops_jupyter")
seconds = time.process_time() - started
heavy = ["mlflow", "sklearn", "pandas", "numpy", "sqlalchemy", "papermill", "nbformat", "click"]
print(json.dumps([seconds, [name for name in heavy if name in sys.modules]]))
"""


def test_loading_is_quick_and_imports_nothing_heavy(tmp_path: Path) -> None:
    done = [
        subprocess.run(
            [sys.executable, "-c", LOAD], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        for _ in range(3)
    ]
    found = [json.loads(one.stdout.splitlines()[-1]) for one in done]
    assert all(heavy == [] for _, heavy in found)
    assert min(seconds for seconds, _ in found) < 0.1


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".mlops").write_text("a file is in the way")
    with kernel(tmp_path) as k:
        loaded = k.ok("%load_ext mlops_jupyter")
        (line,) = loaded.errors.splitlines()
        assert line.startswith("mlops_jupyter: capture is off: ")
        assert k.ok("1 + 1").result == "2"
        assert k.run("%%track x\n1").status == "error"


def test_magics(tmp_path: Path) -> None:
    with kernel(tmp_path) as k:
        k.ok("%load_ext mlops_jupyter")
        k.ok("%load_ext mlops_jupyter\n%reload_ext mlops_jupyter")
        assert k.ok("%%step prepare\nvalue = 20\nvalue + 1").result == "21"
        assert k.ok("%%step prepare\nimport asyncio\nawait asyncio.sleep(0, 'waited')").result == (
            "'waited'"
        )
        raised = k.run("\n%%step prepare\n\n1 / 0")
        assert raised.status == "error"
        assert raised.traceback.count("ZeroDivisionError") == 2
        plain = re.sub(r"\x1b\[[0-9;]*m", "", raised.traceback)
        assert re.search(r"3 1 ?/ ?0", plain), "the line as it is in the cell"
        unnamed = k.run("%%step\n1")
        assert "A step needs a name" in unnamed.traceback + unnamed.errors
        assert k.ok("%%track\n6 * 7").result == "42"
        assert k.ok("%%time\n%%track 'in quotes'\n6 * 7").result == "42"
        assert k.run("%%track fails\n1 / 0").status == "error"
        k.ok("get_ipython().run_cell_magic('track', 'called', 'x = 1')")
        k.ok("get_ipython().run_cell_magic('step', 'called', 'z = 1')")
        k.ok("assert (x, z) == (1, 1)")
        wrong = k.ok("%mlops runs show nothing")
        assert wrong.traceback == ""
        assert "There is no run 'nothing'" in wrong.errors
        assert wrong.errors.startswith("\x1b[31m")
        assert "No closing quotation" in k.ok("%mlops runs 'show").errors
        assert k.ok("%mlops runs current").data
        listed = k.ok("%mlops runs list")
        assert "in quotes" in listed.text + str(listed.data)
        k.ok("%unload_ext mlops_jupyter")
        assert "`%mlops` not found" in k.run("%mlops runs list").errors
    workspace = Workspace(tmp_path)
    found = [Session.load(journal.path(workspace, name))[0] for name in journal.sessions(workspace)]
    runs = [(run.name, run.status) for session in found for run in session.runs.values()]
    assert runs == [
        ("run", "FINISHED"),
        ("in quotes", "FINISHED"),
        ("fails", "FAILED"),
        ("called", "FINISHED"),
    ]


@pytest.mark.parametrize("name", ["track", "step"])
def test_magics_are_listed_with_help(tmp_path: Path, name: str) -> None:
    code = (
        "from IPython.core.interactiveshell import InteractiveShell as S; s = S.instance()\n"
        "s.run_line_magic('load_ext', 'mlops_jupyter')\n"
        f"print(s.find_cell_magic({name!r}).__doc__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert f"%%{name}" in done.stdout
