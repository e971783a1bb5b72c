"""Fixtures of the tests of pipelines."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_jupyter._mlflow import Tracking
from mlops_jupyter._store import Store
from mlops_jupyter.models import PipelineRun
from mlops_jupyter.workspace import Workspace


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ``.mlops/`` with both databases' tables, to be copied: making them takes seconds."""
    made = Workspace(tmp_path_factory.mktemp("tables"))
    Tracking(made)._client  # noqa: B018
    Store(made).all(PipelineRun)
    return made.state


@pytest.fixture
def ready(tables: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A workspace with tables."""
    root = tmp_path / "project"
    root.mkdir()
    shutil.copytree(tables, root / ".mlops")
    yield Workspace(root)
