"""Tables that come as bytes which only the predictor's process may unpack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Form = Literal["parquet", "arrow"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Packed:
    """A whole Parquet file, or a whole Arrow stream.

    `wanted` are the columns to read, by name; None for all. `max_rows` and `max_bytes` are what it may hold when it is
    unpacked.
    """

    form: Form
    data: bytes
    wanted: tuple[str, ...] | None
    max_rows: int
    max_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Unpacked:
    """Columns of plain JSON values.

    `cells` are those of each column in `names`, all of one length; `others` are the names of columns that nobody
    asked for.
    """

    names: list[str]
    cells: list[list[object]]
    others: list[str]
