"""The cells of CSV: what each is by its column's kind, and which line is a header; wherever CSV is read or written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .errors import RequestError
from .inputs import array_column
from .manifest import Column, ColumnKind, Input

_TRUTH = {"true": True, "false": False, "True": True, "False": False, "1": True, "0": False}
_MISSING = {"", "nan", "na", "null", "none"}
# What float() takes and JSON doesn't, like 1_000 and digits of other scripts, is no number here either.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_INFINITIES = (float("inf"), float("-inf"))


def has_header(first: Sequence[str], spec: Input) -> bool:
    """Tell whether the first line of CSV has names, where nobody says so."""
    if spec.kind == "frame":
        return {column.name for column in spec.columns if not column.optional} <= set(first)
    # Names of columns without names tell nothing: a line that holds no number is a header nevertheless.
    return spec.kind == "array" and not any(_NUMBER.fullmatch(cell.strip()) or not cell for cell in first)


def columns_by_position(spec: Input, width: int) -> Sequence[Column]:
    """Return what the cells are of a line without names: all columns of a frame if it has so many, else the used."""
    if spec.kind != "frame":
        return [array_column(spec)] * width
    used = [column for column in spec.columns if not column.optional]
    return spec.columns if width == len(spec.columns) else used


def read_cell(text: str, column: Column | None) -> Any:
    """Return the JSON value that a cell is for a column; for none, what it looks like.

    Raises:
        RequestError: It isn't of the column's kind.
    """
    kind: ColumnKind = "any" if column is None or column.optional else column.kind
    if kind in ("string", "datetime"):
        return None if not text and column is not None and column.nullable else text
    text = text.strip()
    if text.lower() in _MISSING:
        return None
    if kind == "boolean":
        return _TRUTH.get(text, text)
    if _NUMBER.fullmatch(text):
        value = int(text) if _INTEGER.fullmatch(text) else float(text)
        if value in _INFINITIES:
            raise _wrong(f"{text[:100]} is too large for a number.", column)
        return value
    if kind == "any":
        return text
    raise _wrong(f"Expected a number, got {text[:100]!r}.", column)


def spelled(value: Any) -> Any:
    """Return a value as a cell of CSV has it."""
    return str(value).lower() if isinstance(value, bool) else value


def _wrong(message: str, column: Column | None) -> RequestError:
    prefix = f"Column {column.name!r}: " if column is not None and column.name else ""
    return RequestError(prefix + message, code="wrong-value")
