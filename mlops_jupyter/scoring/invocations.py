"""MLflow's scoring protocol, ``/invocations``.

``dataframe_split``, ``dataframe_records``, ``instances``, ``inputs`` or CSV in, ``{"predictions":
[...]}`` out (https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally). Beyond MLflow's
own server, ``instances`` and ``inputs`` may be bare lists in the signature's order; unlike it,
nothing unknown is ignored.
"""

from __future__ import annotations

from typing import Any

from ..errors import InvalidInput, MLOpsError
from .datatypes import shorten
from .payload import Query, check_media, decode, encode
from .predictor import Prediction
from .signature import Columns, Signature

_FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def query(signature: Signature, content_type: str | None, body: bytes) -> Query:
    """Read the body of ``/invocations``.

    Raises
    ------
    InvalidInput
        If it is not one of the formats, or its columns do not fit the signature.
    """
    if check_media(content_type, ("application/json", "text/csv")) == "text/csv":
        try:
            return Query(signature.columns_from_csv(body.decode("utf-8-sig")))
        except UnicodeDecodeError as error:
            raise InvalidInput("The body is not UTF-8.", hint="Send CSV in UTF-8.") from error
    request = decode(body)
    if request.pop("params", None):
        raise InvalidInput("The model takes no params.", hint="Leave params out.")
    given = [name for name in request if name in _FORMATS]
    if len(request) != 1 or not given:
        unknown = next((name for name in request if name not in _FORMATS), None)
        what = f"Unknown field {shorten(unknown)}." if unknown is not None else "No single input."
        raise InvalidInput(what, hint=f"Send exactly one of {', '.join(_FORMATS)}.")
    value = request[given[0]]
    if given[0] == "dataframe_split":
        return Query(_split(signature, value))
    if given[0] == "dataframe_records":
        return Query(signature.columns_from_records(value))
    return Query(_tensor_rows(signature, value))


def _split(signature: Signature, value: Any) -> Columns:
    if not isinstance(value, dict) or not value.keys() <= {"columns", "index", "data"}:
        raise InvalidInput("dataframe_split must be an object of columns, data and maybe index.")
    if "data" not in value or "columns" not in value:
        missing = "columns" if "data" in value else "data"
        raise InvalidInput(f"dataframe_split has no {missing}.")
    columns = signature.columns_from_rows(value["data"], value["columns"])
    index = value.get("index")
    if index is not None and (not isinstance(index, list) or len(index) != len(value["data"])):
        raise InvalidInput("dataframe_split: index must be a list with one entry per row.")
    return columns


def _tensor_rows(signature: Signature, value: Any) -> Columns:
    """``instances`` and ``inputs``: rows as objects or lists, columns as lists, or one row."""
    if isinstance(value, dict):
        if any(isinstance(item, list) for item in value.values()):
            return signature.columns_from_mapping(value)
        return signature.columns_from_records([value])
    if isinstance(value, list) and value:
        if isinstance(value[0], dict):
            return signature.columns_from_records(value)
        if len(signature.names) == 1 and not any(isinstance(item, list) for item in value):
            return [value]
    return signature.columns_from_rows(value)


def answer(prediction: Prediction) -> bytes:
    """The body of a good answer on ``/invocations``."""
    return encode({"predictions": prediction.mlflow})


def error_body(error: MLOpsError) -> bytes:
    """The body of an error, as MLflow's scoring server forms it."""
    codes = {404: "ENDPOINT_NOT_FOUND", 503: "TEMPORARILY_UNAVAILABLE"}
    code = codes.get(error.http_status, "BAD_REQUEST")
    return encode({"error_code": code, "message": str(error)})
