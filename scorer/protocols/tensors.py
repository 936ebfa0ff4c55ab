"""Tensors of the Open Inference Protocol, as JSON and as the binary extension has them.

Sources: kserve/open-inference-protocol, "REST"; triton-inference-server/server, "Binary Tensor Data Extension".
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import RequestError, counted, too_many_rows
from ..rows import kind_of

_DTYPES = {
    "BOOL": "?",
    **{f"{sign}INT{bits}": f"<{'u' if sign else 'i'}{bits // 8}" for sign in ("", "U") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
}
DATATYPES = (*_DTYPES, "BYTES")
"""The protocol's names of them."""

_LENGTH = struct.Struct("<I")
_MOST_DIMENSIONS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Tensor:
    """One input: its cells in row-major order, and where each of them stood in the request."""

    name: str
    shape: tuple[int, ...]
    cells: Sequence[Any]
    pointer: Callable[[int], str]
    place: str


class Binary:
    """What follows the JSON of a request, in the order of the inputs that are in it."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._start = 0

    def take(self, size: int, place: str) -> memoryview:
        """Return the next `size` bytes.

        Raises:
            RequestError: There are fewer.
        """
        part = self._data[self._start : self._start + size]
        if len(part) != size:
            raise _wrong(f"Expected {counted(size, 'byte')} of binary data, got {len(part)}.", place)
        self._start += size
        return part

    def require_end(self) -> None:
        """Make sure that nothing is left over.

        Raises:
            RequestError: There is.
        """
        left = len(self._data) - self._start
        if left:
            raise _wrong(f"{counted(left, 'byte')} of binary data more than the inputs have.", "")


def read_tensor(value: Any, place: str, binary: Binary, *, max_rows: int) -> Tensor:
    """Return an input of a request.

    Raises:
        RequestError: It is none, has too many rows, or its data doesn't fit its shape; nothing is allocated for a
            shape before that.
    """
    if not isinstance(value, dict):
        raise _wrong(f"Expected an object, got {kind_of(value)}.", place)
    name, datatype = value.get("name"), value.get("datatype")
    if not isinstance(name, str):
        raise _wrong("Expected the name of a tensor.", f"{place}/name")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise _wrong(f"Expected one of {', '.join(DATATYPES)}.", f"{place}/datatype")
    shape = _read_shape(value.get("shape"), f"{place}/shape")
    if shape[0] > max_rows:
        raise too_many_rows(max_rows)
    size_bytes = _binary_size(value, place)
    if size_bytes is not None:
        if "data" in value:
            raise _wrong("An input has its data here or behind the JSON, not both.", f"{place}/data")
        cells = _from_binary(binary.take(size_bytes, place), datatype, math.prod(shape), place)
        return Tensor(name=name, shape=shape, cells=cells, pointer=lambda _i: place, place=place)
    data = value.get("data")
    if not isinstance(data, list):
        raise _wrong("Expected an array with the tensor's data.", f"{place}/data")
    cells, is_nested = _flatten(data, shape, f"{place}/data")
    return Tensor(
        name=name,
        shape=shape,
        cells=_checked(cells, datatype, lambda i: _pointer(f"{place}/data", i, shape, is_nested=is_nested)),
        pointer=lambda i: _pointer(f"{place}/data", i, shape, is_nested=is_nested),
        place=place,
    )


def datatype_of(cells: Sequence[Any]) -> str:
    """Return the datatype in which all cells of an output can be written; None is a missing float."""
    kinds = set(map(type, cells))
    if kinds <= {bool}:
        return "BOOL"
    if kinds <= {int}:
        return "INT64" if all(-(2**63) <= cell < 2**63 for cell in cells) else "BYTES"
    return "FP64" if kinds <= {int, float, type(None)} else "BYTES"


def to_json_cells(cells: Sequence[Any], datatype: str) -> list[Any]:
    """Return an output's data for JSON."""
    return [cell if isinstance(cell, str) else str(cell) for cell in cells] if datatype == "BYTES" else list(cells)


def to_binary(cells: Sequence[Any], datatype: str) -> bytes:
    """Return an output's data for the binary extension."""
    if datatype != "BYTES":
        missing = math.nan
        return np.array([missing if cell is None else cell for cell in cells], dtype=_DTYPES[datatype]).tobytes()
    texts = [str(cell).encode() for cell in cells]
    return b"".join(itertools.chain.from_iterable((_LENGTH.pack(len(text)), text) for text in texts))


