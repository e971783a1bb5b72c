"""MLflow's tracking store and registry, behind one border. Only this package imports mlflow, and
only when something is asked of it.
"""

from .apart import Apart
from .ledger import Ledger
from .logged import Noted
from .registry import Field, LoadedModel, Tracking

__all__ = ["Apart", "Field", "Ledger", "LoadedModel", "Noted", "Tracking"]
