"""Settings of a workspace: ``mlops.toml`` in the project's folder, environment variables above it.

::

    tracking_uri = "http://mlflow.example:5000"   # default: SQLite in .mlops/
    database_url = "postgresql+psycopg://..."     # default: SQLite in .mlops/
    experiment = "churn"                          # default: the project folder's name
    cache = "s3://bucket/team"                    # default: .mlops/cache; a folder or an fsspec URL

    [gates.champion]                              # what a version must pass to get this alias
    metric = "accuracy"                           # any scorer of scikit-learn
    minimum = 0.85
    data = "data/evaluation.csv"                  # labelled rows both versions are measured on
    target = "diagnosis"                          # the label's column
    tolerance = 0.0                               # how much below the holder it may fall

Environment: ``MLOPS_TRACKING_URI`` (else ``MLFLOW_TRACKING_URI``), ``MLOPS_DATABASE_URL``,
``MLOPS_EXPERIMENT``, ``MLOPS_CACHE``. Secrets belong there, never in the file.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from traitlets import Dict, Float, HasTraits, TraitError, Unicode

from .errors import InvalidInput

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE_NAME = "mlops.toml"


@dataclass(frozen=True)
class Gate:
    """What a version must pass to receive an alias."""

    metric: str = ""
    minimum: float | None = None
    data: str = ""
    target: str = ""
    tolerance: float = 0.0


class Settings(HasTraits):
    """Typed settings; a wrong type or an unknown key is refused with the file and key named."""

    tracking_uri = Unicode("", help="MLflow tracking URI; empty: SQLite in the workspace.")
    database_url = Unicode("", help="SQLAlchemy URL; empty: SQLite in the workspace.")
    experiment = Unicode("", help="MLflow experiment; empty: the project folder's name.")
    cache = Unicode("", help="Folder or fsspec URL of the cache; empty: in the workspace.")
    gates = Dict(help="Promotion gates by alias.")


class _GateTraits(HasTraits):
    metric = Unicode("")
    minimum = Float(None, allow_none=True)
    data = Unicode("")
    target = Unicode("")
    tolerance = Float(0.0)


@dataclass(frozen=True)
class Config:
    """The settings in force."""

    tracking_uri: str = ""
    database_url: str = ""
    experiment: str = ""
    gates: dict[str, Gate] = field(default_factory=dict)
    cache: str = ""


def load(root: Path) -> Config:
    """Read the settings of the workspace at ``root``.

    Raises
    ------
    InvalidInput
        If the file is not TOML, or a key is unknown or of the wrong type.
    """
    path = root / FILE_NAME
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raw = {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidInput(f"{FILE_NAME} cannot be read: {reason}.", hint="Correct it.") from error
    settings = _checked(Settings, raw, FILE_NAME)
    gates = {}
    for alias, body in settings.gates.items():
        where = f"{FILE_NAME} [gates.{alias}]"
        if not isinstance(body, dict):
            raise InvalidInput(f"{where} must be a table.", hint="See `mlops init` for an example.")
        traits = _checked(_GateTraits, body, where)
        gates[alias] = Gate(**{name: getattr(traits, name) for name in traits.trait_names()})
    env = os.environ
    return Config(
        tracking_uri=env.get("MLOPS_TRACKING_URI")
        or settings.tracking_uri
        or env.get("MLFLOW_TRACKING_URI", ""),
        database_url=env.get("MLOPS_DATABASE_URL") or settings.database_url,
        experiment=env.get("MLOPS_EXPERIMENT") or settings.experiment,
        gates=gates,
        cache=env.get("MLOPS_CACHE") or settings.cache,
    )


def _checked(kind: type[HasTraits], raw: dict[str, Any], where: str) -> Any:
    known = kind.class_trait_names()
    unknown = sorted(set(raw) - set(known))
    if unknown:
        raise InvalidInput(
            f"{where}: unknown setting {unknown[0]!r}.", hint=f"Known: {', '.join(sorted(known))}."
        )
    try:
        return kind(**raw)
    except TraitError as error:
        raise InvalidInput(f"{where}: {error}", hint="Correct the value.") from error
