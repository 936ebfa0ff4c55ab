"""The service's description of itself: OpenAPI 3.1 with the model's own columns and labels.

Sources: OpenAPI Specification 3.1.0; JSON Schema 2020-12, which its schemas are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .columns import limits
from .inputs import array_column
from .manifest import Column, Input, Label, Manifest, Model

Document = dict[str, Any]

_MOST_LISTED = 1000
_TYPES = {"number": "number", "integer": "integer", "boolean": "boolean", "string": "string", "datetime": "string"}
_ANY = ["string", "number", "boolean", "null"]
_ERRORS = {
    400: "The input is not what the model takes.",
    408: "The request came too slowly.",
    413: "The body is too long.",
    415: "The body is of another type.",
    431: "The headers are too long.",
    500: "The model, or the service, failed.",
    503: "Too many requests wait.",
    504: "The model took too long.",
}


def document(manifest: Manifest, *, is_strict: bool, has_notebooks: bool) -> Document:
    """Return the whole description.

    Args:
        manifest: Of a finished build.
        is_strict: Whether columns that the model doesn't know are refused.
        has_notebooks: Whether the notebooks are published.
    """
    model = manifest.model
    assert model is not None
    paths: Document = {
        "/predict": {"post": _predict(model)},
        "/metrics": {
            method: _plain(f"{method}Metrics", "Prometheus metrics", "text/plain", _STRING)
            for method in ("get", "post")
        },
        "/metadata": {"get": _plain("metadata", "What the model takes, and what it was made from", _JSON, _OBJECT)},
        "/openapi.json": {"get": _plain("openapi", "This document", _JSON, _OBJECT)},
        "/healthz": {"get": _plain("live", "Whether the service lives", _JSON, _OBJECT)},
        "/readyz": {"get": _ready()},
        "/": {"get": _plain("index", "What there is", _JSON, _OBJECT)},
    }
    if has_notebooks:
        paths["/notebooks/"] = {"get": _plain("notebooks", "The notebooks that made the model", "text/html", _STRING)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": manifest.name,
            "version": manifest.version,
            "description": f"A scikit-learn pipeline ({model.task.replace('_', ' ')}) trained by "
            f"{len(manifest.stages)} notebook{'s' if len(manifest.stages) > 1 else ''}, served by nachlass "
            f"{manifest.nachlass_version}.",
        },
        "paths": paths,
        "components": {
            "schemas": {
                "Row": row_schema(model.input, is_strict=is_strict),
                "Rows": _rows_schema(model.input, is_strict=is_strict),
                "Prediction": prediction_schema(model),
                "Error": _ERROR,
            }
        },
    }


def row_schema(spec: Input, *, is_strict: bool = False) -> Document:
    """Return the schema of one row, as it is written best: a text, an array of numbers, an object of columns."""
    if spec.kind == "text":
        return {"type": "string"}
    if spec.kind == "array":
        return _array_of(cell_schema(array_column(spec)), spec.width)
    used = [column for column in spec.columns if not column.optional]
    return {
        "type": "object",
        "properties": {column.name: cell_schema(column) for column in spec.columns},
        "required": [column.name for column in used],
        "additionalProperties": not is_strict,
    }


def cell_schema(column: Column) -> Document:
    """Return the schema of one value of a column."""
    if column.kind == "any" or column.optional:
        return {"type": _ANY}  # Nobody looks at what the model doesn't use.
    kind = _TYPES[column.kind]
    schema: Document = {"type": [kind, "null"] if column.nullable else kind}
    if column.kind == "datetime":
        schema["description"] = "A date and time as ISO 8601 has it"
    bounds = limits(column)
    if bounds is not None:
        schema["minimum"], schema["maximum"] = bounds
    if column.categories and column.dtype.startswith("category"):
        schema["enum"] = [*column.categories, *([None] if column.nullable else [])]
    elif column.categories:
        schema["examples"] = list(column.categories[:20])
    return schema


def prediction_schema(model: Model) -> Document:
    """Return the schema of the prediction for one row."""
    return _value(model) if model.outputs is None else _array_of(_value(model), model.outputs)


def _value(model: Model) -> Document:
    if model.task == "regressor":
        return {"type": ["number", "null"], "description": "null where the model predicts no finite number"}
    if model.classes and len(model.classes) <= _MOST_LISTED and model.task in ("classifier", "outlier_detector"):
        return {"enum": list(model.classes)}
    return {"type": _types_of(model.classes) if model.classes else [*_ANY, "array"]}


def _types_of(labels: Sequence[Label]) -> list[str]:
    names = {str: "string", bool: "boolean", int: "integer", float: "number"}
    return sorted({names[type(label)] for label in labels})


def _rows_schema(spec: Input, *, is_strict: bool) -> Document:
    row = {"$ref": "#/components/schemas/Row"}
    spellings: list[Document] = [{"type": "array", "items": row, "minItems": 1}]
    if spec.kind == "text":
        spellings += [row, {"type": "array", "items": _array_of(row, 1), "minItems": 1}]
    elif spec.kind == "array":
        cell = row_schema(spec)["items"]
        spellings.append(row if spec.width > 1 else {"type": "array", "items": cell, "minItems": 1})
    else:
        used = [column for column in spec.columns if not column.optional]
        positions = {
            "type": "array",
            "prefixItems": [cell_schema(column) for column in used],
            "minItems": len(used),
            "maxItems": len(used),
        }
        columns = {column.name: {"type": "array", "items": cell_schema(column), "minItems": 1} for column in used}
        spellings += [
            row,
            {"type": "array", "items": positions, "minItems": 1},
            {
                "type": "object",
                "description": "By column, all of one length",
                "properties": columns,
                "required": list(columns),
                "additionalProperties": False if is_strict else {"type": "array"},
            },
        ]
    return {"anyOf": spellings}


def _array_of(items: Document, length: int) -> Document:
    return {"type": "array", "items": items, "minItems": length, "maxItems": length}


def _predict(model: Model) -> Document:
    rows: Document = {"schema": {"$ref": "#/components/schemas/Rows"}}
    if model.example is not None:
        rows["example"] = [model.example]
    field = {"type": "string", "contentMediaType": _JSON, "contentSchema": {"$ref": "#/components/schemas/Rows"}}
    form = {"schema": {"type": "object", "properties": {"json_args": field}, "required": ["json_args"]}}
    predictions = {"type": "array", "items": {"$ref": "#/components/schemas/Prediction"}, "minItems": 1}
    return {
        "operationId": "predict",
        "summary": "One prediction for each row",
        "requestBody": {
            "required": True,
            "content": {_JSON: rows, "application/x-www-form-urlencoded": form, "multipart/form-data": form},
        },
        "responses": {"200": _answer("The predictions, in the order of the rows", _JSON, predictions), **_refusals()},
    }


def _refusals() -> Document:
    error = {"$ref": "#/components/schemas/Error"}
    return {str(status): _answer(text, _JSON, error) for status, text in _ERRORS.items()}


def _ready() -> Document:
    described = _plain("ready", "Whether it takes requests", _JSON, _OBJECT)
    described["responses"]["503"] = _answer("The service is about to end.", _JSON, _OBJECT)
    return described


def _plain(operation: str, summary: str, media_type: str, schema: Document) -> Document:
    return {
        "operationId": operation,
        "summary": summary,
        "responses": {"200": _answer(summary, media_type, schema)},
    }


def _answer(description: str, media_type: str, schema: Document) -> Document:
    return {"description": description, "content": {media_type: {"schema": schema}}}


_JSON = "application/json"
_STRING: Document = {"type": "string"}
_OBJECT: Document = {"type": "object"}
_ERROR: Document = {
    "type": "object",
    "properties": {
        "error": {"type": "string", "description": "What is wrong, for people"},
        "code": {"type": "string", "description": "What is wrong, for programs"},
        "pointer": {"type": "string", "description": "JSON pointer of the offending value in the input"},
        "request_id": {"type": "string", "description": "Under this the log has the cause"},
    },
    "required": ["error", "code"],
}
