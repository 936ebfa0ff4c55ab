"""CSV in and out: read by the kinds of the model's columns, and written with every cell as it was."""

from __future__ import annotations

import csv
import io
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from ..cells import cell_reader, columns_by_position, has_header, records, spelled
from ..errors import RequestError, counted, shown
from ..manifest import Column, ColumnKind, Input
from .arguments import Header
from .chunks import MOST_RECORD_BYTES, BadRow, Chunk, Row, in_chunks
from .source import Lines, LineTooLongError, Source
from .stopping import Status, StopError
from .table import positions_by_name, unclear, used_columns

_BOM = "\ufeff"
_LINE_BYTES = 256
"""What a line takes besides its text: a quote without an end may be followed by very many short ones."""


class CsvReader:
    """Reads CSV with or without a header."""

    def __init__(self, source: Source, spec: Input, *, header: Header | None, chosen: Sequence[str]) -> None:
        """Read the first line, and find the model's columns.

        Raises:
            StopError: There is none, it isn't CSV, or it hasn't the model's columns.
        """
        self._source = source
        self._spec = spec
        self._records = _Records(Lines(source))
        first = next(self._records, None)
        if first is None:
            raise StopError(Status.NO_INPUT, f"{source.name} is empty.")
        if isinstance(first, BadRow):
            raise StopError(Status.NO_INPUT, f"{source.name}, line {first.line}: {first.error}")
        self.names: list[str] | None = None
        self.note: str | None = None
        """What a person may want to know of how the first line was taken."""
        cells = first[1]
        self._width = len(cells)
        self.line_end = self._records.line_end
        self.has_bom = self._records.has_bom
        if _is_header(cells, spec, header, chosen):
            self.names = cells
            self._first = None
            self._positions = positions_by_name(spec, cells, chosen)
            self._columns = list(used_columns(spec))
        else:
            self._first = first
            self._positions, self._columns = _by_position(spec, cells)
            if spec.kind == "text" and header is None and " " not in cells[0].strip():
                self.note = (
                    f"The first line, {shown(cells[0])}, is taken as a text: --header present says it is a name."
                )
        self._readers = [(i, cell_reader(column)) for i, column in zip(self._positions, self._columns, strict=True)]

    def chunks(self) -> Iterator[Chunk]:
        """Yield all rows."""
        return in_chunks(self._rows(), self._source.fractions())

    def record(self, _chunk: Chunk, row: Row) -> dict[str, Any]:
        """Return the model's cells as what they are, and the others as texts."""
        cells: list[Any] = list(row.kept)
        for position, value in zip(self._positions, row.value, strict=True):
            cells[position] = value
        return dict(zip(self._names(), cells, strict=True))

    def shown(self, _chunk: Chunk, row: Row) -> Any:
        """Return the cells of a row as they stand."""
        return self._shown(row.kept)

    def kinds(self) -> Mapping[str, ColumnKind]:
        """Return what the model's columns hold."""
        names = self._names()
        return {names[i]: column.kind for i, column in zip(self._positions, self._columns, strict=True)}

    def _names(self) -> list[str]:
        return self.names or names_of(self._spec, self._width)

    def _rows(self) -> Iterator[tuple[Row | BadRow, int]]:
        if self._first is not None:
            yield self._row(self._first), 0
        for record in self._records:
            yield record if isinstance(record, BadRow) else self._row(record), self._records.size

    def _row(self, record: tuple[int, list[str]]) -> Row | BadRow:
        line, cells = record
        if len(cells) != self._width:
            message = f"Expected {counted(self._width, 'cell')}, got {len(cells)}."
            return BadRow(line=line, error=message, code="invalid-csv", row=self._shown(cells))
        try:
            return Row(line, [read(cells[position]) for position, read in self._readers], cells)
        except RequestError as error:
            return BadRow(line=line, error=error.message, code=error.code, row=self._shown(cells))

    def _shown(self, cells: Sequence[str]) -> Any:
        if self.names is None or len(self.names) != len(cells) or len(set(self.names)) != len(cells):
            return list(cells)
        return dict(zip(self.names, cells, strict=True))


class CsvWriter:
    """Writes CSV; `cells_of` are a row's own cells."""

    def __init__(
        self, stream: BinaryIO, *, cells_of: Callable[[Chunk, Row], Sequence[Any]], line_end: str = "\n"
    ) -> None:
        self._stream = stream
        self._cells_of = cells_of
        self._text = io.StringIO()
        self._writer = csv.writer(self._text, lineterminator=line_end)

    def begin(self, names: Sequence[str] | None, *, has_bom: bool = False) -> None:
        """Write the header, if there is one."""
        if has_bom:
            self._text.write(_BOM)
        if names is not None:
            self._writer.writerow(names)
        self._flush()

    def write(self, chunk: Chunk, rows: Sequence[tuple[Row, Sequence[Any]]]) -> None:
        """Write rows, each with what is added to it."""
        for row, added in rows:
            self._writer.writerow([*self._cells_of(chunk, row), *map(cell, added)])
        self._flush()

    def finish(self) -> None:
        """Write what is missing of a whole file: nothing."""

    def abandon(self) -> None:
        """Write nothing more: nothing is held back."""

    def _flush(self) -> None:
        # What was no UTF-8 never comes here, but a text of JSON may hold half of a surrogate pair.
        self._stream.write(self._text.getvalue().encode("utf-8", "replace"))
        self._text.seek(0)
        self._text.truncate()


