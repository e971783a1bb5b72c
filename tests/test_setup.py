"""What a newcomer meets first: the Makefile's set-up and scripts/install.py."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installer():
    """scripts/install.py as a module."""
    spec = importlib.util.spec_from_file_location("install", ROOT / "scripts" / "install.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_uv_follows_pips_configuration(installer):
    listing = """
global.index-url='https://one.example/x'
install.index-url='https://two.example/x'
global.extra-index-url='file:///a file:///b'
:env:.find-links='/wheels /more'
:env:.cert='/certs.pem'
global.progress-bar='off'
"""
    assert installer.settings(listing) == {
        "UV_DEFAULT_INDEX": "https://two.example/x",
        "UV_INDEX": "file:///a file:///b",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/wheels,/more",
        "SSL_CERT_FILE": "/certs.pem",
    }


def test_the_environment_wins_over_pips_files(installer):
    listing = ":env:.index-url='https://env.example'\nglobal.index-url='https://file.example'\n"
    assert installer.settings(listing) == {"UV_DEFAULT_INDEX": "https://env.example"}


def test_without_configuration_nothing_is_set(installer):
    assert installer.settings("") == {}


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
class TestMakefile:
    """In a folder of its own, with commands that only pretend."""

    @pytest.fixture
    def clone(self, tmp_path: Path) -> Path:
        shutil.copy(ROOT / "Makefile", tmp_path)
        shutil.copy(ROOT / "pyproject.toml", tmp_path)
        return tmp_path

    def make(self, clone: Path, *arguments: str, **settings: str) -> tuple[int, str, str]:
        # As a person calls it: not as a part of the make that may run these tests.
        inherited = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
        done = subprocess.run(
            ["make", *arguments],
            cwd=clone,
            env={**inherited, **settings},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def pretend(self, file: Path, script: str) -> str:
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        return str(file)

    def test_no_python_is_one_clear_line(self, clone):
        code, _, said = self.make(clone, "demo", "PYTHON=/none/python3")
        assert code != 0
        assert said.startswith("Python 3.10 or newer is needed, and there is no /none/python3.")

    def test_an_old_python_is_one_clear_line(self, clone):
        old = self.pretend(clone / "old", '[ "$1" = -V ] && echo Python 3.9.1; exit 1')
        code, _, said = self.make(clone, "demo", f"PYTHON={old}")
        assert code != 0
        assert said.startswith(f"Python 3.10 or newer is needed; {old} is Python 3.9.1.")

    def test_a_python_without_venv_is_one_clear_line(self, clone):
        bare = self.pretend(clone / "bare", '[ "$1" != -m ] || exit 1; echo Python 3.12.1')
        code, _, said = self.make(clone, "demo", f"PYTHON={bare}")
        assert code != 0
        assert said.startswith(f"{bare} cannot make a virtual environment")
        assert not (clone / ".make" / "venv").exists()

    def test_an_old_node_is_one_clear_line(self, clone):
        self.pretend(clone / "bin" / "node", "echo 18")
        code, _, said = self.make(clone, "node", PATH=f"{clone / 'bin'}:{os.environ['PATH']}")
        assert code != 0
        assert said.startswith("Node 20 or newer is needed to build the labextension; this is Node")

    def test_help_lists_every_target_that_is_for_people(self, clone):
        _, said, _ = self.make(clone, "help")
        listed = {line.split()[0] for line in said.splitlines()}
        assert listed == {
            "help",
            "demo",
            "lab",
            "test",
            "check",
            "build",
            "bench",
            "pictures",
            "clean",
        }
