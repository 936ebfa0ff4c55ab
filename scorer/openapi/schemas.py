"""JSON Schemas of one model: its rows in each spelling, its predictions.

Source: JSON Schema 2020-12.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..columns import limits
from ..inputs import array_column
from ..manifest import Column, Input, Label, Model
from .parts import Document, array_of, ref

_MOST_LISTED = 1000
_MOST_SHOWN = 50
_TYPES = {"number": "number", "integer": "integer", "boolean": "boolean", "string": "string", "datetime": "string"}
_ANY = ["string", "number", "boolean", "null"]


def schemas(model: Model, *, is_strict: bool) -> Document:
    """Return what all protocols refer to."""
    return {
        "Row": row_schema(model.input, is_strict=is_strict),
        "Rows": _rows_schema(model.input, is_strict=is_strict),
        "Split": _split_schema(model.input),
        "Prediction": prediction_schema(model),
        "Predictions": {"type": "array", "items": ref("Prediction"), "minItems": 1},
    }


def row_schema(spec: Input, *, is_strict: bool = False) -> Document:
    """Return the schema of one row, as it is written best: a text, an array of numbers, an object of columns."""
    if spec.kind == "text":
        return {"type": "string"}
    if spec.kind == "array":
        return array_of(cell_schema(array_column(spec)), spec.width)
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
        schema["description"] = "A date, or a date and time, as ISO 8601 has it" + (
            ", with an offset" if "," in column.dtype else ""
        )
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
    return _value(model) if model.outputs is None else array_of(_value(model), model.outputs)


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
    row = ref("Row")
    spellings: list[Document] = [{"type": "array", "items": row, "minItems": 1}]
    if spec.kind == "text":
        spellings += [row, {"type": "array", "items": array_of(row, 1), "minItems": 1}]
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


def _split_schema(spec: Input) -> Document:
    """Return pandas' `orient="split"`: names once, then rows."""
    names: Document = {"type": "array", "items": {"type": "string"}}
    if spec.kind == "frame":
        used = [column.name for column in spec.columns if not column.optional]
        if len(used) <= _MOST_SHOWN:
            names["examples"] = [used]
    cells: Document = {"type": "array", "items": {"type": _ANY}}
    return {
        "type": "object",
        "properties": {"columns": names, "index": {"type": "array"}, "data": {"type": "array", "items": cells}},
        "required": ["data"],
        "additionalProperties": False,
    }
