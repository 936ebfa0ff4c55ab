"""nachlass's own paths."""

from __future__ import annotations

from ..manifest import Model
from .parts import (
    JSON,
    OBJECT,
    STRING,
    Document,
    answer,
    array_of,
    asked,
    get,
    json_body,
    object_of,
    ref,
    refusals,
    scored,
)

SCHEMAS: Document = {
    "Error": {
        "type": "object",
        "properties": {
            "error": {"type": "string", "description": "What is wrong, for people"},
            "code": {"type": "string", "description": "What is wrong, for programs"},
            "pointer": {"type": "string", "description": "JSON pointer of the offending value in the input"},
            "request_id": {"type": "string", "description": "Under this the log has the cause"},
        },
        "required": ["error", "code"],
    }
}


def paths(model: Model, *, has_notebooks: bool) -> Document:
    """Return the description of each path."""
    found: Document = {
        "/predict": _predict(model),
        "/metrics": {
            method: asked(f"{method}Metrics", "Prometheus metrics", answer("Metrics", STRING, media_type="text/plain"))
            for method in ("get", "post")
        },
        "/metadata": get("metadata", "What the model takes, and what it was made from", OBJECT),
        "/openapi.json": get("openapi", "This document", OBJECT),
        "/healthz": get("live", "Whether the service lives", object_of({"status": {"const": "ok"}})),
        "/readyz": ready("ready"),
        "/": get("index", "What there is", OBJECT),
    }
    if has_notebooks:
        found["/notebooks/"] = get("notebooks", "The notebooks that made the model", STRING, media_type="text/html")
    return found


def ready(operation: str, key: str = "status") -> Document:
    """Return a probe that answers 503 before the end."""
    words = ("ready", "ending") if key == "status" else (True, False)
    found = get(operation, "Whether it takes requests", object_of({key: {"const": words[0]}}))
    found["get"]["responses"]["503"] = answer("The service is about to end.", object_of({key: {"const": words[1]}}))
    return found


def _predict(model: Model) -> Document:
    field = {"type": "string", "contentMediaType": JSON, "contentSchema": ref("Rows")}
    form = {"schema": object_of({"json_args": field})}
    body = json_body(ref("Rows"), None if model.example is None else [model.example])
    content = {**body, "application/x-www-form-urlencoded": form, "multipart/form-data": form}
    predictions = ref("Predictions")
    if "predict_proba" in model.methods:
        # Without the parameter an answer is the predictions alone.
        predictions = {"anyOf": [predictions, {"type": "array", "items": _with_probabilities(model), "minItems": 1}]}
    ok = answer("The predictions, in the order of the rows", predictions)
    found = scored("predict", "One prediction for each row", content, ok, refusals("Error", without=(404,)))
    if "predict_proba" in model.methods:
        found["post"]["parameters"] = [
            {
                "name": "probabilities",
                "in": "query",
                "description": "Whether each answer has the probability of each class as well",
                "schema": {"type": "boolean", "default": False},
            }
        ]
    return found


def _with_probabilities(model: Model) -> Document:
    number: Document = {"type": ["number", "null"]}
    listed = (
        {"type": "array"} if model.outputs is not None or not model.classes else array_of(number, len(model.classes))
    )
    by_class = {"type": "object", "additionalProperties": number}
    return object_of({"prediction": ref("Prediction"), "probabilities": {"anyOf": [by_class, listed]}})
