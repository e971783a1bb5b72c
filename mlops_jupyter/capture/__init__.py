"""Capture: what happens in the user's kernel goes into the session's journal as it happens.

``hooks`` listens to IPython, ``autolog`` to scikit-learn, ``recorder`` turns fits and scores into
runs, ``outputs`` and ``fingerprint`` say what was shown and what data was used, ``estimators`` what
a model is called, ``kernel`` where all this happens.
"""

from .hooks import Capture, active, track

__all__ = ["Capture", "active", "track"]
