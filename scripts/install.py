"""Install requirements into a virtual environment: with uv where it can be had, else with pip.

::

    python scripts/install.py PYTHON REQUIREMENT...

uv is several times faster than pip but reads none of pip's configuration, so the indexes, link
folders, certificate and constraints that pip was told to use are handed on to it; settings made
for uv itself win. If uv cannot be installed or does not succeed, pip does the work.
``INSTALLER=pip`` leaves uv out. Only the standard library is used: nothing is installed yet.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import sysconfig

#: pip's setting, uv's variable for it, and what separates several values there.
_SETTINGS = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "constraint": ("UV_CONSTRAINT", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
    "no-index": ("UV_NO_INDEX", " "),
    "cert": ("SSL_CERT_FILE", " "),
}
#: Where pip takes settings from; later ones win.
_SECTIONS = ("global", "install", ":env:")
_PIP = ("-m", "pip", "--disable-pip-version-check")


def settings(listing: str) -> dict[str, str]:
    """The environment that makes uv follow what ``pip config list`` printed.

    Parameters
    ----------
    listing:
        Lines such as ``global.index-url='https://...'``.
    """
    found: dict[str, tuple[int, str]] = {}
    for line in listing.splitlines():
        key, _, text = line.partition("=")
        section, _, name = key.rpartition(".")
        if section in _SECTIONS and name in _SETTINGS:
            value = str(ast.literal_eval(text))
            variable, separator = _SETTINGS[name]
            rank = _SECTIONS.index(section)
            if value and rank >= found.get(variable, (0, ""))[0]:
                found[variable] = rank, separator.join(value.split())
    chosen = {variable: value for variable, (_, value) in found.items()}
    if "UV_INDEX" in chosen:
        chosen["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # as pip: the best of all the indexes
    return chosen


def _run(
    *command: str, quiet: bool = False, known: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {**(known or {}), **os.environ}
    return subprocess.run(command, check=False, capture_output=quiet, text=True, env=environment)


def _uv() -> str | None:
    """A uv that runs: this environment's, the user's, or one that pip installs here."""
    here = sysconfig.get_path("scripts")
    for path in (here, None):
        found = shutil.which("uv", path=path)
        if found and _run(found, "--version", quiet=True).returncode == 0:
            return found
    if _run(sys.executable, *_PIP, "install", "uv", quiet=True).returncode == 0:
        return shutil.which("uv", path=here)
    return None


def install(python: str, requirements: list[str]) -> int:
    """Install ``requirements`` into ``python``'s environment.

    Returns
    -------
    int
        The exit code of the installer that had the last word.
    """
    uv = _uv() if os.environ.get("INSTALLER") != "pip" else None
    if uv:
        known = settings(_run(sys.executable, *_PIP, "config", "list", quiet=True).stdout)
        command = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python]
        if _run(*command, *requirements, known=known).returncode == 0:
            return 0
        sys.stderr.write("uv did not succeed; trying with pip.\n")
    return _run(python, *_PIP, "install", "-qq", *requirements).returncode


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(install(sys.argv[1], sys.argv[2:]))
