"""What must never get into the repository: places of a machine, addresses of package registries,
lock files that record them, secrets, other people's notebooks' outputs of that kind."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Written so that this file does not contain what it looks for.
FORBIDDEN = {
    "a home folder": r"/(?:home|Users)/(?!USER\b|jovyan\b)[a-z][\w.-]*/",
    "root's home": r"(?<![\w$}.])/root" + r"/",
    "a build machine's folder": r"(?<![\w./-])/(?:work|builds?|workspace)/[a-z]",
    "a Windows user's folder": r"[A-Z]:\\+Users\\+",
    "a package registry": r"https?://[\w.-]*(?:registry\.(?:npmjs|yarnpkg)|files\.pythonhosted)",
    "a package mirror": r"https?://[\w.-]*(?:artifactory|nexus)",
    "a package index": r"https?://[^\s\"'<>]+/" + r"simple\b",
    "a private host": r"//(?:[^@/\s]*@)?(?:10\.(?!0\.0\.)\d+|192\.168)\.\d+\.\d+",
    "a key": r"-----BEGIN [A-Z ]*PRIVATE" + r" KEY|AKIA[0-9A-Z]{16}|ghp_\w{36}",
}
LOCKS_WITH_ADDRESSES = {"uv.lock", "package-lock.json", "poetry.lock", "pdm.lock", "pylock.toml"}


def tracked() -> list[Path]:
    """The files git tracks, or would if they were added now."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip("not a git clone")
    paths = [ROOT / name for name in done.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


def found_in(text: str) -> list[str]:
    return [what for what, pattern in FORBIDDEN.items() if re.search(pattern, text)]


def test_no_tracked_file_names_a_machine_or_a_registry():
    problems = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            problems += [f"{path.relative_to(ROOT)}:{number}: {what}" for what in found_in(line)]
    assert problems == []


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("open('" + "/home/" + "ann/data.csv')", "a home folder"),
        ("cd /" + "root/project", "root's home"),
        ("see /" + "work/main", "a build machine's folder"),
        ('"resolved": "https://registry.' + "npmjs" + '.example/x"', "a package registry"),
        ("index-url = https://pypi.example.org/" + "simple", "a package index"),
        ("http://10" + ".1.2.3:8080", "a private host"),
        ("http://192" + ".168.1.20", "a private host"),
        ("-----BEGIN RSA PRIVATE" + " KEY-----", "a key"),
    ],
)
def test_the_check_finds_them(line, what):
    assert found_in(line) == [what]


@pytest.mark.parametrize(
    "line", ["http://127.0.0.1:8888/mlops/api/runs", "version 10.1.2", "$root/x", "labextension/"]
)
def test_the_check_leaves_the_rest_alone(line):
    assert found_in(line) == []


def test_no_lock_file_with_addresses_is_tracked():
    assert [path.name for path in tracked() if path.name in LOCKS_WITH_ADDRESSES] == []


def test_nothing_made_by_a_build_or_a_run_is_tracked():
    parts = {".mlops", "node_modules", ".venv", "__pycache__", ".ipynb_checkpoints", ".make"}
    assert [path for path in tracked() if parts & set(path.relative_to(ROOT).parts)] == []
    assert not [
        path for path in tracked() if path.is_relative_to(ROOT / "mlops_jupyter/labextension")
    ]


def test_no_tracked_file_is_large():
    assert [path.name for path in tracked() if path.stat().st_size > 1_000_000] == []
