"""The kernel that runs the steps of a pipeline."""
