"""papermill's side: our engine is one of its engines, and the book that it keeps."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone

import nbformat
import pytest
from pipelines_support import notebook, python, save

from mlops_jupyter import _papermill, pipelines
from mlops_jupyter.pipelines.engine import MlopsEngine

pytest_plugins = ("pipelines_fixtures",)
BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def prepared(*cells):
    made = notebook(*cells)
    made.metadata["papermill"] = {}
    return made


def times(seconds):
    return [(BEGAN, BEGAN + timedelta(seconds=n)) for n in seconds]


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


# --- the book ---------------------------------------------------------------------------------


def test_the_book_notes_how_cells_went(tmp_path):
    made = prepared("1", "2", "1/0", "4")
    book = _papermill.Book(made, tmp_path / "out.ipynb")
    book.notebook_start()
    assert [cell.metadata.papermill.status for cell in made.cells] == ["pending"] * 4
    book.cells([0, 1], times([1, 2.5]), None)
    book.cells([2], times([0.5]), 2)
    book.finish(interrupted=False)
    about = [cell.metadata.papermill for cell in made.cells]
    assert [item.status for item in about] == ["completed", "completed", "failed", "pending"]
    assert [item.exception for item in about] == [False, False, True, None]
    assert [item.duration for item in about[:3]] == [1, 2.5, 0.5]
    assert about[1].start_time == BEGAN.isoformat()
    assert about[1].end_time == (BEGAN + timedelta(seconds=2.5)).isoformat()
    assert made.metadata.papermill.duration > 0
    saved = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    nbformat.validate(saved)
    assert saved == nbformat.from_dict(made)


def test_cells_that_an_interrupted_run_did_not_reach_stay_pending(tmp_path):
    made = prepared("1", "2")
    book = _papermill.Book(made, tmp_path / "out.ipynb")
    book.notebook_start()
    book.cells([0], times([1]), None)
    book.finish(interrupted=True)
    saved = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert [cell.metadata.papermill.status for cell in saved.cells] == ["completed", "pending"]


def test_the_book_saves_at_once_and_at_the_end_and_not_for_each_cell(tmp_path):
    file = tmp_path / "new" / "out.ipynb"

    class Counting(_papermill.Book):
        written = 0

        def _write(self):
            super()._write()
            self.written += 1

    made = prepared(*map(str, range(300)))
    book = Counting(made, file)
    book.notebook_start()
    assert file.exists() and book.written == 1
    before = datetime.now(timezone.utc)
    for index in range(300):
        book.cells([index], times([1]), None)
    seconds = (datetime.now(timezone.utc) - before).total_seconds()
    assert book.written <= 2 + seconds, "at most once a second"
    book.finish(interrupted=False)
    saved = nbformat.read(file, as_version=4)
    assert saved.cells[-1].metadata.papermill.status == "completed"
    assert os.listdir(file.parent) == ["out.ipynb"], "no half-written file is left"


def test_a_book_without_a_file(tmp_path):
    made = prepared("1")
    book = _papermill.Book(made, None)
    book.notebook_start()
    book.cells([0], times([1]), None)
    book.finish(interrupted=False)
    assert made.cells[0].metadata.papermill.status == "completed"


# --- papermill's ways ------------------------------------------------------------------------


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


def test_inside_a_running_loop(ready):
    """As a magic in a notebook's cell calls it."""
    import asyncio

    path = save(ready.root / "a.ipynb", "1 + 1")

    async def main():
        return pipelines.run(ready, path, {})

    run = asyncio.run(main())
    made = nbformat.read(ready.root / run.output, as_version=4)
    assert made.cells[0].outputs[0].data["text/plain"] == "2"


def papermill(folder, *arguments):
    process = python("", "-m", "papermill", "--no-progress-bar", *arguments, cwd=folder)
    out, err = process.communicate(timeout=120)
    return process.returncode, out + err


@pytest.mark.slow
def test_options_of_papermill(ready):
    root = ready.root
    (root / "data").mkdir()
    code = "import os\nprint('said')\n(os.path.basename(os.getcwd()))"
    save(root / "a.ipynb", code)
    options = ("--engine", "mlops", "--cwd", "data", "--log-output")
    status, text = papermill(root, "a.ipynb", "out.ipynb", *options)
    assert (status, "said" in text) == (0, True), text
    made = nbformat.read(root / "out.ipynb", as_version=4)
    assert made.cells[0].outputs[1].data["text/plain"] == "'data'"
    status, text = papermill(root, "a.ipynb", "-", "--engine", "mlops")
    assert status == 0 and '"said\\n"' in text, text
    save(root / "slow.ipynb", "1", "import time; time.sleep(600)")
    slow = ("slow.ipynb", "out.ipynb", "--engine", "mlops", "--execution-timeout", "1")
    status, text = papermill(root, *slow)
    assert status == 1
    run = pipelines.history(ready)[0]
    assert run.error == "step cell-2, cell 2: TimeoutError: the cell took longer than 1 s"


@pytest.mark.slow
def test_the_outputs_of_plain_papermill(ready):
    import papermill as plain_papermill

    cells = (
        "from IPython.display import display, HTML, clear_output",
        "h = display(HTML('<b>a</b>'), display_id='x')",
        "h.update(HTML('<i>b</i>'))",
        "for i in range(3):\n    print(i); clear_output(wait=True)",
        "import sys\nprint('a'); print('b', file=sys.stderr); print('c')",
        "%matplotlib inline",
        "!echo shell",
        "import warnings; warnings.warn('careful', stacklevel=1)",
        "5",
        "_",
    )
    path = save(ready.root / "a.ipynb", *cells)
    plain = plain_papermill.execute_notebook(
        str(path), None, progress_bar=False, cwd=str(ready.root)
    )

    def shown(content):
        found = []
        for cell in content.cells:
            for output in cell.outputs:
                text = output.get("text", "")
                number = "ipykernel_" if "ipykernel_" in text else ""
                found.append({**output, "text": number or text})
        return found

    for _ in range(2):  # cold and warm
        run = pipelines.run(ready, path, {})
        made = nbformat.read(ready.root / run.output, as_version=4)
        assert shown(made) == shown(plain)
