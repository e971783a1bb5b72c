"""Notebooks as pipelines: steps, analysis, engine, runs."""
