"""What the descriptions of all paths are put together from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..manifest import Model

Document = dict[str, Any]

JSON = "application/json"
_MOST_SHOWN = 50
STRING: Document = {"type": "string"}
OBJECT: Document = {"type": "object"}

_ERRORS = {
    400: "The input is not what the model takes.",
    404: "There is no model of that name or version.",
    406: "The client takes no answer that there is.",
    413: "The body is too long.",
    415: "The body is of another type.",
    500: "The model, or the service, failed.",
    503: "Too many requests wait.",
    504: "The model took too long.",
}
_CONNECTION = {408: "The request came too slowly.", 431: "The headers are too long."}
"""Answered before anybody knows which protocol is spoken."""


def ref(name: str) -> Document:
    """Return a reference to one of the document's schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


def array_of(items: Document, length: int) -> Document:
    """Return the schema of an array of so many items."""
    return {"type": "array", "items": items, "minItems": length, "maxItems": length}


def object_of(properties: Mapping[str, Document], *, optional: Iterable[str] = ()) -> Document:
    """Return the schema of an object with these properties."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in set(optional)],
    }


def answer(description: str, schema: Document | None, *, media_type: str = JSON) -> Document:
    """Return an answer of one type; without a schema it is bytes."""
    return {"description": description, "content": {media_type: {} if schema is None else {"schema": schema}}}


def refusals(error: str, *, without: Iterable[int] = ()) -> Document:
    """Return the refusals of a protocol, whose own kind of error is the schema `error`."""
    own = {str(status): answer(text, ref(error)) for status, text in _ERRORS.items() if status not in set(without)}
    return {**own, **{str(status): answer(text, ref("Error")) for status, text in _CONNECTION.items()}}


def get(operation: str, summary: str, schema: Document, *, media_type: str = JSON) -> Document:
    """Return a path that answers GET, always with 200."""
    return {"get": asked(operation, summary, answer(summary, schema, media_type=media_type))}


def asked(operation: str, summary: str, ok: Document) -> Document:
    """Return an operation without input."""
    return {"operationId": operation, "summary": summary, "responses": {"200": ok}}


def scored(operation: str, summary: str, body: Document, ok: Document, refused: Document) -> Document:
    """Return a path that answers POST of rows."""
    return {
        "post": {
            "operationId": operation,
            "summary": summary,
            "requestBody": {"required": True, "content": body},
            "responses": {"200": ok, **refused},
        }
    }


def shown(model: Model) -> Any:
    """Return the example of a row to write into each protocol's example; None if there is none, or it is very long."""
    return model.example if model.input.width <= _MOST_SHOWN else None


def json_body(schema: Document, example: Any = None) -> Document:
    """Return a body of JSON, with an example unless it is None."""
    return {JSON: {"schema": schema, **({} if example is None else {"example": example})}}