def cell(value: Any) -> Any:
    """Return a JSON value as a cell: null is empty, arrays and objects are JSON."""
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False)
    return spelled(value)


def names_of(spec: Input, width: int) -> list[str]:
    """Return names for a row that has none, where it has to have some."""
    match spec.kind:
        case "text":
            return ["text"]
        case "frame" if width in (len(spec.columns), len(used_columns(spec))):
            return [column.name for column in columns_by_position(spec, width)]
        case _:
            return [f"column_{number}" for number in range(1, width + 1)]


def _is_header(first: Sequence[str], spec: Input, header: Header | None, chosen: Sequence[str]) -> bool:
    if chosen or header is not None:
        return header != "absent"
    # A line with some of the names is meant as a header: that others are missing is to be told, not guessed away.
    known = {column.name for column in spec.columns}
    return has_header(first, spec) or (spec.kind == "frame" and not known.isdisjoint(first))


def _by_position(spec: Input, first: Sequence[str]) -> tuple[list[int], list[Column]]:
    width = len(first)
    if spec.kind != "frame":
        if width != spec.width:
            raise StopError(Status.NO_INPUT, unclear(spec, [text[:20] for text in first]))
        return list(range(width)), list(used_columns(spec))
    columns = columns_by_position(spec, width)
    if width != len(columns):
        names = ", ".join(column.name for column in columns)
        raise StopError(
            Status.NO_INPUT,
            f"Expected a header, or {counted(len(columns), 'cell')} a line ({names}); the first has {width}.",
        )
    positions = [position for position, column in enumerate(columns) if not column.optional]
    return positions, [columns[position] for position in positions]


class _Records:
    """The records of CSV, each with the line where it begins; what is none comes as a bad row."""

    def __init__(self, lines: Lines) -> None:
        self._feed = _Feed(lines)
        self._reader = records(self._feed)  # The feed ends one that is too long.
        self.has_bom = lines.has_bom
        self.size = 0
        """Of the last record, in bytes."""

    @property
    def line_end(self) -> str:
        """How the last record ended."""
        return "\r\n" if self._feed.given and self._feed.given[-1].text.endswith("\r\n") else "\n"

    def __iter__(self) -> _Records:
        return self

    def __next__(self) -> tuple[int, list[str]] | BadRow:
        feed = self._feed
        while True:
            feed.begin()
            try:
                cells = next(self._reader)
            except (csv.Error, LineTooLongError) as error:
                self.size = feed.size
                return self._bad(error)
            self.size = feed.size
            if (problem := feed.problem) is not None:
                return BadRow(line=feed.line, error=problem, code="invalid-csv", row=feed.shown())
            if cells:
                return feed.line, cells

    def _bad(self, error: Exception) -> BadRow:
        feed = self._feed
        is_open = "unexpected end of data" in str(error) or (isinstance(error, LineTooLongError) and feed.given)
        if is_open:
            # A quote without its other half took what follows for its own: only its line is bad.
            feed.take_back()
            message = "A quote has no end."
        else:
            message = f"It is not CSV: {error}." if isinstance(error, csv.Error) else str(error)
        return BadRow(line=feed.line, error=message, code="invalid-csv", row=feed.shown())


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the input; `problem` is why it is none, and then `text` is as near as can be."""

    number: int
    text: str
    problem: str | None


class _Feed:
    """Gives csv.reader its lines, and remembers those of the present record."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._again: deque[_Line] = deque()
        self.begin()

    def begin(self) -> None:
        """Forget the last record."""
        self.given: list[_Line] = []
        self.size = 0

    @property
    def line(self) -> int:
        """Where the record begins; with no line of it given, the line that was too long."""
        return self.given[0].number if self.given else self._lines.number

    @property
    def problem(self) -> str | None:
        """What is wrong with the first wrong line of the record."""
        return next((line.problem for line in self.given if line.problem), None)

    def take_back(self) -> None:
        """Give all lines but the first again."""
        self._again.extendleft(reversed(self.given[1:]))
        del self.given[1:]

    def shown(self) -> str:
        """Return the record as it stands, as far as it could be read."""
        text = "".join(line.text for line in self.given).rstrip("\r\n")
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._read()
        self.given.append(line)
        self.size += len(line.text) + _LINE_BYTES
        if self.size > MOST_RECORD_BYTES and len(self.given) > 1:
            raise LineTooLongError
        return line.text

    def _read(self) -> _Line:
        raw = next(self._lines)
        number = self._lines.number
        try:
            return _Line(number, raw.decode(), None)
        except UnicodeDecodeError as error:
            # Read on, so that the record ends where it ends.
            text = raw.decode("utf-8", "surrogateescape")
            return _Line(number, text, f"Byte {error.start + 1} of line {number} is not UTF-8.")
