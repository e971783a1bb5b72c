"""Playing the tour as a newcomer does: in processes of its own, from a folder of the newcomer's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from mlops_jupyter.tour import NAME

SECRET = "s3cr3t-of-the-environment"


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    """``mlops ARGUMENTS`` in a process group of its own, with a secret in its environment."""
    return subprocess.Popen(
        [sys.executable, "-m", "mlops_jupyter", *arguments],
        cwd=cwd,
        env={**os.environ, "SOME_API_TOKEN": SECRET},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def call(*arguments: str, cwd: Path) -> Any:
    """What ``mlops ARGUMENTS --json`` answers."""
    process = start(*arguments, "--json", cwd=cwd)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return json.loads(out)


def processes_of(folder: Path) -> list[str]:
    """Processes that work in ``folder`` or were told of it."""
    found = []
    for process in psutil.process_iter():
        try:
            told = process.environ().get("MLOPS_WORKSPACE", "")
            places = [process.cwd(), told, *process.cmdline()]
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if process.pid != os.getpid() and any(str(folder) in place for place in places):
            found.append(f"{process.pid} {' '.join(process.cmdline())}")
    return found


@dataclass(frozen=True)
class Played:
    """A tour that was played in ``home / "demo"``; its endpoint is up."""

    home: Path
    summary: dict[str, Any]

    @property
    def folder(self) -> Path:
        """The tour's project."""
        return self.home / "demo"


def play(home: Path) -> Played:
    """Play the tour."""
    return Played(home, call("demo", "demo", cwd=home))


def stop(home: Path) -> None:
    """End the tour's endpoint; nothing may be left."""
    call("deployments", "stop", NAME, "-w", "demo", cwd=home)
    left = processes_of(home / "demo")
    assert left == [], left
