"""One column: what its cells may be, and their array, of the dtype that the schema says and never of a guessed one."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .errors import MOST_NAMES, RequestError, bounded, shown
from .manifest import Column, ColumnKind
from .rows import kind_of

Pointer = Callable[[int], str]

NONE_SUFFIX = "[none]"
"""Ends the `dtype` of a column of objects whose missing values are None instead of NaN."""

_NUMBERS = {int, float, type(None)}
_PACKED = {int, float}
_KINDS: dict[ColumnKind, set[type]] = {
    "boolean": {bool, type(None)},
    "string": {str, type(None)},
    "datetime": {str, type(None)},
    "any": {str, bool, int, float, type(None)},
}
_EXPECTED: dict[ColumnKind, str] = {
    "number": "a number",
    "integer": "an integer",
    "boolean": "true or false",
    "string": "a string",
    "datetime": "a date and time as ISO 8601 text",
    "any": "a single value",
}
_INFINITIES = (float("inf"), float("-inf"))
_FIXED_WIDTH = ("<U", "U", "str_")
"""How numpy's dtypes of texts begin, all of which are as long as the longest."""
_MOST_TEXT = 2**16
_MOST_PADDED = 2**26
"""Characters of a column of numpy's texts, of which each takes four bytes and each cell as many as the longest."""
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
"""A date, or a date and time, as ISO 8601 has it, or with a space, as CSV and Arrow do; its group is the offset."""
_NANOSECONDS = "1677-09-21 to 2262-04-11"
"""What 64 bits of nanoseconds hold."""
MOST_EXACT = 2**53
"""Beyond, a number that went through a float, as all of JavaScript's do, may be another one (RFC 8259, section 6)."""


