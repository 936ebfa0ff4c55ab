"""From the cells of a table to arrays of the dtype that the schema says, never of one guessed from a request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .errors import RequestError
from .manifest import Column, ColumnKind
from .rows import kind_of

Pointer = Callable[[int], str]

NONE_SUFFIX = "[none]"
"""Ends the `dtype` of a column of objects whose missing values are None instead of NaN."""

_NUMBERS = {int, float, type(None)}
_EXPECTED: dict[ColumnKind, str] = {
    "number": "a number",
    "integer": "an integer",
    "boolean": "true or false",
    "string": "a string",
    "datetime": "a date and time as ISO 8601 text",
    "any": "a single value",
}


def to_array(cells: Sequence[Any], column: Column, pointer: Pointer) -> Any:
    """Return one column's cells as an array (numpy's, or pandas' where the dtype is one of pandas).

    Args:
        cells: n JSON values.
        column: Its kind, dtype and whether null stands for a missing value.
        pointer: The JSON pointer of cell i, for errors.

    Raises:
        RequestError: A cell isn't of the column's kind.
    """
    if not column.nullable:
        _refuse_null(cells, column, pointer)
    match column.kind:
        case "number":
            return _numbers(cells, column, pointer)
        case "integer":
            return _integers(cells, column, pointer)
        case "boolean":
            _require(cells, (bool, type(None)), column, pointer)
        case "string":
            _require(cells, (str, type(None)), column, pointer)
        case "datetime":
            _require(cells, (str, type(None)), column, pointer)
            return _datetimes(cells, column, pointer)
        case "any":
            _require(cells, (str, bool, int, float, type(None)), column, pointer)
    return _objects(cells, column, pointer)


def to_series(array: Any) -> Any:
    """Return an array as a column of a DataFrame, with the dtype that it has: pandas 3 would make texts of objects."""
    import pandas as pd  # noqa: PLC0415 - only frames have columns, and they have imported it.

    return pd.Series(array, dtype=array.dtype, copy=False)


def _numbers(cells: Sequence[Any], column: Column, pointer: Pointer) -> Any:
    if not set(map(type, cells)) <= _NUMBERS:
        _require(cells, (int, float, type(None)), column, pointer)
    array = np.array(cells, dtype=np.float64)  # None becomes NaN.
    if np.isinf(array).any():
        raise _wrong("Expected a finite number.", column, pointer(int(np.flatnonzero(np.isinf(array))[0])))
    return _cast(array, column)


def _integers(cells: Sequence[Any], column: Column, pointer: Pointer) -> Any:
    whole: list[int | None] = []
    for i, cell in enumerate(cells):
        is_integral = type(cell) is int or (type(cell) is float and cell.is_integer())
        if cell is not None and not is_integral:
            raise _wrong_kind(cell, column, pointer(i))
        whole.append(None if cell is None else int(cell))
    if _is_numpy_integer(column.dtype):
        limits = np.iinfo(column.dtype or np.int64)
        for i, number in enumerate(whole):
            if number is not None and not limits.min <= number <= limits.max:
                raise _wrong(f"Expected an integer from {limits.min} to {limits.max}.", column, pointer(i))
        return np.array(whole, dtype=column.dtype or np.int64)
    if column.dtype.startswith("float"):  # Integers with missing values, as numpy has them.
        return _cast(np.array(whole, dtype=np.float64), column)
    import pandas as pd  # noqa: PLC0415 - only frames have pandas' dtypes, and they have imported it.

    return pd.array(whole, dtype=column.dtype)


def _objects(cells: Sequence[Any], column: Column, pointer: Pointer) -> Any:
    dtype, none = column.dtype.removesuffix(NONE_SUFFIX), column.dtype.endswith(NONE_SUFFIX)
    if dtype == "bool" or dtype.startswith(("<U", "U", "str_")):
        return np.array(cells, dtype=dtype)
    # Missing values are NaN in a column of objects, as pandas reads them.
    values = cells if none else [np.nan if cell is None else cell for cell in cells]
    if dtype in ("", "object"):
        array = np.empty(len(values), dtype=object)
        array[:] = values
        return array
    import pandas as pd  # noqa: PLC0415 - only frames have pandas' dtypes, and they have imported it.

    if dtype.startswith("category"):
        known = set(column.categories)
        for i, cell in enumerate(cells):
            if cell is not None and cell not in known:
                choices = ", ".join(map(str, column.categories[:20]))
                raise _wrong(f"Expected one of the categories {choices}; got {cell!r}.", column, pointer(i))
        return pd.Categorical(cells, categories=list(column.categories), ordered=dtype == "category[ordered]")
    return pd.array(list(cells), dtype=dtype)


def _datetimes(cells: Sequence[Any], column: Column, pointer: Pointer) -> Any:
    import pandas as pd  # noqa: PLC0415 - only frames have dates, and they have imported it.

    stamps = []
    for i, cell in enumerate(cells):
        try:
            stamps.append(pd.NaT if cell is None else pd.Timestamp(cell))
        except ValueError as error:
            raise _wrong_kind(cell, column, pointer(i)) from error
    try:
        return pd.Series(stamps).astype(column.dtype or "datetime64[ns]").array
    except (TypeError, ValueError) as error:
        raise _wrong(
            "Expected all times with a UTC offset, or all without, as the model was trained.", column, pointer(0)
        ) from error


def _cast(array: Any, column: Column) -> Any:
    if column.dtype in ("", "float64"):
        return array
    if column.dtype.startswith(("float", "<f")):
        return array.astype(column.dtype)
    import pandas as pd  # noqa: PLC0415 - only frames have pandas' dtypes, and they have imported it.

    return pd.array(array, dtype=column.dtype)


def _is_numpy_integer(dtype: str) -> bool:
    return not dtype or dtype.startswith(("int", "uint"))


def _refuse_null(cells: Sequence[Any], column: Column, pointer: Pointer) -> None:
    if None in cells:
        raise _wrong(
            f"Expected {_EXPECTED[column.kind]}, got null: the model takes no missing value here.",
            column,
            pointer(list(cells).index(None)),
        )


def _require(cells: Sequence[Any], kinds: tuple[type, ...], column: Column, pointer: Pointer) -> None:
    # Exact types: a bool is an int in Python and isn't one in JSON.
    for i, cell in enumerate(cells):
        if type(cell) not in kinds:
            raise _wrong_kind(cell, column, pointer(i))


def _wrong_kind(cell: Any, column: Column, pointer: str) -> RequestError:
    shown = f"{cell:g}" if type(cell) is float else kind_of(cell)
    return _wrong(f"Expected {_EXPECTED[column.kind]}, got {shown}.", column, pointer)


def _wrong(message: str, column: Column, pointer: str) -> RequestError:
    prefix = f"Column {column.name!r}: " if column.name else ""
    return RequestError(prefix + message, code="wrong-value", pointer=pointer)
