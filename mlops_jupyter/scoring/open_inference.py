"""The Open Inference Protocol V2, JSON over HTTP
(https://github.com/open-inference/open-inference-protocol).

One input tensor per column, of shape ``[n]`` or ``[n, 1]``, or one ``[n, columns]`` tensor of all
columns in order. Tensor data may be flat or nested.
"""

from __future__ import annotations

from typing import Any

from ..errors import InvalidInput, MLOpsError, NotFound
from .datatypes import shorten
from .payload import Query, check_media, decode, encode
from .predictor import Prediction, Predictor
from .signature import Columns, Signature

_VALUES: dict[str, frozenset[type]] = {
    **{f"FP{bits}": frozenset({int, float}) for bits in (16, 32, 64)},
    **{f"{sign}INT{bits}": frozenset({int}) for sign in ("", "U") for bits in (8, 16, 32, 64)},
    "BOOL": frozenset({bool}),
    "BYTES": frozenset({str}),
}
_CODECS = ("np", "pd", "str")


def query(signature: Signature, content_type: str | None, body: bytes) -> Query:
    """Read the body of an inference request.

    Raises
    ------
    InvalidInput
        If it is not such a request, or its tensors do not fit the signature.
    """
    check_media(content_type, ("application/json",))
    request = decode(body)
    _no_others(request, {"id", "parameters", "inputs", "outputs"}, "the request")
    id = request.get("id") or ""
    if not isinstance(id, str):
        raise InvalidInput("id must be a string.")
    tensors = request.get("inputs")
    if not isinstance(tensors, list) or not tensors:
        raise InvalidInput("inputs must be a list with at least one tensor.")
    outputs = request.get("outputs") or []
    if not isinstance(outputs, list):
        raise InvalidInput("outputs must be a list.")
    wanted = []
    for output in outputs:
        _no_others(output, {"name", "parameters"}, "an output")
        if not isinstance(output.get("name"), str):
            raise InvalidInput("An output has no name.")
        wanted.append(output["name"])
    return Query(_columns(signature, tensors), id, tuple(wanted))


def _no_others(value: Any, known: set[str], where: str) -> None:
    """Refuse anything but an object with these fields, and parameters with an effect."""
    if not isinstance(value, dict):
        raise InvalidInput(f"Expected an object for {where}, got {shorten(value)}.")
    for name in value:
        if name not in known:
            raise InvalidInput(f"Unknown field {shorten(name)} in {where}.")
    parameters = value.get("parameters")
    if parameters is None:
        return
    if not isinstance(parameters, dict):
        raise InvalidInput(f"parameters of {where} must be an object.")
    for name, setting in parameters.items():
        if name != "content_type" or setting not in _CODECS:
            raise InvalidInput(f"Unknown parameter {shorten(name)} in {where}.")


def _columns(signature: Signature, tensors: list[Any]) -> Columns:
    columns: dict[str, list[Any]] = {}
    width = len(signature.names)
    for tensor in tensors:
        name, shape, values = _tensor(tensor)
        alone = len(tensors) == 1 and len(shape) == 2 and shape[1] == width
        if alone and (signature.bare or (width > 1 and name not in signature.names)):
            return [values[number::width] for number in range(width)]
        if len(shape) == 2 and shape[1] != 1:
            raise InvalidInput(
                f"Tensor {shorten(name)} has shape {shape}.",
                hint=f"Send [n] or [n, 1] per column, or one [n, {width}] tensor of all columns.",
            )
        if name in columns:
            raise InvalidInput(f"Tensor {shorten(name)} is there twice.")
        columns[name] = values
    return signature.columns_from_mapping(columns)


def _tensor(tensor: Any) -> tuple[str, list[int], list[Any]]:
    """A tensor's name, shape (one or two axes) and flat values, checked against its datatype."""
    _no_others(tensor, {"name", "shape", "datatype", "parameters", "data"}, "a tensor")
    name, shape, kind = tensor.get("name"), tensor.get("shape"), tensor.get("datatype")
    if not isinstance(name, str):
        raise InvalidInput("A tensor has no name.")
    where = f"Tensor {shorten(name)}"
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise InvalidInput(f"{where}: shape must be a list of sizes.")
    if len(shape) not in (1, 2):
        raise InvalidInput(f"{where}: shape {shorten(shape)} must have one or two axes.")
    if not isinstance(kind, str) or kind not in _VALUES:
        raise InvalidInput(f"{where}: unknown datatype {shorten(kind)}.")
    data = tensor.get("data")
    if not isinstance(data, list):
        raise InvalidInput(f"{where}: data must be a list.")
    if len(shape) == 2 and data and all(isinstance(row, list) for row in data):
        if len(data) != shape[0] or any(len(row) != shape[1] for row in data):
            raise InvalidInput(f"{where}: data does not have shape {shape}.")
        data = [value for row in data for value in row]
    size = shape[0] if len(shape) == 1 else shape[0] * shape[1]
    if len(data) != size:
        raise InvalidInput(f"{where}: shape {shape} means {size} values, data has {len(data)}.")
    if not (_VALUES[kind] | {type(None)}).issuperset(map(type, data)):
        odd = next(value for value in data if type(value) not in _VALUES[kind])
        raise InvalidInput(f"{where}: {shorten(odd)} is not of datatype {kind}.")
    return name, shape, data


def answer(predictor: Predictor, prediction: Prediction, id: str, wanted: tuple[str, ...]) -> bytes:
    """The body of a good answer to an inference request.

    Raises
    ------
    InvalidInput
        If the client wants an output that the model does not have.
    """
    known = {output.name: output for output in prediction.outputs}
    for name in wanted:
        if name not in known:
            raise InvalidInput(
                f"There is no output {shorten(name)}.", hint=f"Outputs: {', '.join(known)}."
            )
    return encode(
        {
            "model_name": predictor.model,
            "model_version": predictor.version,
            "id": id,
            "outputs": [
                {
                    "name": output.name,
                    "shape": output.shape,
                    "datatype": output.datatype,
                    "data": _flat(output.values) if len(output.shape) == 2 else output.values,
                }
                for output in (known[name] for name in wanted or known)
            ],
        }
    )


def _flat(rows: list[Any]) -> list[Any]:
    return [value for row in rows for value in row]


def error_body(error: MLOpsError) -> bytes:
    """The body of an error in the Open Inference Protocol."""
    return encode({"error": str(error)})


def metadata(predictor: Predictor) -> bytes:
    """The model's metadata: name, version, input and output tensors."""
    inputs = [
        {"name": column.name, "datatype": column.type.datatype, "shape": [-1, 1]}
        for column in predictor.signature.columns
    ]
    outputs = [
        {"name": output.name, "datatype": output.datatype, "shape": [-1, *output.shape[1:]]}
        for output in predictor.outputs
    ]
    return encode(
        {
            "name": predictor.model,
            "versions": [predictor.version],
            "platform": "mlflow",
            "inputs": inputs,
            "outputs": outputs,
        }
    )


def check_served(predictor: Predictor, model: str, version: str | None) -> None:
    """Refuse a path that names another model or version than the one that answers.

    Raises
    ------
    NotFound
        If it does.
    """
    if model != predictor.model:
        raise NotFound(
            f"There is no model {shorten(model)} here.", hint=f"Here is {predictor.model!r}."
        )
    if version is not None and version != predictor.version:
        raise NotFound(
            f"Version {shorten(version)} is not served here.", hint=f"Here is {predictor.version}."
        )
