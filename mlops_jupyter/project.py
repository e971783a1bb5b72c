"""Starter projects from ``templates/``, and a check-up of the machine and the workspace."""

from __future__ import annotations

import json
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from ._mlflow import Tracking
from ._store import Store
from .errors import Conflict, MLOpsError, NotFound
from .models import Deployment, Doctor, Project
from .workspace import Workspace, os_errors, write_atomic

_HERE = Path(__file__).parent
_NEXT = {"tour": "mlops run tumour.ipynb"}
_EXTRAS = {
    "serve": ("starlette", "uvicorn", "httptools", "msgspec"),
    "monitor": ("pyarrow", "scipy"),
    "dask": ("distributed",),
}


def templates() -> dict[str, Path]:
    """The templates by name, from the wheel or from a source tree."""
    folder = _HERE / "templates"
    if not folder.is_dir():
        folder = _HERE.parent / "templates"
    return {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}


def template_files(name: str) -> dict[str, bytes]:
    """A template's files by relative path.

    Raises
    ------
    NotFound
        If there is no such template.
    """
    known = templates()
    if name not in known:
        raise NotFound(f"There is no template {name!r}.", hint=f"Known: {', '.join(known)}.")
    return {
        path.relative_to(known[name]).as_posix(): path.read_bytes()
        for path in sorted(known[name].rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and ".mlops" not in path.parts
    }


def changed(folder: Path, name: str) -> list[str]:
    """The template's files that are in ``folder`` with other content; a notebook that was merely
    run is as it was."""
    return [
        relative
        for relative, content in template_files(name).items()
        if (folder / relative).exists()
        and _essence(relative, (folder / relative).read_bytes()) != _essence(relative, content)
    ]


def _essence(name: str, content: bytes) -> object:
    """What a person would miss if it were replaced: of a notebook its cells, not its outputs."""
    if not name.endswith(".ipynb"):
        return content
    try:
        cells = json.loads(content)["cells"]
        return [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    except (ValueError, KeyError, TypeError):
        return content


def create(folder: Path, template: str = "tour") -> Project:
    """Make a project in ``folder``; files that are there as they should be are left alone.

    Raises
    ------
    NotFound
        If there is no such template.
    Conflict
        If a file is there with other content; nothing is written then.
    Unavailable
        If the folder cannot be written.
    """
    files = template_files(template)
    with os_errors(f"the project folder {folder.name!r}"):
        folder.mkdir(parents=True, exist_ok=True)
    if edited := changed(folder, template):
        raise Conflict(
            f"{folder.name}/{edited[0]} is there already, with other content.",
            hint="Choose another folder; nothing was written.",
        )
    for relative, content in files.items():
        if not (folder / relative).exists():
            write_atomic(folder / relative, content)
    Workspace(folder).ensure()
    return Project(str(folder), template, list(files), _NEXT.get(template, "mlops lab"))


def doctor(workspace: Workspace) -> Doctor:
    """Look at Python, the extras, the sidebar, the folder, the disk and the stores."""
    facts = [
        f"mlops_jupyter {_version('mlops_jupyter')}, Python {platform.python_version()}",
        ", ".join(f"{name} {_version(name)}" for name in ("jupyterlab", "mlflow", "scikit-learn")),
        f"workspace {workspace.root}",
    ]
    problems = [
        f"{library} is missing: pip install 'mlops_jupyter[{extra}]'"
        for extra, libraries in _EXTRAS.items()
        for library in libraries
        if find_spec(library) is None
    ]
    if not (Path(sys.prefix) / "share/jupyter/labextensions/mlops-jupyter").exists():
        problems.append(
            "JupyterLab's sidebar is not installed: pip install --force-reinstall mlops_jupyter"
        )
    free = shutil.disk_usage(_existing(workspace.root)).free
    facts.append(f"{free / 1e9:.1f} GB free")
    if free < 500e6:
        problems.append("less than 0.5 GB of disk is free: make room")
    for check in (
        workspace.ensure,
        lambda: Store(workspace).all(Deployment, limit=1),
        lambda: Tracking(workspace).runs(limit=1),
    ):
        try:
            check()
        except MLOpsError as error:
            problems.append(str(error))
            break
    return Doctor(facts, problems)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())
