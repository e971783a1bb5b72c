"""The OpenAPI description of a deployment, made from the signature of the version it serves."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from .payload import encode
from .predictor import Predictor


def describe(predictor: Predictor) -> bytes:
    """OpenAPI 3.1 for the two prediction routes, with an example that works."""
    signature = predictor.signature
    row = {
        "type": "object",
        "additionalProperties": False,
        "required": [column.name for column in signature.columns if column.required],
        "properties": {
            column.name: {
                **column.type.openapi,
                **({} if column.required else {"type": [column.type.openapi["type"], "null"]}),
            }
            for column in signature.columns
        },
    }
    records = {
        "type": "object",
        "properties": {"dataframe_records": {"type": "array", "items": row, "minItems": 1}},
        "required": ["dataframe_records"],
    }
    tensor = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "datatype": {"type": "string"},
            "data": {"type": "array"},
        },
        "required": ["name", "shape", "datatype", "data"],
    }
    inference = {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "inputs": {"type": "array", "items": tensor, "minItems": 1},
        },
        "required": ["inputs"],
    }
    tensors = [
        {
            "name": column.name,
            "shape": [1],
            "datatype": column.type.datatype,
            "data": [column.type.example],
        }
        for column in signature.columns
    ]
    return encode(
        {
            "openapi": "3.1.0",
            "info": {"title": predictor.model, "version": predictor.version},
            "paths": {
                "/invocations": _post(
                    "MLflow's scoring protocol",
                    records,
                    {"dataframe_records": [signature.example]},
                    {"error_code": {"type": "string"}, "message": {"type": "string"}},
                ),
                f"/v2/models/{quote(predictor.model)}/infer": _post(
                    "Open Inference Protocol V2",
                    inference,
                    {"inputs": tensors},
                    {"error": {"type": "string"}},
                ),
            },
        }
    )


def _post(summary: str, schema: Any, example: Any, error: dict[str, Any]) -> dict[str, Any]:
    body = {"application/json": {"schema": schema, "example": example}}
    wrong = {"application/json": {"schema": {"type": "object", "properties": error}}}
    return {
        "post": {
            "summary": summary,
            "requestBody": {"required": True, "content": body},
            "responses": {
                "200": {"description": "The predictions"},
                "4XX": {"description": "What is wrong with the request", "content": wrong},
            },
        }
    }
