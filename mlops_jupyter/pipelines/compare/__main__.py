"""``python -m mlops_jupyter.pipelines.compare LEFT RIGHT``: two snapshots of final variables.

Prints, as JSON, each variable that differs with its first difference. This is a process of its own
because it loads what a notebook made.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from .objects import loaded
from .walk import equal_namespaces


def main(left: str, right: str) -> None:
    """Compare the snapshots in two files. What is printed meanwhile, by a module that is imported
    for a value, say, goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    namespaces = [loaded(Path(path).read_bytes()) for path in (left, right)]
    with answers:
        answers.write(json.dumps(equal_namespaces(*namespaces)))


if __name__ == "__main__":
    main(*sys.argv[1:])