def _read_shape(value: Any, place: str) -> tuple[int, ...]:
    if (
        not isinstance(value, list)
        or not 1 <= len(value) <= _MOST_DIMENSIONS
        or not all(type(size) is int and 0 <= size < 2**31 for size in value)
    ):
        raise _wrong(f"Expected an array of 1 to {_MOST_DIMENSIONS} sizes.", place)
    return tuple(value)


def _binary_size(value: dict[str, Any], place: str) -> int | None:
    parameters = value.get("parameters")
    if parameters is None:
        return None
    if not isinstance(parameters, dict):
        raise _wrong(f"Expected an object, got {kind_of(parameters)}.", f"{place}/parameters")
    size = parameters.get("binary_data_size")
    if size is not None and (type(size) is not int or size < 0):
        raise _wrong("Expected a number of bytes.", f"{place}/parameters/binary_data_size")
    return size


def _from_binary(data: memoryview, datatype: str, count: int, place: str) -> list[Any]:
    if datatype == "BYTES":
        return _texts(data, count, place)
    dtype = np.dtype(_DTYPES[datatype])
    if len(data) != count * dtype.itemsize:
        raise _wrong(f"{datatype}: expected {counted(count * dtype.itemsize, 'byte')}, got {len(data)}.", place)
    values: list[Any] = np.frombuffer(data, dtype=dtype).tolist()
    if dtype.kind == "f":
        return [None if value != value else value for value in values]  # noqa: PLR0124 - NaN is a missing value.
    return values


def _texts(data: memoryview, count: int, place: str) -> list[str]:
    texts: list[str] = []
    start = 0
    while start < len(data):
        end = start + _LENGTH.size
        if len(texts) == count or end > len(data):
            raise _wrong(f"The data isn't that of {counted(count, 'text')}.", place)
        start, end = end, end + _LENGTH.unpack_from(data, start)[0]
        if end > len(data):
            raise _wrong("A text is longer than the data.", place)
        try:
            texts.append(str(data[start:end], "utf-8"))
        except UnicodeDecodeError:
            raise _wrong(f"Text {len(texts)} isn't UTF-8.", place) from None
        start = end
    if len(texts) != count:
        raise _wrong(f"Expected {counted(count, 'text')}, got {len(texts)}.", place)
    return texts


def _flatten(data: list[Any], shape: tuple[int, ...], place: str) -> tuple[list[Any], bool]:
    """Return the cells of data that is flat, or nested as the shape says."""
    is_nested = len(shape) > 1 and bool(data) and isinstance(data[0], list)
    cells: list[Any] = data
    if is_nested:
        for size in shape[1:]:
            if not all(isinstance(part, list) and len(part) == size for part in cells):
                raise _wrong(f"The data isn't nested as its shape {list(shape)} says.", place)
            cells = list(itertools.chain.from_iterable(cells))
    if len(cells) != math.prod(shape):
        raise _wrong(f"The shape {list(shape)} has {counted(math.prod(shape), 'value')}, the data {len(cells)}.", place)
    return cells, is_nested


def _checked(cells: list[Any], datatype: str, pointer: Callable[[int], str]) -> list[Any]:
    if datatype == "BYTES":
        kinds: set[type] = {str, type(None)}
    elif datatype == "BOOL":
        kinds = {bool, type(None)}
    elif datatype.startswith("FP"):
        kinds = {int, float, type(None)}
    else:
        kinds = {int, type(None)}
    for i, cell in enumerate(cells):
        if type(cell) not in kinds and not (type(cell) is float and cell.is_integer() and int in kinds):
            raise _wrong(f"Expected a value of {datatype}, got {kind_of(cell)}.", pointer(i))
    return cells


def _pointer(place: str, i: int, shape: tuple[int, ...], *, is_nested: bool) -> str:
    if not is_nested:
        return f"{place}/{i}"
    parts: list[int] = []
    for size in reversed(shape):
        i, rest = divmod(i, max(size, 1))
        parts.append(rest)
    return place + "".join(f"/{part}" for part in reversed(parts))


def _wrong(message: str, pointer: str) -> RequestError:
    return RequestError(message, pointer=pointer)
