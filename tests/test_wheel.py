"""The wheel: built as a release is, installed in an empty environment, used far from the source."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUNDLE = ROOT / "mlops_jupyter" / "labextension" / "static" / "style.js"
SHARED = r"mlops_jupyter-[\w.]+\.data/data/"

pytestmark = pytest.mark.slow


def run(*command: object, **options) -> str:
    """Run a command far from the source, and return what it printed on stdout and stderr."""
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=options.pop("stderr", subprocess.STDOUT),
        text=True,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the sdist, as ``make build`` does."""
    if not BUNDLE.is_file():
        pytest.fail("The labextension is not built. Run: make test")
    folder = tmp_path_factory.mktemp("dist")
    environment = {k: v for k, v in os.environ.items() if k != "SKIP_JUPYTER_BUILDER"}
    run(
        *(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT),
        cwd=folder,
        env=environment,
    )
    (found,) = folder.glob("*.whl")
    assert len(list(folder.glob("*.tar.gz"))) == 1
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An environment in which nothing but the wheel and what it needs is installed: its ``bin``."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    run(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    run(
        sys.executable,
        ROOT / "scripts" / "install.py",
        python,
        f"mlops_jupyter[all] @ {wheel.as_uri()}",
    )
    yield python.parent
    shutil.rmtree(folder)  # more than a gigabyte


@pytest.fixture
def outside(tmp_path: Path) -> dict:
    """Options for ``run``: a folder and an environment that know nothing of the source tree."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return {"cwd": tmp_path, "env": {**environment, "PYTHONNOUSERSITE": "1"}}


# --- what is in it ---------------------------------------------------------------------------


def test_the_wheel_holds_what_it_must_and_nothing_twice(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert len(names) == len(set(names))

    def matching(pattern: str) -> list[str]:
        return [name for name in names if re.fullmatch(pattern, name)]

    assert len([name for name in names if name.endswith("static/style.js")]) == 1
    assert matching(rf"{SHARED}share/jupyter/labextensions/mlops-jupyter/package\.json")
    assert matching(rf"{SHARED}share/jupyter/labextensions/mlops-jupyter/install\.json")
    assert matching(
        rf"{SHARED}share/jupyter/labextensions/mlops-jupyter/static/remoteEntry\.\w+\.js"
    )
    assert matching(rf"{SHARED}etc/jupyter/jupyter_server_config\.d/mlops_jupyter\.json")
    package = ROOT / "mlops_jupyter"
    for path in package.rglob("*"):
        relative = path.relative_to(package)
        if path.is_file() and not {"labextension", "__pycache__"} & set(relative.parts):
            assert f"mlops_jupyter/{relative.as_posix()}" in names
    templates = ROOT / "templates"
    for path in templates.rglob("*"):
        relative = path.relative_to(templates)
        if path.is_file() and not {"data", ".mlops", ".ipynb_checkpoints"} & set(relative.parts):
            assert f"mlops_jupyter/templates/{relative.as_posix()}" in names
    strange = [
        name
        for name in names
        if not re.match(rf"mlops_jupyter/|mlops_jupyter-[\w.]+\.dist-info/|{SHARED}", name)
        or re.search(r"(^|/)(tests|node_modules|\.mlops|\.venv|__pycache__|data/reference)/", name)
    ]
    assert strange == []


def test_the_wheel_holds_no_place_of_this_machine(wheel):
    with zipfile.ZipFile(wheel) as archive:
        found = [name for name in archive.namelist() if str(ROOT).encode() in archive.read(name)]
    assert found == []


# --- what it does ----------------------------------------------------------------------------

MODULES = """
import importlib, json, pkgutil, sys
import mlops_jupyter
for found in pkgutil.walk_packages(mlops_jupyter.__path__, "mlops_jupyter."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
print(json.dumps([m.__file__ for n, m in sys.modules.items() if n.startswith("mlops_jupyter")]))
"""


def test_every_module_imports_and_none_comes_from_the_source(installed, outside):
    said = run(installed / "python", "-c", MODULES, stderr=subprocess.DEVNULL, **outside)
    files = json.loads(said.splitlines()[-1])
    assert len(files) > 20
    assert [file for file in files if not Path(file).is_relative_to(installed.parent)] == []


def test_jupyter_knows_both_extensions(installed, outside):
    lab = run(installed / "python", "-m", "jupyter", "labextension", "list", **outside)
    assert re.search(r"mlops-jupyter v[\d.]+ .*enabled.*OK.*\(python, mlops_jupyter\)", lab), lab
    server = run(installed / "python", "-m", "jupyter", "server", "extension", "list", **outside)
    assert re.search(r"mlops_jupyter .*enabled", server), server
    assert re.search(r"mlops_jupyter [\d.]+ .*OK", server), server


def test_the_whole_loop_runs_from_the_wheel(installed, outside, tmp_path):
    mlops = installed / "mlops"
    said = run(mlops, "demo", tmp_path / "tour", "--json", stderr=None, **outside)
    tour = json.loads(said)
    try:
        assert tour["run"]["status"] == "succeeded"
        assert {step["status"] for step in tour["run"]["steps"]} <= {"ran", "cached"}
        assert tour["calm"]["drifted_share"] < 0.5 <= tour["report"]["drifted_share"]
        assert tour["alert"]["status"] == "resolved"
        assert tour["retraining"]["status"] == "succeeded"
        assert tour["promotion"]["passed"]
        assert tour["promotion"]["previous"] == tour["version"] != tour["new_version"]
        assert tour["prediction"]["version"] == tour["new_version"]
        shown = json.loads(
            run(mlops, "deployments", "show", tour["model"], "-w", "tour", "--json", **outside)
        )
        assert shown["status"] == "ready"
        assert [served["version"] for served in shown["versions"]] == [tour["new_version"]]
    finally:
        run(mlops, "deployments", "stop", tour["model"], "-w", "tour", **outside)
    audit = json.loads(run(mlops, "audit", "verify", "-w", "tour", "--json", **outside))
    assert audit["problems"] == []
