"""The Open Inference Protocol (V2), over HTTP, with its binary tensors.

Sources: kserve/open-inference-protocol, "REST"; where it leaves something open, MLServer's answers, which its clients
expect.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from typing import Any

from ..decode import Batch, Decoder, parse_json
from ..encode import dump
from ..errors import RequestError, counted
from ..inputs import array_column
from ..manifest import Column, ColumnKind, Input, Label, Model
from ..rows import kind_of
from .base import Answer, Problem, Question, Request, require_json
from .names import Names
from .pointers import moved
from .tensors import Binary, Tensor, datatype_of, read_tensor, to_binary, to_json_cells

HEADER_LENGTH = "inference-header-content-length"
_DATATYPES: dict[ColumnKind, str] = {
    "number": "FP64",
    "integer": "INT64",
    "boolean": "BOOL",
    "string": "BYTES",
    "datetime": "BYTES",
    "any": "BYTES",
}


class V2:
    """`POST /v2/models/NAME/infer`."""

    def __init__(self, model: Model, decoder: Decoder, names: Names) -> None:
        self._spec = model.input
        self._decoder = decoder
        self._methods = ("predict", *model.methods)
        self._names = names

    def read(self, request: Request) -> Question:
        """Read tensors: one for each column, one matrix, or one of texts."""
        self._names.require(request.model, request.version)
        require_json(request.accept, "application/octet-stream")
        head, binary = _split(request)
        asked = parse_json(head)
        if not isinstance(asked, dict):
            raise RequestError(f"Expected an object, got {kind_of(asked)}.", pointer="")
        given = asked.get("inputs")
        if not isinstance(given, list) or not given:
            raise RequestError("Expected an array of input tensors.", pointer="/inputs")
        most = self._decoder.max_rows
        tensors = [read_tensor(value, f"/inputs/{k}", binary, max_rows=most) for k, value in enumerate(given)]
        binary.require_end()
        outputs = self._outputs(asked)
        others = tuple(method for method in self._methods[1:] if method in outputs)
        identifier = asked.get("id")
        if identifier is not None and not isinstance(identifier, str):
            raise RequestError(f"Expected a string, got {kind_of(identifier)}.", pointer="/id")
        return Question(
            batch=self._batch(tensors),
            methods=("predict", *others),
            render=lambda values: self._answer(values, others, outputs, identifier),
        )

    def error(self, problem: Problem) -> bytes:
        """Return `{"error": …}`."""
        return dump({"error": problem.message})

    def _outputs(self, asked: dict[str, Any]) -> dict[str, bool]:
        """Return the outputs that are asked for, and whether each is to be binary."""
        parameters = asked.get("parameters")
        all_binary = isinstance(parameters, dict) and parameters.get("binary_data_output") is True
        listed = asked.get("outputs")
        if listed is None or listed == []:
            return {"predict": all_binary}
        if not isinstance(listed, list):
            raise RequestError(f"Expected an array, got {kind_of(listed)}.", pointer="/outputs")
        outputs: dict[str, bool] = {}
        for k, output in enumerate(listed):
            name = output.get("name") if isinstance(output, dict) else None
            if name not in self._methods:
                raise RequestError(f"The model's outputs are {', '.join(self._methods)}.", pointer=f"/outputs/{k}/name")
            own = output.get("parameters")
            is_binary = own.get("binary_data") if isinstance(own, dict) else None
            outputs[name] = all_binary if is_binary is None else is_binary is True
        return outputs

    # --- inputs ---

    def _batch(self, tensors: Sequence[Tensor]) -> Batch:
        if len(tensors) == 1 and (self._spec.kind != "frame" or self._is_matrix(tensors[0])):
            return self._from_matrix(tensors[0])
        for tensor in tensors:
            if _width(tensor) != 1:
                raise RequestError(
                    f"Expected one value a row in the tensor of a column, got the shape {list(tensor.shape)}.",
                    pointer=f"{tensor.place}/shape",
                )
            if tensor.shape[0] != tensors[0].shape[0]:
                raise RequestError(
                    f"Expected {counted(tensors[0].shape[0], 'row')}, as the first tensor has.",
                    pointer=f"{tensor.place}/shape",
                )
        if self._spec.kind != "frame":
            return self._from_columns_without_names(tensors)
        if len({tensor.name for tensor in tensors}) < len(tensors):
            raise RequestError("Two tensors have the same name.", pointer="/inputs")
        # The one spelling in which no name of a column can be taken for anything else.
        table = {"columns": [tensor.name for tensor in tensors], "data": _transposed(tensors)}

        def move(pointer: str) -> str:
            match pointer.removeprefix("/").split("/"):
                case ["data", row, column]:
                    return tensors[int(column)].pointer(int(row))
                case ["columns", column]:
                    return tensors[int(column)].place
                case _:
                    return "/inputs"

        return moved(self._decoder.decode, table, move)

    def _is_matrix(self, tensor: Tensor) -> bool:
        """Tell whether a lone tensor for a model with named columns is all of them, and not one by its name."""
        return len(tensor.shape) == 2 and tensor.name not in {column.name for column in self._spec.columns}

    def _from_matrix(self, tensor: Tensor) -> Batch:
        width = _width(tensor)
        if self._spec.kind == "text" and width == 1:
            rows: list[Any] = list(tensor.cells)
        else:
            rows = [list(tensor.cells[i : i + width]) for i in range(0, len(tensor.cells), width)] if width else []

        def move(pointer: str) -> str:
            row, _, column = pointer.removeprefix("/").partition("/")
            if not row:
                return tensor.place
            return tensor.pointer(int(row) * width + int(column or 0))

        return moved(self._decoder.decode, rows, move)

    def _from_columns_without_names(self, tensors: Sequence[Tensor]) -> Batch:
        def move(pointer: str) -> str:
            row, _, column = pointer.removeprefix("/").partition("/")
            return tensors[int(column)].pointer(int(row)) if column else "/inputs"

        return moved(self._decoder.decode, _transposed(tensors), move)

    # --- outputs ---

    def _answer(
        self, values: list[Any], others: tuple[str, ...], outputs: dict[str, bool], identifier: str | None
    ) -> Answer:
        columns = list(zip(*values, strict=True)) if others else [values]
        by_name = dict(zip(("predict", *others), columns, strict=True))
        described: list[dict[str, Any]] = []
        binaries: list[bytes] = []
        for name, is_binary in outputs.items():
            cells, shape = _cells(by_name[name])
            datatype = datatype_of(cells)
            output: dict[str, Any] = {"name": name, "shape": shape, "datatype": datatype}
            if is_binary:
                binaries.append(to_binary(cells, datatype))
                output["parameters"] = {"binary_data_size": len(binaries[-1])}
            else:
                output["data"] = to_json_cells(cells, datatype)
            described.append(output)
        head: dict[str, Any] = {"model_name": self._names.name, "model_version": self._names.version}
        if identifier is not None:
            head["id"] = identifier
        body = dump({**head, "outputs": described})
        if not binaries:
            return Answer(body=body)
        return Answer(
            body=body + b"".join(binaries),
            content_type="application/octet-stream",
            headers={"Inference-Header-Content-Length": str(len(body))},
        )


def metadata(model: Model, names: Names) -> dict[str, Any]:
    """Return the description of the model as `GET /v2/models/NAME` has it."""
    return {
        "name": names.name,
        "versions": [names.version],
        "platform": "scikit-learn",
        "inputs": _described_inputs(model.input),
        "outputs": [_described_output(model, method) for method in ("predict", *model.methods)],
    }


def _described_inputs(spec: Input) -> list[dict[str, Any]]:
    if spec.kind == "text":
        return [{"name": "text", "datatype": "BYTES", "shape": [-1, 1]}]
    if spec.kind == "array":
        return [{"name": "input", "datatype": _DATATYPES[array_column(spec).kind], "shape": [-1, spec.width]}]
    used: list[Column] = [column for column in spec.columns if not column.optional]
    return [{"name": column.name, "datatype": _DATATYPES[column.kind], "shape": [-1, 1]} for column in used]


def _described_output(model: Model, method: str) -> dict[str, Any]:
    if method == "predict":
        return {"name": method, "datatype": _label_datatype(model), "shape": [-1, model.outputs or 1]}
    width = len(model.classes) if method == "predict_proba" and model.outputs is None else -1
    return {"name": method, "datatype": "FP64", "shape": [-1, width]}


def _label_datatype(model: Model) -> str:
    labels: Sequence[Label] = model.classes
    return datatype_of(labels) if labels else "FP64" if model.task == "regressor" else "BYTES"


def _split(request: Request) -> tuple[bytes, Binary]:
    text = request.headers.get(HEADER_LENGTH)
    if text is None:
        return request.body, Binary(memoryview(b""))
    # Python refuses to read a number of thousands of digits.
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > len(request.body):
        raise RequestError("Inference-Header-Content-Length is not the length of the JSON.", code="invalid-request")
    return request.body[: int(text)], Binary(memoryview(request.body)[int(text) :])


def _transposed(tensors: Sequence[Tensor]) -> list[list[Any]]:
    """Return the rows of tensors that are columns."""
    return [list(row) for row in zip(*(tensor.cells for tensor in tensors), strict=True)]


def _width(tensor: Tensor) -> int:
    return math.prod(tensor.shape[1:])


def _cells(values: Sequence[Any]) -> tuple[list[Any], list[int]]:
    """Return values by row as the cells of a tensor with at least two dimensions, and its shape."""
    shape = [len(values)]
    cells: list[Any] = list(values)
    while cells and all(isinstance(cell, list) for cell in cells) and len({len(cell) for cell in cells}) == 1:
        shape.append(len(cells[0]))
        cells = list(itertools.chain.from_iterable(cells))
    if any(isinstance(cell, list) for cell in cells):  # Lists of different lengths, which no tensor holds.
        cells = [dump(cell).decode() for cell in cells]
    return cells, shape if len(shape) > 1 else [*shape, 1]
