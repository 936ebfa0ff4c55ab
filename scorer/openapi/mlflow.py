"""MLflow's, SageMaker's and Azure's paths."""

from __future__ import annotations

from collections.abc import Sequence

from ..manifest import Model
from .parts import STRING, Document, answer, get, json_body, object_of, ref, refusals, scored, shown

CSV = "text/csv"
SCHEMAS: Document = {
    "MLflowError": object_of({"error_code": STRING, "message": STRING}),
    "ErrorText": object_of({"error": STRING}),
}


def paths(model: Model, version: str, binary: Sequence[str]) -> Document:
    """Return the description of each path.

    Args:
        model: What is asked.
        version: nachlass's own.
        binary: The media types of `/invocations` that are bytes.
    """
    empty = {"const": "\n"}
    return {
        "/invocations": _invocations(model, binary),
        "/ping": get("ping", "SageMaker's and MLflow's probe", empty, media_type="text/plain"),
        "/health": get("mlflowHealth", "MLflow's probe", empty, media_type="text/plain"),
        "/version": get("mlflowVersion", "nachlass's version", {"const": version}, media_type="text/plain"),
        "/score": _azure(model),
    }


def _invocations(model: Model, binary: Sequence[str]) -> Document:
    rows = ref("Rows")
    records = {"type": "array", "items": ref("Row"), "minItems": 1}
    keyed = [
        object_of({"inputs": rows}),
        object_of({"instances": records}),
        object_of({"dataframe_split": ref("Split")}),
    ]
    if model.input.kind == "frame":
        keyed.append(object_of({"dataframe_records": records}))
    row = shown(model)
    example = None if row is None else {"instances": [row]}
    body = json_body({"anyOf": [*keyed, records]}, example)
    body[CSV] = {"schema": {**STRING, "description": "With a header, or without: `text/csv; header=present` decides"}}
    body.update({media_type: {} for media_type in binary})
    ok = answer(
        "The predictions; a bare array where the rows had neither key nor header",
        {"anyOf": [object_of({"predictions": ref("Predictions")}), ref("Predictions")]},
    )
    ok["content"][CSV] = {"schema": {**STRING, "description": "A line for each row, where `Accept` asks for it"}}
    summary = "Predictions, as MLflow and SageMaker ask for them"
    return scored("invocations", summary, body, ok, refusals("MLflowError", without=(404,)))


def _azure(model: Model) -> Document:
    rows = {"anyOf": [ref("Rows"), ref("Split")]}
    schema = {"anyOf": [object_of({"input_data": rows}), object_of({"data": rows}), ref("Rows")]}
    row = shown(model)
    example = None if row is None else {"input_data": [row]}
    ok = answer("The predictions, in the order of the rows", ref("Predictions"))
    refused = refusals("ErrorText", without=(404, 415))
    return scored(
        "azureScore", "Predictions, as Azure Machine Learning asks for them", json_body(schema, example), ok, refused
    )
