"""The walls of the house: lower layers never import higher ones, and each third-party adapter is
the only one to import its library. The contract is in pyproject.toml."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """import-linter on the package in ``folder``."""
    return subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package and its contract to build a wrong wall in."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(
        ROOT / "mlops_jupyter",
        tmp_path / "mlops_jupyter",
        ignore=shutil.ignore_patterns("__pycache__", "labextension"),
    )
    return tmp_path


def test_the_walls_stand():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("workspace.py", "from . import runs", "Layers"),
        ("notebook.py", "def f():\n    from .cli import main", "Layers"),
        ("registry.py", "import mlflow", "Only _mlflow imports mlflow"),
        (
            "registry.py",
            "def f():\n    from mlflow.entities import Run",
            "Only _mlflow imports mlflow",
        ),
        ("notebook.py", "import papermill", "Only _papermill imports papermill"),
        ("registry.py", "import sqlalchemy", "Only _store imports SQLAlchemy"),
        ("stranger.py", "", "stranger"),
    ],
)
def test_a_wrong_import_is_found(copy, module, line, broken):
    file = copy / "mlops_jupyter" / module
    text = file.read_text() if file.exists() else ""
    file.write_text(f"{text}\n{line}\n")
    done = lint(copy)
    assert done.returncode == 1
    report = done.stdout + done.stderr
    assert any(
        broken in found and ("BROKEN" in found or "stranger" in found)
        for found in report.splitlines()
    ), report