class Codec:
    """One column's two halves: `check` cells of a request, then make checked cells of many requests into one array.

    `accepts` tells at once that a single cell is right; where it doesn't, `check` has to look.
    """

    def __init__(self, column: Column) -> None:
        self._column = column
        self.nullable = column.nullable
        self._known = frozenset(column.categories) if column.dtype.startswith("category") else None
        self._limits = limits(column)
        self.holds_numbers = column.kind == "number"
        self.accepts = self._quick_test()

    def check(self, cells: Sequence[Any], pointer: Pointer) -> None:
        """Make sure that each cell is of the column's kind.

        Args:
            cells: n JSON values.
            pointer: The JSON pointer of cell i, for errors.

        Raises:
            RequestError: One isn't.
        """
        column = self._column
        if not column.nullable and None in cells:
            raise _wrong(
                f"Expected {_EXPECTED[column.kind]}, got null: the model takes no missing value here.",
                column,
                pointer(list(cells).index(None)),
            )
        if column.kind == "number":
            self._check_numbers(cells, pointer)
        elif column.kind == "integer":
            self._check_integers(cells, pointer)
        else:
            self._require(cells, _KINDS[column.kind], pointer)
            if column.kind == "datetime":
                self._check_datetimes(cells, pointer)
            elif self._known is not None:
                self._check_categories(cells, self._known, pointer)
            elif column.dtype.startswith(_FIXED_WIDTH):
                self._check_texts(cells, pointer)

    def pack(self, cells: Sequence[Any]) -> bytes | None:
        """Return cells as 64-bit floats of this machine, None where only `check` can tell what they are."""
        # Exact types: a bool is an int in Python and isn't one in JSON. A sum is finite only if each number is.
        if not self.holds_numbers or not set(map(type, cells)) <= _PACKED or not math.isfinite(sum(cells)):
            return None
        if self._limits is not None and not self._limits[0] <= min(cells) <= max(cells) <= self._limits[1]:
            return None
        return struct.pack(f"{len(cells)}d", *cells)

    def cast(self, numbers: Any) -> Any:
        """Return 64-bit floats that were checked as an array of the column's dtype."""
        return _cast(numbers, self._column)

    def to_array(self, cells: Sequence[Any]) -> Any:
        """Return checked cells as an array: numpy's, or pandas' where the dtype is one of pandas."""
        column = self._column
        match column.kind:
            case "number":
                return _cast(np.array(cells, dtype=np.float64), column)  # None becomes NaN.
            case "integer":
                return self._integers(cells)
            case "datetime":
                return _datetimes(cells, column)
            case _:
                return self._objects(cells)

    def _quick_test(self) -> Callable[[Any], bool]:
        kind = self._column.kind
        if kind == "integer" and self._limits is not None:
            low, high = self._limits
            return lambda cell: type(cell) is int and low <= cell <= high
        if kind == "number" and self._limits is None:
            return _is_finite
        if kind == "string" and self._known is None:
            return _is_string
        return _is_boolean if kind == "boolean" else _is_unsure

    def _require(self, cells: Sequence[Any], kinds: set[type], pointer: Pointer) -> set[type]:
        # Exact types: a bool is an int in Python and isn't one in JSON.
        found = set(map(type, cells))
        if not found <= kinds:
            i, cell = next((i, cell) for i, cell in enumerate(cells) if type(cell) not in kinds)
            raise _wrong_kind(cell, self._column, pointer(i))
        return found

    def _check_numbers(self, cells: Sequence[Any], pointer: Pointer) -> None:
        kinds = self._require(cells, _NUMBERS, pointer)
        # A sum is finite only if each number is: one look instead of two at each, and quicker ones.
        if self._limits is None and type(None) not in kinds and math.isfinite(sum(cells)):
            return
        for infinity in _INFINITIES:
            if infinity in cells:
                raise _wrong("Expected a finite number.", self._column, pointer(list(cells).index(infinity)))
        if self._limits is not None:
            low, high = self._limits
            for i, cell in enumerate(cells):
                if cell is not None and not low <= cell <= high:
                    raise _wrong(f"Expected a number from {low:g} to {high:g}.", self._column, pointer(i))

    def _check_integers(self, cells: Sequence[Any], pointer: Pointer) -> None:
        if self._limits is not None and set(map(type, cells)) == {int}:
            low, high = self._limits
            if low <= min(cells) and max(cells) <= high:
                return
        for i, cell in enumerate(cells):
            if cell is None:
                continue
            if type(cell) is not int and not (type(cell) is float and cell.is_integer()):
                raise _wrong_kind(cell, self._column, pointer(i))
            if self._limits is not None and not self._limits[0] <= cell <= self._limits[1]:
                text = f"Expected an integer from {self._limits[0]} to {self._limits[1]}."
                raise _wrong(text, self._column, pointer(i))

    def _check_categories(self, cells: Sequence[Any], known: frozenset[Any], pointer: Pointer) -> None:
        for i, cell in enumerate(cells):
            if cell is not None and cell not in known:
                choices = ", ".join(bounded(str(each)) for each in self._column.categories[:MOST_NAMES])
                raise _wrong(f"Expected one of the categories {choices}; got {shown(cell)}.", self._column, pointer(i))

    def _check_texts(self, cells: Sequence[str], pointer: Pointer) -> None:
        for i, cell in enumerate(cells):
            if "\0" in cell:  # numpy drops it at the end of a text.
                raise _wrong("Expected a text without the character U+0000.", self._column, pointer(i))
            if len(cell) > _MOST_TEXT or len(cell) * len(cells) > _MOST_PADDED:
                text = "The text is too long for an array, in which each text takes the room of the longest."
                raise _wrong(text, self._column, pointer(i))

    def _check_datetimes(self, cells: Sequence[Any], pointer: Pointer) -> None:
        column = self._column
        wants_offset = "," in column.dtype
        for i, cell in enumerate(cells):
            if cell is None:
                continue
            # pandas' own parser takes "today", "2020Q1" and months and days in any order, and "" for a missing value.
            found = _TIME.fullmatch(cell)
            if found is None:
                raise _wrong_kind(cell, column, pointer(i))
            if (found[1] is not None) is not wants_offset:
                text = f"Expected a date and time {'with' if wants_offset else 'without'} a UTC offset"
                raise _wrong(f"{text}, as the model was trained with, got {shown(cell)}.", column, pointer(i))
        try:
            _datetimes(cells, column)
        except (ValueError, OverflowError):
            for i, cell in enumerate(cells):  # Most requests are right: only of others each time is read by itself.
                self._check_datetime(cell, pointer(i))
            raise

    def _check_datetime(self, cell: Any, pointer: str) -> None:
        import pandas as pd  # noqa: PLC0415 - only frames have dates, and they have imported it.

        try:
            _datetimes([cell], self._column)
        except (pd.errors.OutOfBoundsDatetime, OverflowError):
            text = f"The time {shown(cell)} is too early or too late for what the model was trained with"
            bounds = f" ({_NANOSECONDS})" if "[ns" in self._column.dtype or not self._column.dtype else ""
            raise _wrong(f"{text}{bounds}.", self._column, pointer) from None
        except ValueError:
            raise _wrong_kind(cell, self._column, pointer) from None

    def _integers(self, cells: Sequence[Any]) -> Any:
        column = self._column
        if column.dtype.startswith(("int", "uint")) or not column.dtype:
            return np.array([int(cell) for cell in cells], dtype=column.dtype or np.int64)
        if column.dtype.startswith("float"):  # Integers with missing values, as numpy has them.
            return _cast(np.array(cells, dtype=np.float64), column)
        import pandas as pd  # noqa: PLC0415 - only frames have pandas' dtypes, and they have imported it.

        return pd.array([None if cell is None else int(cell) for cell in cells], dtype=column.dtype)

    def _objects(self, cells: Sequence[Any]) -> Any:
        column = self._column
        dtype, none = column.dtype.removesuffix(NONE_SUFFIX), column.dtype.endswith(NONE_SUFFIX)
        if dtype == "bool" or dtype.startswith(_FIXED_WIDTH):
            return np.array(cells, dtype=dtype)
        # Missing values are NaN in a column of objects, as pandas reads them.
        values = cells if none else [np.nan if cell is None else cell for cell in cells]
        if dtype in ("", "object"):
            array = np.empty(len(values), dtype=object)
            array[:] = values
            return array
        import pandas as pd  # noqa: PLC0415 - only frames have pandas' dtypes, and they have imported it.

        if self._known is not None:
            return pd.Categorical(cells, categories=list(column.categories), ordered=dtype == "category[ordered]")
        return pd.array(list(cells), dtype=dtype)


