"""Starts the scoring server."""

import sys

from .server import main

sys.exit(main())
