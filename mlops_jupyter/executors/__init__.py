"""Where pipelines run: one file per executor."""
