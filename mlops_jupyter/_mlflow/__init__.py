"""MLflow's tracking store and registry, behind one border. Only this package imports mlflow, and
only when something is asked of it.
"""

from .registry import Field, LoadedModel, Tracking

__all__ = ["Field", "LoadedModel", "Tracking"]
