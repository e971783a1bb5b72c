"""MLflow's errors, moments and names as ours, and back."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import datetime, timezone

from ..errors import Conflict, InvalidInput, MLOpsError, NotFound, Unavailable


def stamp(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    moment = datetime.fromtimestamp(milliseconds / 1000, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(stamp: str | None) -> int | None:
    if stamp is None:
        return None
    return int(datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp() * 1000)


@contextlib.contextmanager
def border() -> Iterator[None]:
    """Map MLflow's errors, and those of what it stands on, to ours."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except MLOpsError:
        raise
    except MlflowException as error:
        line = str(error).strip().splitlines()[0][:300]
        kinds: dict[str, type[MLOpsError]] = {
            "RESOURCE_DOES_NOT_EXIST": NotFound,
            "RESOURCE_ALREADY_EXISTS": Conflict,
            "INVALID_PARAMETER_VALUE": InvalidInput,
            "BAD_REQUEST": InvalidInput,
        }
        kind = kinds.get(error.error_code, Unavailable)
        raise kind(line, hint="Check the name, or the tracking server.") from error
    except (RequestException, SQLAlchemyError, ConnectionError) as error:
        line = str(error).strip().splitlines()[0][:200]
        raise Unavailable(
            f"MLflow's store is not reachable: {line}", hint="Check tracking_uri and the server."
        ) from error


def clean_name(name: str) -> str:
    """``name`` with the characters that MLflow refuses replaced."""
    return re.sub(r"[^\w\-. /]", "_", name)[:250]


def quoted(name: str) -> str:
    return name.replace("'", "\\'")
