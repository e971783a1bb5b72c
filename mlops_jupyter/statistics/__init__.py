"""Drift statistics, one per file; each a pure function with a declared record."""
