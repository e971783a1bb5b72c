from __future__ import annotations

import os
from pathlib import Path

import nbformat
import psutil
import pytest
from pipelines_support import notebook, save

from mlops_jupyter import _papermill
from mlops_jupyter.errors import Unavailable
from mlops_jupyter.pipelines.engine import MlopsEngine


class Listener:
    """A watcher that notes what it is told."""

    environment = {"MLOPS_NOTEBOOK": "x.ipynb"}  # noqa: RUF012

    def __init__(self, folder, leave_out=()):
        self.folder, self.leave_out, self.told = folder, leave_out, []

    def before(self, index):
        return index not in self.leave_out

    def after(self, index):
        self.told.append(index)

    def failed(self, index, name, message):
        self.told.append((index, name, message))


def prepared(*cells, **options):
    made = notebook(*cells, **options)
    made.metadata["papermill"] = {}
    return made


def test_the_engine_is_papermills():
    from papermill.engines import papermill_engines

    assert papermill_engines.get_engine("mlops") is MlopsEngine


def test_kernel_and_language():
    installed = notebook("1")
    missing = notebook("1", kernel={"name": "gone", "display_name": "Gone"})
    nothing = notebook("1", kernel=None)
    assert MlopsEngine.nb_kernel_name(installed) == "python3"
    assert MlopsEngine.nb_kernel_name(missing) == "python3"
    assert MlopsEngine.nb_kernel_name(nothing) == "python3"
    assert MlopsEngine.nb_kernel_name(nothing, "other") == "other"
    assert MlopsEngine.nb_language(nothing) == "python"
    assert MlopsEngine.nb_language(nothing, "r") == "r"


def test_the_kernel_gets_its_folder_and_environment_and_this_process_keeps_its_own(tmp_path):
    code = "import os\n(os.getcwd(), os.environ['MLOPS_NOTEBOOK'], os.environ['HOME'])"
    before, here = dict(os.environ), Path.cwd()
    listener = Listener(tmp_path)
    made = _papermill.run_engine(prepared(code), "python3", listener, output=None)
    shown = made.cells[0].outputs[0].data["text/plain"]
    assert eval(shown) == (str(tmp_path), "x.ipynb", os.environ["HOME"])
    assert (dict(os.environ), Path.cwd()) == (before, here)
    assert listener.told == [0]


def test_what_ran_is_saved_before_it_is_told(tmp_path):
    file = tmp_path / "new" / "out.ipynb"

    class Reader(Listener):
        def after(self, index):
            saved = nbformat.read(file, as_version=4)
            self.told.append([len(cell.get("outputs", [])) for cell in saved.cells])

        def failed(self, index, name, message):
            self.after(index)

    reader = Reader(tmp_path, leave_out=[1])
    cells = prepared("print(1)", "print('never')", "1/0", "3")
    _papermill.run_engine(cells, "python3", reader, output=file)
    assert reader.told == [[1, 0, 0, 0], [1, 0, 1, 0]]
    assert os.listdir(file.parent) == ["out.ipynb"], "no half-written file is left"


def test_a_kernel_that_cannot_start(tmp_path):
    with pytest.raises(Unavailable, match="'no-such-kernel'"):
        _papermill.run_engine(prepared("1"), "no-such-kernel", Listener(tmp_path), output=None)
    with pytest.raises(Unavailable, match="'python3'"):
        _papermill.run_engine(prepared("1"), "python3", Listener(tmp_path / "no"), output=None)


def test_a_cell_that_takes_too_long(tmp_path):
    listener = Listener(tmp_path)
    cells = prepared("1", "import time; time.sleep(600)")
    with pytest.raises(TimeoutError):
        _papermill.run_engine(cells, "python3", listener, output=None, execution_timeout=1)
    assert listener.told == [0]


def test_ctrl_c_just_as_a_cell_ends_is_ctrl_c(tmp_path):
    """asyncio has a stop of its loop in the queue then, and nbclient's clean-up fails on it."""
    from jupyter_core.utils import ensure_event_loop

    class Impatient(Listener):
        pid = None

        def after(self, index):
            self.pid = int((tmp_path / "pid").read_text())
            loop = ensure_event_loop()
            loop.call_soon(loop.stop)
            raise KeyboardInterrupt

    listener = Impatient(tmp_path)
    code = "import os, pathlib; pathlib.Path('pid').write_text(str(os.getpid()))"
    with pytest.raises(KeyboardInterrupt):
        _papermill.run_engine(prepared(code, "2"), "python3", listener, output=None)
    assert not psutil.pid_exists(listener.pid)


def test_inside_a_running_loop(tmp_path):
    """As a magic in a notebook's cell calls it."""
    import asyncio

    async def main():
        return _papermill.run_engine(prepared("1 + 1"), "python3", Listener(tmp_path), output=None)

    made = asyncio.run(main())
    assert made.cells[0].outputs[0].data["text/plain"] == "2"


def test_chosen_folder_and_local_paths(tmp_path, monkeypatch):
    from papermill.iorw import local_file_io_cwd
    from papermill.utils import chdir

    monkeypatch.chdir(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    assert _papermill.chosen_folder() is None
    with local_file_io_cwd():
        assert _papermill.chosen_folder() is None
        with chdir(other):
            assert _papermill.chosen_folder() == other
            assert _papermill.local_path("x.ipynb") == tmp_path / "x.ipynb"
    assert _papermill.local_path("s3://bucket/x.ipynb") is None
    assert _papermill.local_path("-") is None
    assert _papermill.local_path(None) is None


@pytest.mark.slow
def test_the_outputs_of_plain_papermill(tmp_path):
    import papermill

    cells = (
        "from IPython.display import display, HTML, clear_output",
        "h = display(HTML('<b>a</b>'), display_id='x')",
        "h.update(HTML('<i>b</i>'))",
        "for i in range(3):\n    print(i); clear_output(wait=True)",
        "import sys\nprint('a'); print('b', file=sys.stderr); print('c')",
        "%matplotlib inline",
        "!echo shell",
        "import warnings; warnings.warn('careful', stacklevel=1)",
        ("raises-exception", "[][1]"),
        "_",
    )
    path = save(tmp_path / "a.ipynb", *cells[:-2], "5", cells[-1])
    plain = papermill.execute_notebook(str(path), None, progress_bar=False, cwd=str(tmp_path))
    made = _papermill.run_engine(
        prepared(*cells[:-2], "5", cells[-1]), "python3", Listener(tmp_path), output=None
    )

    def shown(content):
        found = []
        for cell in content.cells:
            for output in cell.outputs:
                text = output.get("text", "")
                number = "ipykernel_" if "ipykernel_" in text else ""
                found.append({**output, "text": number or text})
        return found

    assert shown(made) == shown(plain)
