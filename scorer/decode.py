"""The one decoder: from the JSON of a request to one `Batch`, whatever the spelling."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import orjson

from .columns import to_array, to_series
from .errors import RequestError
from .manifest import Column, ColumnKind, Input
from .rows import Table, read_table

_TEXT = Column(name="", kind="string", dtype="object")


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """What one call of `predict` takes.

    `data` is what the pipeline was fitted on: n texts, an (n, width) array, or a DataFrame with n rows. `null_pointer`
    is where the first missing value stood in the request, so that a model's complaint about it can say so.
    """

    data: Any
    size: int
    null_pointer: str | None = None


def parse_json(body: bytes) -> Any:
    """Return the value that `body` holds.

    Raises:
        RequestError: It isn't JSON, as RFC 8259 has it.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        _explain_json(body, error)


def decode(value: Any, spec: Input) -> Batch:
    """Return the batch that a decoded JSON value stands for.

    Raises:
        RequestError: The value doesn't fit the model's input.
    """
    table = read_table(value, spec)
    match spec.kind:
        case "text":
            return _texts(table, spec)
        case "array":
            return _array(table, spec)
        case "frame":
            return _frame(table, spec)


def _texts(table: Table, spec: Input) -> Batch:
    cells = [row[0] for row in table.rows]
    array = to_array(cells, _TEXT, lambda i: table.pointer(i, 0))
    return Batch(data=text_container(array.tolist(), spec.dtype), size=len(cells))


def text_container(texts: list[str], dtype: str) -> Any:
    """Return texts as the first stage takes them: `dtype` is `list`, `series` or `ndarray`."""
    if dtype == "series":
        import pandas as pd  # noqa: PLC0415 - for the stage that asks for it.

        return pd.Series(texts)
    if dtype == "ndarray":
        return np.array(texts, dtype=object)
    return texts


def _array(table: Table, spec: Input) -> Batch:
    cells = list(itertools.chain.from_iterable(table.rows))
    width = spec.width
    column = array_column(spec.dtype)
    array = to_array(cells, column, lambda i: table.pointer(*divmod(i, width)))
    null = cells.index(None) if None in cells else None
    return Batch(
        data=array.reshape(len(table.rows), width),
        size=len(table.rows),
        null_pointer=None if null is None else table.pointer(*divmod(null, width)),
    )


def array_column(dtype: str) -> Column:
    """Return what each cell of an array of `dtype` is; null is left to the model, which knows whether it takes NaN."""
    kinds: dict[str, ColumnKind] = {"f": "number", "i": "integer", "u": "integer", "b": "boolean", "U": "string"}
    kind: ColumnKind = kinds.get(np.dtype(dtype.removesuffix("[none]") or "float64").kind, "any")
    return Column(name="", kind=kind, dtype=dtype, nullable=kind in ("number", "any"))


def _frame(table: Table, spec: Input) -> Batch:
    import pandas as pd  # noqa: PLC0415 - a service of texts or arrays never needs it.

    used = [column for column in spec.columns if not column.optional]
    data: dict[str, Any] = {}
    null_pointer = None
    for j, (column, cells) in enumerate(zip(used, zip(*table.rows, strict=True), strict=True)):
        array = to_array(cells, column, lambda i, j=j: table.pointer(i, j))  # type: ignore[misc]  # j is bound
        data[column.name] = to_series(array)
        if null_pointer is None and None in cells:
            null_pointer = table.pointer(cells.index(None), j)
    return Batch(data=pd.DataFrame(data, copy=False), size=len(table.rows), null_pointer=null_pointer)


def _explain_json(body: bytes, error: orjson.JSONDecodeError) -> NoReturn:
    """Say what is wrong with a body that isn't JSON; NaN and Infinity get advice of their own."""

    def refuse(literal: str) -> NoReturn:
        raise RequestError(f"{literal} is not JSON: send null for a missing value.", code="invalid-json")

    try:
        # Python's parser knows the literals that JSON lacks; it also takes more than JSON, so its result isn't used.
        json.loads(body.decode("utf-8"), parse_constant=refuse)
    except UnicodeDecodeError as undecodable:
        raise RequestError(f"The input is not UTF-8 (byte {undecodable.start}).", code="invalid-json") from None
    except (ValueError, RecursionError):
        pass  # The first parser's error says it.
    raise RequestError(f"The input is not JSON: {error.msg} (position {error.pos}).", code="invalid-json")
