"""Drift statistics, one per file; each a pure function with a declared record.

Look them up with ``plugins.load("statistics", name)``; what they share is in :mod:`.base` and
:mod:`.binning`, and which one judges a column by default is in :mod:`.selection`.
"""
