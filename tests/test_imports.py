"""What a user's kernel pays for: importing the package and loading the extension bring in nothing
heavy, each checked in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "alembic",
    "anywidget",
    "dask",
    "distributed",
    "mlflow",
    "nbclient",
    "nbformat",
    "numpy",
    "pandas",
    "papermill",
    "pyarrow",
    "scipy",
    "sklearn",
    "sqlalchemy",
    "starlette",
    "uvicorn",
}

IMPORT = """
import json, sys
import {module}
print(json.dumps(sorted(sys.modules)))
"""

LOAD = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
before = set(sys.modules)
shell.run_line_magic("load_ext", "mlops_jupyter")
assert "mlops" in shell.magics_manager.magics["line"], "the extension did not load"
shell.run_cell("x = 1 + 1", store_history=True).raise_error()
shell.run_cell("y = x + 1", store_history=True).raise_error()
print(json.dumps(sorted(set(sys.modules) - before)))
"""

HELP = """
import json, sys
from mlops_jupyter.cli import invoke
invoke(["pipeline", "run", "--help"])
print(json.dumps(sorted(sys.modules)))
"""


def modules(code: str, folder) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "module", ["mlops_jupyter", "mlops_jupyter.workspace", "mlops_jupyter.plugins"]
)
def test_importing_brings_in_nothing_heavy(module, tmp_path):
    assert modules(IMPORT.format(module=module), tmp_path) & HEAVY == set()
    assert list(tmp_path.iterdir()) == []


def test_the_check_sees_what_is_heavy(tmp_path):
    assert modules(IMPORT.format(module="mlops_jupyter, pandas"), tmp_path) & HEAVY >= {"pandas"}


def test_loading_the_extension_and_running_cells_brings_in_nothing_heavy(tmp_path):
    found = modules(LOAD, tmp_path)
    assert found & HEAVY == set()
    assert "mlops_jupyter.capture" in found


def test_the_command_line_answers_without_anything_heavy(tmp_path):
    assert modules(HELP, tmp_path) & HEAVY <= {"sqlalchemy"}
