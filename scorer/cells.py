"""The cells of CSV: what each is by its column's kind, and which line is a header; wherever CSV is read or written."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .errors import RequestError, bounded, shown
from .inputs import array_column
from .manifest import Column, ColumnKind, Input

if TYPE_CHECKING:
    from _csv import Reader

_MOST_DIGITS = 2**17
_MOST_CELL = 2**31 - 1
_TRUTH = {"true": True, "false": False, "True": True, "False": False, "1": True, "0": False}
_MISSING = {"", "nan", "na", "null", "none"}
# What float() takes and JSON doesn't, like 1_000 and digits of other scripts, is no number here either.
_NUMBER = re.compile(r"([+-]?[0-9]{1,19})|[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
"""Its group is an integer. There is one way to read each text: trying others would take quadratic time."""
_INFINITIES = (float("inf"), float("-inf"))


def records(lines: Iterable[str]) -> Reader:
    """Return what reads the records of CSV, with cells of any length: whoever has the lines limits how long they are.

    Python has one limit for the whole process, which any code may have set, the model's too. So it is set where a
    reader is made.
    """
    csv.field_size_limit(_MOST_CELL)
    return csv.reader(lines, strict=True)


def has_header(first: Sequence[str], spec: Input) -> bool:
    """Tell whether the first line of CSV has names, where nobody says so."""
    if spec.kind == "frame":
        return {column.name for column in spec.columns if not column.optional} <= set(first)
    # Names of columns without names tell nothing: a line that holds no number is a header nevertheless.
    return spec.kind == "array" and not any(_as_number(cell.strip()) or not cell for cell in first)


def columns_by_position(spec: Input, width: int) -> Sequence[Column]:
    """Return what the cells are of a line without names: all columns of a frame if it has so many, else the used."""
    if spec.kind != "frame":
        return [array_column(spec)] * width
    used = [column for column in spec.columns if not column.optional]
    return spec.columns if width == len(spec.columns) else used


def cell_reader(column: Column | None) -> Callable[[str], Any]:
    """Return what makes a JSON value of a column's cell, or without a column a value of what the cell looks like.

    It raises a RequestError where a cell isn't of its column's kind.
    """
    kind: ColumnKind = "any" if column is None or column.optional else column.kind
    if kind in ("string", "datetime"):
        return _text_or_none if column is not None and column.nullable else str
    name = "" if column is None else column.name

    def read(text: str) -> Any:
        found = _as_number(text)
        return _other(text.strip(), kind, name) if found is None or kind == "boolean" else _number(found, name)

    return read


def _text_or_none(text: str) -> str | None:
    return text or None


def _other(text: str, kind: ColumnKind, name: str) -> Any:
    if text.lower() in _MISSING:
        return None
    if kind == "boolean":
        return _TRUTH.get(text, text)
    if (found := _as_number(text)) is not None:  # There were spaces around it.
        return _number(found, name)
    if kind == "any":
        return text
    raise _wrong(f"Expected a number, got {shown(text)}.", name)


def _as_number(text: str) -> re.Match[str] | None:
    # Of millions of digits, looking at them once would keep all other threads waiting.
    return _NUMBER.fullmatch(text) if len(text) <= _MOST_DIGITS else None


def _number(found: re.Match[str], name: str) -> int | float:
    text = found[0]
    if found.lastindex:
        return int(text)
    value = float(text)
    if value in _INFINITIES:
        raise _wrong(f"{bounded(text)} is too large for a number.", name)
    return value


def spelled(value: Any) -> Any:
    """Return a value as a cell of CSV has it."""
    return str(value).lower() if isinstance(value, bool) else value


def _wrong(message: str, name: str) -> RequestError:
    return RequestError(f"Column {name!r}: {message}" if name else message, code="wrong-value")
