from __future__ import annotations

import os
from pathlib import Path

import pytest
from pipelines_support import save

from mlops_jupyter.errors import InvalidInput
from mlops_jupyter.models import to_dict
from mlops_jupyter.pipelines.compare import files_in
from mlops_jupyter.pipelines.verify import Finding, report, verify

pytest_plugins = ("pipelines_fixtures",)


@pytest.fixture
def project(ready):
    (ready.root / "data.csv").write_text("n\n1\n2\n")
    return ready


def test_an_equal_notebook(project):
    path = save(
        project.root / "notebooks" / "n.ipynb",
        "# Title",
        ("parameters", "factor = 2"),
        "rows = [int(x) * factor for x in open('../data.csv').read().split()[1:]]",
        "same = rows\nsame.append(0)",
        "import sqlite3\ndb = sqlite3.connect(':memory:')\nmodel = lambda: rows",
        "open('out.txt', 'w').write(str(rows))\nrows",
    )
    before = {name: file.read_bytes() for name, file in files_in(project.root).items()}
    found = verify(project, path, {"factor": 3})
    assert found.equal, report(found)
    assert [cell.index for cell in found.cells] == list(range(7))
    assert all(cell.equal and cell.first_difference is None for cell in found.cells)
    assert (found.variables, found.files, found.notebook) == ([], [], "notebooks/n.ipynb")
    assert report(found).startswith("notebooks/n.ipynb: equal (7 cells; notebook ")
    assert "\n" not in report(found)
    assert {"equal", "cells"} <= set(to_dict(found))
    assert set(to_dict(found)["cells"][0]) >= {"index", "equal", "first_difference"}
    after = {name: file.read_bytes() for name, file in files_in(project.root).items()}
    assert after == before


def test_a_module_that_prints_when_it_is_imported(project):
    path = save(project.root / "n.ipynb", "import this", "x = 1")
    found = verify(project, path, {})
    assert found.equal, report(found)


def test_what_differs_is_told(project):
    """Whoever asks whether this is a pipeline gets another answer each way."""
    path = save(
        project.root / "n.ipynb",
        "import os\nway = 'MLOPS_PIPELINE_RUN' in os.environ",
        "same = 1",
        "print('in a pipeline:', way)",
        "open('way.txt', 'w').write(f'first\\n{way}\\n');",
    )
    found = verify(project, path, {})
    assert not found.equal
    assert [cell.equal for cell in found.cells] == [True, True, False, True]
    assert found.cells[2].first_difference == (
        "output 1, stdout: line 1: 'in a pipeline: False' != 'in a pipeline: True'"
    )
    assert found.variables == [Finding("way", "way: False != True")]
    assert found.files == [Finding("way.txt", "line 2: 'False' != 'True'")]
    assert report(found).splitlines()[1:] == [
        "  cell 3: output 1, stdout: line 1: 'in a pipeline: False' != 'in a pipeline: True'",
        "  variable way: False != True",
        "  file way.txt: line 2: 'False' != 'True'",
    ]


def test_what_the_notebook_gives_anew_each_time_does_not_count(project):
    path = save(project.root / "n.ipynb", "import os\nkey = os.urandom(8)", "print(key)", "2")
    found = verify(project, path, {})
    assert found.equal
    assert [(cell.equal, cell.steady) for cell in found.cells] == [
        (True, True),
        (False, False),
        (True, True),
    ]
    assert [(item.name, item.steady) for item in found.variables] == [("key", False)]
    assert "Not counted, because the notebook itself gives something else" in report(found)


def test_sets_iterate_in_one_order(project):
    path = save(project.root / "n.ipynb", "words = {str(n) for n in range(50)}", "list(words)")
    found = verify(project, path, {})
    assert found.equal and not any(cell.first_difference for cell in found.cells), report(found)


def test_a_notebook_that_fails_is_compared_up_to_there(project):
    path = save(project.root / "n.ipynb", "x = 1", "print(x)\n1 / 0", "print('never')")
    found = verify(project, path, {})
    assert found.equal, report(found)
    assert not any("variables-" in name for name in os.listdir(project.root))


def test_what_cannot_run_is_refused(project: object, tmp_path: Path):
    path = save(tmp_path / "project" / "n.ipynb", "def f(:")
    with pytest.raises(InvalidInput, match="cell 1, line 1"):
        verify(project, path, {})
