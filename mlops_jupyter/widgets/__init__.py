"""Widgets shown in cells (anywidget); each has a static fallback."""
