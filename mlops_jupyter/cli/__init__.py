"""The command line ``mlops <noun> <verb>``; one file per noun, the frame in ``_app``.

Each command is a function of the workspace that returns a dataclass: ``--json`` prints it and
nothing else on stdout, otherwise ``render`` shows it. Exit codes: 0 done; 1 the work failed; 2 the
request was wrong; 3 something needed is not there; 130 interrupted.
"""

from ._app import invoke, main

__all__ = ["invoke", "main"]
