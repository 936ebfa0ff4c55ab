"""Rows on their way from an input to an output, some thousand at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..manifest import ColumnKind

MOST_ROWS = 2048
"""In one chunk: enough that a call of `predict` is worth it, and few enough that several chunks fit in memory."""
MOST_BYTES = 4 * 1024 * 1024
"""Of the input in one chunk, but for a single row that is longer."""
MOST_RECORD_BYTES = 32 * 1024 * 1024
"""Of one row: a line without an end must not fill the memory."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row; `line` is where it begins in the input, from 1.

    `value` is what the decoder reads: a list of cells, or an object by the columns' names. `kept` is what the output is
    made of, as the input's own reader has it.
    """

    line: int
    value: Any
    kept: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class BadRow:
    """A row that gets no prediction; `row` is the row itself, as far as it could be read, as a JSON value."""

    line: int
    error: str
    code: str
    row: Any


@dataclass(kw_only=True, slots=True)
class Chunk:
    """Consecutive rows of an input, the bad ones apart; `fraction` is how much of the input they are the end of."""

    rows: list[Row] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    batch: Any = None
    """Where `kept` are positions in a batch of Arrow: the batch."""
    fraction: float | None = None


class Reader(Protocol):
    """Reads an input of one format."""

    @property
    def names(self) -> Sequence[str] | None:
        """The columns' names; None where the input has none, or where each row has its own."""

    def chunks(self) -> Iterator[Chunk]:
        """Yield all rows.

        Raises:
            StopError: What follows can't be read.
        """

    def record(self, chunk: Chunk, row: Row) -> dict[str, Any]:
        """Return a row as JSON values by name, for an output of another format."""

    def shown(self, chunk: Chunk, row: Row) -> Any:
        """Return a row as a JSON value, as it stands in the input."""

    def kinds(self) -> Mapping[str, ColumnKind]:
        """Return what the model's columns hold, by their names in a record; known once a row has been read."""


def in_chunks(rows: Iterable[tuple[Row | BadRow, int]], fraction: Iterator[float | None]) -> Iterator[Chunk]:
    """Gather rows, each with its length in bytes, into chunks."""
    chunk = Chunk()
    size = 0
    for row, length in rows:
        if isinstance(row, Row):
            chunk.rows.append(row)
        else:
            chunk.bad.append(row)
        size += length
        if size >= MOST_BYTES or len(chunk.rows) + len(chunk.bad) >= MOST_ROWS:
            chunk.fraction = next(fraction)
            yield chunk
            chunk, size = Chunk(), 0
    if chunk.rows or chunk.bad:
        chunk.fraction = next(fraction)
        yield chunk