def to_series(array: Any) -> Any:
    """Return an array as a column of a DataFrame, with the dtype that it has: pandas 3 would make texts of objects."""
    import pandas as pd  # noqa: PLC0415 - only frames have columns, and they have imported it.

    return pd.Series(array, dtype=array.dtype, copy=False)


def _is_finite(cell: Any) -> bool:
    return type(cell) is int or (type(cell) is float and _INFINITIES[1] < cell < _INFINITIES[0])


def _is_string(cell: Any) -> bool:
    return type(cell) is str


def _is_boolean(cell: Any) -> bool:
    return type(cell) is bool


def _is_unsure(_cell: Any) -> bool:
    return False


def for_frame(array: Any) -> Any:
    """Return an array of which a DataFrame keeps the dtype; a Series for each column would take ten times as long."""
    return to_series(array) if array.dtype == object else array


def _datetimes(cells: Sequence[Any], column: Column) -> Any:
    import pandas as pd  # noqa: PLC0415 - only frames have dates, and they have imported it.

    stamps = [pd.NaT if cell is None else pd.Timestamp(cell) for cell in cells]
    return pd.Series(stamps).astype(column.dtype or "datetime64[ns]").array


def _cast(array: Any, column: Column) -> Any:
    if column.dtype in ("", "float64"):
        return array
    if column.dtype.startswith(("float", "<f")):
        return array.astype(column.dtype)
    import pandas as pd  # noqa: PLC0415 - only frames have pandas' dtypes, and they have imported it.

    return pd.array(array, dtype=column.dtype)


def limits(column: Column) -> tuple[float, float] | None:
    """Return the least and the greatest number that the column may hold, None where that is any float."""
    name = column.dtype.lower() or "int64"
    if column.kind == "number":
        if not name.startswith(("float16", "float32", "<f2", "<f4")):
            return None
        most = float(np.finfo(name).max)
        return -most, most
    if column.kind != "integer":
        return None
    least, most = -MOST_EXACT, MOST_EXACT
    if name.startswith(("int", "uint")):
        bounds = np.iinfo(name)
        if column.is_wide:
            return int(bounds.min), int(bounds.max)
        least, most = max(least, int(bounds.min)), min(most, int(bounds.max))
    return least, most


def _wrong_kind(cell: Any, column: Column, pointer: str) -> RequestError:
    got = shown(cell) if type(cell) in (str, float) else kind_of(cell)
    return _wrong(f"Expected {_EXPECTED[column.kind]}, got {got}.", column, pointer)


def _wrong(message: str, column: Column, pointer: str) -> RequestError:
    prefix = f"Column {column.name!r}: " if column.name else ""
    return RequestError(prefix + message, code="wrong-value", pointer=pointer)
