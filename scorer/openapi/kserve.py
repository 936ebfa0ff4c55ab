"""The paths of KServe's two protocols, and those that Vertex AI chooses.

Sources: kserve.github.io, "V1 Inference Protocol"; kserve/open-inference-protocol, "REST".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..inputs import array_column
from ..manifest import Column, ColumnKind, Model
from ..protocols import v2
from ..protocols.names import Names
from ..protocols.tensors import DATATYPES
from .native import ready
from .parts import STRING, Document, answer, array_of, asked, json_body, object_of, ref, refusals, scored, shown

OCTETS = "application/octet-stream"
_FIRST, _SECOND = "/v1/models/{model}", "/v2/models/{model}"
_INTEGERS = [datatype for datatype in DATATYPES if "INT" in datatype]
_ACCEPTED: dict[ColumnKind, list[str]] = {
    "number": [datatype for datatype in DATATYPES if datatype not in ("BOOL", "BYTES")],
    "integer": _INTEGERS,
    "boolean": ["BOOL"],
    "string": ["BYTES"],
    "datetime": ["BYTES"],
    "any": list(DATATYPES),
}


def schemas(model: Model, names: Names) -> Document:
    """Return the schemas of V1 and V2 for this model."""
    size: Document = {"type": "integer", "minimum": 0}
    parameters: Document = {"type": "object"}
    asked_output = object_of(
        {"name": {"enum": ["predict", *model.methods]}, "parameters": parameters}, optional=["parameters"]
    )
    outputs = [_output(described, model) for described in v2.metadata(model, names)["outputs"]]
    return {
        "ModelReady": object_of({"name": {"const": names.name}, "ready": {"const": True}}),
        "TensorMetadata": object_of(
            {
                "name": STRING,
                "datatype": {"enum": list(DATATYPES)},
                "shape": {"type": "array", "items": {"type": "integer", "minimum": -1}},
            }
        ),
        "ModelMetadata": object_of(
            {
                "name": {"const": names.name},
                "versions": {"const": [names.version]},
                "platform": {"const": "scikit-learn"},
                "inputs": {"type": "array", "items": ref("TensorMetadata")},
                "outputs": {"type": "array", "items": ref("TensorMetadata")},
            }
        ),
        "InputTensor": {"anyOf": list(_inputs(model))},
        "InferRequest": object_of(
            {
                "id": STRING,
                "parameters": parameters,
                "inputs": {"type": "array", "items": ref("InputTensor"), "minItems": 1},
                "outputs": {"type": "array", "items": asked_output},
            },
            optional=["id", "parameters", "outputs"],
        ),
        "OutputTensor": {"anyOf": outputs},
        "InferResponse": object_of(
            {
                "model_name": {"const": names.name},
                "model_version": {"const": names.version},
                "id": STRING,
                "outputs": {"type": "array", "items": ref("OutputTensor"), "minItems": 1},
            },
            optional=["id"],
        ),
        "BinarySize": object_of({"binary_data_size": size}),
    }


def paths(model: Model, names: Names, version: str, routes: Mapping[str, str]) -> Document:
    """Return the description of each path.

    Args:
        model: What is asked.
        names: How it is called.
        version: nachlass's own.
        routes: Paths that are chosen by settings: `predict` and `health`, where they are set.
    """
    name = _parameter("model", [names.name, *sorted(names.aliases)])
    own_version = _parameter("version", [names.version])
    server: dict[str, Document] = {
        "name": {"const": "nachlass"},
        "version": {"const": version},
        "extensions": {"const": ["binary_tensor_data"]},
    }
    one_name = object_of({"models": {"const": [names.name]}})
    found: Document = {
        "/v1/models": {"get": asked("v1Models", "The model's name", answer("The name", one_name))},
        _FIRST: {"parameters": [name], **_known("v1Model", "Whether the model is ready", "ModelReady")},
        f"{_FIRST}:predict": {"parameters": [name], **_first(model, "v1Predict")},
        "/v2": {"get": asked("v2Server", "The server", answer("The server", object_of(server)))},
        "/v2/health/live": {
            "get": asked("v2Live", "Whether it lives", answer("It does.", object_of({"live": {"const": True}})))
        },
        "/v2/health/ready": ready("v2Ready", "ready"),
    }
    for path, suffix, parameters in (
        (_SECOND, "", [name]),
        (f"{_SECOND}/versions/{{version}}", "Version", [name, own_version]),
    ):
        described = _known(f"v2Model{suffix}", "Inputs and outputs of the model", "ModelMetadata")
        is_ready = _known(f"v2ModelReady{suffix}", "Whether the model is ready", "ModelReady")
        found[path] = {"parameters": parameters, **described}
        found[f"{path}/ready"] = {"parameters": parameters, **is_ready}
        found[f"{path}/infer"] = {"parameters": parameters, **_infer(model, names, f"v2Infer{suffix}")}
    if "predict" in routes:
        found[routes["predict"]] = _first(model, "vertexPredict", without=(404, 415))
    if "health" in routes:
        found[routes["health"]] = ready("vertexHealth")
    return found


def _first(model: Model, operation: str, *, without: Iterable[int] = (415,)) -> Document:
    rows = ref("Rows")
    schema = {"anyOf": [object_of({"instances": rows}), object_of({"inputs": rows})]}
    row = shown(model)
    example = None if row is None else {"instances": [row]}
    ok = answer("The predictions, in the order of the instances", object_of({"predictions": ref("Predictions")}))
    refused = refusals("ErrorText", without=without)
    return scored(operation, "Predictions, as KServe's V1 has them", json_body(schema, example), ok, refused)


def _infer(model: Model, names: Names, operation: str) -> Document:
    body = json_body(ref("InferRequest"), _example(model, names))
    body[OCTETS] = {}
    ok = answer("The outputs that were asked for, else the predictions", ref("InferResponse"))
    ok["content"][OCTETS] = {}
    found = scored(operation, "Tensors in, tensors out", body, ok, refusals("ErrorText", without=(415,)))
    text = "How long the JSON is, where tensors follow it as bytes"
    length = {
        "name": "Inference-Header-Content-Length",
        "in": "header",
        "description": text,
        "schema": {"type": "integer"},
    }
    found["post"]["parameters"] = [length]
    ok["headers"] = {length["name"]: {"description": text, "schema": {"type": "integer"}}}
    return found


def _known(operation: str, summary: str, schema: str) -> Document:
    found = asked(operation, summary, answer(summary, ref(schema)))
    found["responses"]["404"] = answer("There is no model of that name or version.", ref("ErrorText"))
    return {"get": found}


def _parameter(name: str, values: list[str]) -> Document:
    return {"name": name, "in": "path", "required": True, "schema": {"enum": values}}


# --- tensors ---


def _inputs(model: Model) -> Iterable[Document]:
    """Yield the schemas of what may be an input: columns of one kind share one, so that a thousand take little."""
    spec = model.input
    if spec.kind == "text":
        yield _tensor({**STRING, "examples": ["text"]}, ["BYTES"], 1)
        return
    if spec.kind == "array":
        yield _tensor({**STRING, "examples": ["input"]}, _ACCEPTED[array_column(spec).kind], spec.width)
        return
    used = [column for column in spec.columns if not column.optional]
    kinds: dict[ColumnKind, list[Column]] = {}
    for column in used:
        kinds.setdefault(column.kind, []).append(column)
    for kind, columns in kinds.items():
        yield _tensor({"enum": [column.name for column in columns]}, _ACCEPTED[kind], 1)
    if len(kinds) == 1:
        yield _tensor({**STRING, "description": "All columns"}, _ACCEPTED[used[0].kind], len(used))


def _tensor(name: Document, datatypes: list[str], width: int) -> Document:
    size: Document = {"type": "integer", "minimum": 1}
    matrix: Document = {"type": "array", "prefixItems": [size, {"const": width}], "minItems": 2, "maxItems": 2}
    return object_of(
        {
            "name": name,
            "datatype": {"enum": datatypes},
            "shape": {"anyOf": [matrix, array_of(size, 1)]} if width == 1 else matrix,
            "data": {"type": "array", "description": "The values by row, flat or nested as the shape says"},
            "parameters": {"anyOf": [ref("BinarySize"), {"type": "object"}]},
        },
        optional=["data", "parameters"],
    )


def _output(described: dict[str, Any], model: Model) -> Document:
    # A model's labels may be of several types, of which an answer need not have all.
    kinds = {type(label) for label in model.classes}
    is_certain = described["name"] != "predict" or (len(kinds) == 1 and model.outputs is None)
    return object_of(
        {
            "name": {"const": described["name"]},
            "datatype": {"const": described["datatype"]}
            if is_certain
            else {"enum": ["BOOL", "INT64", "FP64", "BYTES"]},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 2},
            "data": {"type": "array"},
            "parameters": ref("BinarySize"),
        },
        optional=["data", "parameters"],
    )


def _example(model: Model, names: Names) -> Document | None:
    """Return the model's example row as tensors."""
    described, row = v2.metadata(model, names)["inputs"], shown(model)
    if row is None:
        return None
    if model.input.kind == "frame":
        tensors = [{**each, "shape": [1, 1], "data": [row[each["name"]]]} for each in described]
    else:
        cells = row if isinstance(row, list) else [row]
        tensors = [{**described[0], "shape": [1, len(cells)], "data": cells}]
    return {"inputs": tensors}
