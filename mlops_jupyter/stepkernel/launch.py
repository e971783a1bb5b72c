"""Entry point of a step kernel: ``python launch.py BLOBS FOLDER -f CONNECTION_FILE``.

Run by its path and not with ``-m``, so that no module of the user's folder is imported before the
kernel is ready; what the user sees of ``sys.path`` and ``sys.argv`` is as with ipykernel's own.
"""

from __future__ import annotations

import sys


def _launch() -> None:
    from ipykernel.kernelapp import IPKernelApp

    IPKernelApp.launch_instance(kernel_class=StepKernel)


if __name__ == "__main__":
    del sys.path[0]  # this file's folder
    seed = __import__("os").environ.pop("MLOPS_HASH_SEED", None)
    if seed is None:
        __import__("os").environ.pop("PYTHONHASHSEED", None)
    else:
        __import__("os").environ["PYTHONHASHSEED"] = seed

    from mlops_jupyter.stepkernel.kernel import StepKernel

    StepKernel.place = sys.argv[1], sys.argv[2]
    del sys.argv[1:3]
    # as many frames as `python -m` has: a recursion in a cell ends as deep as in ipykernel's own
    exec("_launch()")
