"""numpy's file format, read without anything that could run code or take memory for what isn't there.

Source: numpy.lib.format, versions 1.0 to 3.0.
"""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np

from ..errors import RequestError, bounded, shown, too_many_rows

_MOST_HEADER_BYTES = 1000
"""The header of an array of numbers has about 100; it is read as a Python literal."""

_MOST_ITEM_BYTES = 8
_MOST_LENGTH = 2**63


def read_npy(body: bytes, *, max_rows: int) -> list[Any]:
    """Return an array of one or two dimensions as rows; NaN is a missing value.

    Raises:
        RequestError: It is no such array of numbers, its length isn't that of its shape, or it has too many rows.
    """
    file = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, is_fortran, dtype = read(file, max_header_size=_MOST_HEADER_BYTES)
    # The header is a Python literal, and numpy lets through whatever its parsers say of one that isn't.
    except Exception:  # noqa: BLE001
        raise _wrong("The input is not an array as numpy.save writes it.") from None
    # Of floats beyond 64 bits there is no number of Python's.
    if dtype.kind not in "fiub" or dtype.itemsize > _MOST_ITEM_BYTES:
        raise _wrong(f"Expected an array of numbers, got one of {bounded(str(dtype))}.")
    _check_shape(shape)
    if len(shape) == 2 and shape[0] > max_rows:  # One dimension may be one row.
        raise too_many_rows(max_rows)
    size = math.prod(shape) * dtype.itemsize
    start = file.tell()
    if size != len(body) - start:
        raise _wrong(f"The shape {shape} has {size} bytes, the input {len(body) - start}.")
    try:
        array = np.frombuffer(body, dtype=dtype, offset=start).reshape(shape, order="F" if is_fortran else "C")
    except ValueError:  # Rows of which there is none may be longer than numpy's may be.
        raise _wrong(f"There is no array of the shape {shown(shape)}.") from None
    rows: list[Any] = array.tolist()
    if dtype.kind != "f":
        return rows
    if array.ndim == 1:
        return [_missing(value) for value in rows]
    return [[_missing(value) for value in row] for row in rows]


def _check_shape(shape: tuple[Any, ...]) -> None:
    if any(type(length) is not int for length in shape):  # To Python a bool is one.
        raise _wrong(f"Expected whole numbers as the shape, got {shown(shape)}.")
    if any(abs(length) >= _MOST_LENGTH for length in shape):  # Hexadecimal, it can have more digits than Python writes.
        raise _wrong("The shape has more values than the input.")
    if not 1 <= len(shape) <= 2 or min(shape) < 0:
        raise _wrong(f"Expected an array of one or two dimensions, got one of the shape {shown(shape)}.")


def _missing(value: float) -> float | None:
    return None if value != value else value  # noqa: PLR0124 - true for NaN alone.


def _wrong(message: str) -> RequestError:
    return RequestError(message, code="invalid-npy")
